//! Every guest of `guests/` has a test of its name here; the build script sees to it.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod archives;
mod boundary;
mod code;
mod common;
mod domains;
mod images;
mod limits;
mod links;
mod mutations;
mod paths;
mod protocol;
mod servers;
mod state;
mod time;
mod tools;
mod vnm;
mod wasi;

#[allow(unused_imports)]
use self::{
    archives::*, boundary::*, domains::*, images::*, limits::*, paths::*, protocol::*, state::*, time::*, tools::*,
    vnm::*, wasi::*,
};

macro_rules! tested {
    ($name:ident) => {
        #[allow(unused_imports)]
        use self::$name as _;
    };
}

remotes_containment::foreach_guest!(tested);
