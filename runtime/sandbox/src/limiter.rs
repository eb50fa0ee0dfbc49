//! Bounds on memory, tables and instances.

use remotes_effect::policy::Limits;
use thiserror::Error;
use wasmtime::{Error, ResourceLimiter, Result};

/// A bound that the driver ran into. It ends the action: a driver that carries on without memory only
/// fails later and less clearly.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum Exceeded {
    /// `limits.memory-mib`
    #[error("the driver needs more than {0} MiB of memory (limits.memory-mib in its policy)")]
    Memory(u64),
    /// `limits.table-elements`
    #[error("the driver needs a table of more than {0} elements (limits.table-elements in its policy)")]
    Table(u64),
    /// `limits.tables`
    #[error("the driver needs more than {0} tables (limits.tables in its policy)")]
    Tables(u64),
    /// `limits.instances`
    #[error("the driver needs more than {0} instances or memories (limits.instances in its policy)")]
    Instances(u64),
}

impl Exceeded {
    /// Counts that are too high, for which the engine has no type.
    pub(crate) fn counted(text: &str, limits: &Limits) -> Option<Self> {
        match text.split_once("resource limit exceeded: ")?.1 {
            what if what.starts_with("table") => Some(Self::Tables(limits.tables)),
            _ => Some(Self::Instances(limits.instances)),
        }
    }
}

pub struct Limiter {
    memory_mib: u64,
    used: u64,
    table_elements: u64,
    tables: usize,
    instances: usize,
}

impl Limiter {
    pub fn new(limits: &Limits) -> Self {
        Self {
            memory_mib: limits.memory_mib,
            used: 0,
            table_elements: limits.table_elements,
            tables: limits.tables as usize,
            instances: limits.instances as usize,
        }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        // All memories count together: a component may have several.
        let used = self.used + (desired - current) as u64;
        if used > self.memory_mib * 1024 * 1024 {
            return Err(Error::from(Exceeded::Memory(self.memory_mib)));
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        if desired as u64 > self.table_elements {
            return Err(Error::from(Exceeded::Table(self.table_elements)));
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.tables
    }

    fn memories(&self) -> usize {
        self.instances
    }
}
