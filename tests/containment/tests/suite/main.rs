//! Every guest of `guests/` has a test of its name here; the build script sees to it.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod archives;
mod boundary;
mod carrying;
mod code;
mod common;
mod domains;
mod images;
mod installed;
mod limits;
mod links;
mod mutations;
mod paths;
mod protocol;
mod reach;
mod servers;
mod state;
mod switch;
mod time;
mod tools;
mod vnm;
mod wasi;

#[allow(unused_imports)]
use self::{
    archives::*, boundary::*, carrying::*, domains::*, images::*, limits::*, paths::*, protocol::*, reach::*, state::*,
    switch::*, time::*, tools::*, vnm::*, wasi::*,
};

macro_rules! tested {
    ($name:ident) => {
        #[allow(unused_imports)]
        use self::$name as _;
    };
}

remotes_containment::foreach_guest!(tested);

/// How much there is of it, for the log of a run.
#[test]
fn count() {
    let guests = remotes_containment::guest::ALL.len();
    let cases = remotes_containment::CASES;
    println!("containment: {guests} hostile guests, {cases} cases");
    assert!(guests >= 45 && cases > guests);
}
