//! The containment suite: hostile drivers, one small file each in `guests/`, and hostile inputs, tried on
//! the real sandbox, policy and executors. Every case asserts three things: a refusal of the right type
//! whose message helps, an entry in the journal, and a host that is as it was before.
//!
//! A guest is Rust where Rust can say it, and the text of a component where it cannot: broken promises of
//! the binary interface, imports that do not exist, thousands of instances.
//!
//! One more: `guests/NAME.rs` with its entry in `guests/Cargo.toml`, or `guests/NAME.wat`, and a test `NAME`
//! in `tests/suite/`. Then take the guard away that it is about, and see the test fail.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::missing_panics_doc)]

mod grounds;
pub mod guest;
mod memory;
mod trial;

pub use grounds::{Grounds, Snapshot};
pub use guest::Guest;
pub use memory::{Entry, Memory};
pub use trial::{Ended, Trial};

include!(concat!(env!("OUT_DIR"), "/cases.rs"));
