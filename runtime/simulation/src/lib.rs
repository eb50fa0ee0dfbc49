//! Two executors that leave the world alone.
//!
//! [`Simulation`] is a data centre in memory: domains with libvirt's states, transitions and wording,
//! a file tree, images, tools, configuration, a clock that never waits. Tests of drivers run on it, and
//! drivers nobody trusts yet. It is deterministic, and a value: it can be cloned, compared, written to a
//! file and read back.
//!
//! [`Plan`] is the dry run: what a driver reads comes from a real executor, what it changes is only
//! listed, and later reads see the world as if it had happened.
//!
//! [`Interrupt`] stands for a process that is killed after some effect.
#![forbid(unsafe_code)]

mod basics;
mod describe;
mod failures;
mod files;
mod interrupt;
mod libvirt;
mod machine;
mod network;
mod plan;
mod shared;
mod simulation;
mod tools;
mod xml;

pub use basics::{Clock, Line};
pub use describe::describe;
pub use failures::{Injected, Moment};
pub use files::{Directory, Entry, File, Image, Link, Tree, TreeError};
pub use interrupt::{Interrupt, Interrupted, catch};
pub use libvirt::{Agent, Checkpoint, Copying, Countdown, DiskCopy, Domain, DomainError, Domains, Guest, Hypervisor};
pub use libvirt::{Reaction, Snapshot};
pub use machine::Machine;
pub use network::{Network, SimulatedFunction, SimulatedHook, Switch};
pub use plan::Plan;
pub use simulation::Simulation;
pub use tools::{Run, Tool, Tools};
