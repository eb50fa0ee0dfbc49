//! XML: reading by path, as OpenNebula's own scripts do, and building without forgetting to escape.

mod build;
mod read;

pub use build::{Tag, escape};
pub use read::{Document, Element, readable};
