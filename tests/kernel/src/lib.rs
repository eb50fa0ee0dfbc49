//! What the kernel of a test machine may lack — 802.1Q, VLAN filtering, Open vSwitch — a Debian kernel has:
//! QEMU emulates a small machine with it, whose first process calls the actions of a remotes tree, sees what
//! they did to the kernel, and says so on the serial line. Nothing of it needs root, KVM or a network.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod image;
mod machine;

pub use image::{bare, image};
pub use machine::{Console, boot};
pub use remotes_test_support::linux::Kernel;

/// What the machine's first process prints before the name of a case that begins.
pub const BEGUN: &str = "begun: ";
/// The same of one that went well.
pub const PASSED: &str = "passed: ";
/// The same of one that did not; the reason follows.
pub const FAILED: &str = "FAILED: ";
/// The name of what is seen of frames, which nobody recorded.
pub const FRAMES: &str = "frames-by-the-kernel";
/// Its last line.
pub const END: &str = "end of cases";
/// A word that makes the first process hang, so that it is seen what becomes of a machine that does.
pub const HANG: &str = "hang=yes";
