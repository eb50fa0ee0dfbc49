//! A libvirtd of one's own and a guest that is up in a fifth of a second.
//!
//! ```no_run
//! use remotes_test_support::{Guest, PrivateLibvirt};
//!
//! # fn main() -> std::io::Result<()> {
//! let libvirt = PrivateLibvirt::start()?;
//! let guest = Guest::new(&libvirt, 7)?;
//! // create the domain of `guest.xml()` at `libvirt.uri()` …
//! guest.wait_up(1)?;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod build;
mod capabilities;
mod daemon;
mod guest;
pub mod linux;
mod mac;
mod pair;
mod skip;
mod sshd;
mod wait;

pub use build::{build_folder, dist};
pub use daemon::PrivateLibvirt;
pub use guest::{Format, Guest, guest_disk};
pub use mac::mac;
pub use pair::{Pair, Side};
pub use skip::skipped;
pub use sshd::Sshd;
pub use wait::{until, wait_for};
