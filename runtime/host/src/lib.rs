//! The executors of this machine, one module a capability. [`Machine`] hands every effect to the one it
//! belongs to, or to the effect server of the host that the effect names.
#![forbid(unsafe_code)]

mod beside;
pub mod clock;
pub mod configuration;
mod connection;
pub mod filesystem;
pub mod image;
pub mod jail;
mod libvirt;
mod machine;
mod progress;
mod remote;
pub mod server;
mod serving;
mod ssh;
pub mod tools;
pub mod transfer;
pub mod way;

pub use machine::{Log, Machine, Surroundings};
pub use serving::serve;
pub use ssh::REMOTE_DIRECTORY;
