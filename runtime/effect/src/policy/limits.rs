//! What an action may use up. Each limit has a default that our own drivers stay far below.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The table `[limits]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Limits {
    /// Linear memory of all instances together.
    pub memory_mib: u64,
    /// The driver's stack.
    pub stack_kib: u64,
    /// Elements of one table.
    pub table_elements: u64,
    /// Tables of one component.
    pub tables: u64,
    /// Core instances of one component.
    pub instances: u64,
    /// Time for instantiation, which runs the driver's initialisers.
    pub start_seconds: u64,
    /// Time for an action, host calls included.
    pub time_seconds: u64,
    /// Other times for single actions: `migrate = 86400`.
    pub action_seconds: BTreeMap<String, u64>,
    /// Calls of capabilities in one action.
    pub effects: u64,
    /// Bytes that one call may hand over, all arguments together; also bounds what nests in them.
    pub argument_kib: u64,
    /// Bytes of all log lines of one action.
    pub log_kib: u64,
    /// Bytes that one tool may print on each of its outputs.
    pub tool_output_kib: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_mib: 64,
            stack_kib: 512,
            table_elements: 10_000,
            tables: 16,
            instances: 32,
            start_seconds: 5,
            time_seconds: 600,
            action_seconds: BTreeMap::new(),
            effects: 100_000,
            argument_kib: 8 * 1024,
            log_kib: 256,
            tool_output_kib: 4 * 1024,
        }
    }
}

impl Limits {
    /// How long this action may take.
    pub fn time(&self, action: &str) -> Duration {
        Duration::from_secs(self.action_seconds.get(action).copied().unwrap_or(self.time_seconds))
    }
}
