//! What the author of an OpenNebula driver needs.
//!
//! A driver decides; the runtime acts. A driver implements the trait of its subsystem, [`Vmm`] say,
//! and calls capabilities such as [`libvirt`] and [`filesystem`], which are the only way to the
//! outside. Every action may be left out: it then answers `unsupported`.
//!
//! ```
//! use remotes_sdk::{Failure, Vmm, libvirt, here};
//!
//! struct Mine;
//!
//! impl Vmm for Mine {
//!     const ACTIONS: &'static [&'static str] = &["reboot"];
//!
//!     fn reboot(deploy_id: String, _host: String, _action: String) -> Result<(), Failure> {
//!         libvirt::reboot(&here(), &deploy_id)
//!     }
//! }
//!
//! remotes_sdk::export_vmm!(Mine);
//! # fn main() {}
//! ```
//!
//! Built for `wasm32-unknown-unknown` the capabilities are the component's imports; built natively
//! they go to whatever [`native::with`] was given, so that `cargo test` needs no WebAssembly
//! (feature `testing`).
// The bindings of components are made of unsafe code; nothing else here is.
#![cfg_attr(not(target_family = "wasm"), forbid(unsafe_code))]

mod failure;
mod logging;
#[cfg(not(target_family = "wasm"))]
pub mod native;
pub mod network;
mod path;
pub mod settings;
#[cfg(all(feature = "testing", not(target_family = "wasm")))]
pub mod testing;
pub mod vm;
pub mod wait;
pub mod xml;

pub use failure::Explain;
pub use path::{at, clean, here, name, parent};
pub use types::{Failure, FailureKind, Node, Place};

include!(concat!(env!("OUT_DIR"), "/author.rs"));

/// The answer of an action that a driver leaves out.
pub fn unsupported(action: &str) -> Failure {
    Failure::unsupported(format!("{action}: this driver does not implement the action"))
}

/// Has a panic's message written to the log before it becomes a trap.
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub fn report_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| log::write(log::Level::Error, &panic.to_string())));
    });
}
