//! Runs a driver component: it can call nothing but the capabilities of its world, each call becomes an
//! effect on a pipeline, and what it may use up is bounded.
//!
//! ```text
//! cache ──▶ component ──▶ store with limits ──▶ call ──▶ reply
//!                              │ capability call
//!                              ▼
//!                           Port ──▶ pipeline (policy ▶ journal ▶ executor)
//! ```
#![deny(unsafe_code)]

pub mod cache;
#[cfg(feature = "compiler")]
pub mod compile;
mod engine;
mod error;
#[cfg(feature = "compiler")]
pub mod inspect;
mod limiter;
mod link;
mod run;
mod state;
#[cfg(feature = "wasi")]
mod wasi;
mod watch;

pub use engine::{EngineError, engine};
pub use error::RunError;
pub use link::{DRIVER_INTERFACES, Port};
pub use run::{Driver, Outcome};
pub use wasmtime::Engine;
pub use wasmtime::component::Component;
