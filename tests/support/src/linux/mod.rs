//! A guest that runs Linux: a kernel of Debian's, with what a test puts into its memory. KVM need not work: QEMU
//! emulates it, and it is up in some seconds.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod archive;
mod guest;
mod kernel;
mod programs;

pub use archive::Archive;
pub use guest::{LinuxGuest, MOUNTED};
pub use kernel::Kernel;
pub use programs::{libraries, place, program};
