//! What the tests of the whole share: a remotes tree as `remotes tree install` lays it, a private
//! libvirtd with small real guests, and the front-end's own way of calling an action.
//!
//! The programs are those that `make build` staged; nothing is built here.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

pub mod calls;
pub mod front_end;
pub mod hosts;
pub mod interruptions;
pub mod outcome;
pub mod processes;
pub mod recorded;
pub mod scene;
pub mod snapshot;
pub mod sshd;
pub mod tree;

pub use front_end::Stream;
pub use hosts::Hosts;
pub use interruptions::Interruptions;
pub use outcome::Outcome;
pub use remotes_test_support::dist;
pub use scene::Scene;
pub use snapshot::Snapshot;
pub use sshd::Sshd;
pub use tree::{Tree, remotes};
