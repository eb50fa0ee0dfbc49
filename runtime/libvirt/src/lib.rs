//! The libvirt executor: an effect server of its own, for one connection.
//!
//! It is started as `remotes-libvirt URI` and speaks [`remotes_effect::frame`] on its standard input and
//! output. A process of its own because libvirt brings 56 shared objects, its own way of crashing and its
//! own licence along: a driver that asks for nothing of a hypervisor pays for none of it, and what goes
//! wrong here is one failure there.
//!
//! The policy that arrives in the first frame holds here as well: the URI, the *real* name of every
//! domain (whether it was named or given as UUID), and the real path of every checkpoint.
#![deny(unsafe_code)]

mod arguments;
mod blocks;
mod checkpoints;
mod domains;
mod executor;
mod fault;
mod history;
mod image;
mod interfaces;
mod link;
mod migrate;
mod process;
#[allow(unsafe_code)]
mod raw;
mod server;
mod session;
mod snapshots;
mod unplug;

pub use process::run;
pub use server::Server;
pub use session::Session;
