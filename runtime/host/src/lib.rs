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
pub mod network;
pub mod process;
mod remote;
mod report;
pub mod server;
mod serving;
pub mod tools;

pub use machine::{Log, Machine, Surroundings};
pub use remote::REMOTE_DIRECTORY;
pub use serving::serve;
