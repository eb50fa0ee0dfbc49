//! What an action may use up. Each limit has a default that our own drivers stay far below.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// No action takes longer.
const LONGEST_SECONDS: u64 = 31 * 86_400;
/// Tables, instances and elements of tables that no component has (a compiler's own bounds are below).
const MANY: u64 = 10_000_000;
/// A GiB in KiB: what is handed over or printed in texts is never more.
const GIB_IN_KIB: u64 = 1024 * 1024;

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
    /// Whether they can be meant; otherwise what is wrong.
    pub fn validate(&self) -> Result<(), String> {
        let bounds = [
            ("memory-mib", self.memory_mib, 1, 4096),
            // A thread has 2 MiB at least, and the runtime needs its share.
            ("stack-kib", self.stack_kib, 1, 1024),
            // A component may do without tables.
            ("table-elements", self.table_elements, 0, MANY),
            ("tables", self.tables, 0, MANY),
            ("instances", self.instances, 1, MANY),
            ("start-seconds", self.start_seconds, 1, 3600),
            ("time-seconds", self.time_seconds, 1, LONGEST_SECONDS),
            ("effects", self.effects, 1, i64::MAX as u64),
            ("argument-kib", self.argument_kib, 1, GIB_IN_KIB),
            ("log-kib", self.log_kib, 1, GIB_IN_KIB),
            ("tool-output-kib", self.tool_output_kib, 1, GIB_IN_KIB),
        ];
        for (name, value, least, most) in bounds {
            if !(least..=most).contains(&value) {
                return Err(format!("[limits]: {name} = {value}: expected {least} to {most}"));
            }
        }
        for (action, seconds) in &self.action_seconds {
            let known = || crate::SUBSYSTEMS.iter().flat_map(|subsystem| crate::actions(subsystem));
            if !known().any(|name| name == action) {
                let known: BTreeSet<_> = known().copied().collect();
                let known = known.into_iter().collect::<Vec<_>>().join(", ");
                return Err(format!(
                    "[limits]: action-seconds: there is no action {action:?}; expected one of {known}"
                ));
            }
            if !(1..=LONGEST_SECONDS).contains(seconds) {
                return Err(format!("[limits]: action-seconds: {action} = {seconds}: expected 1 to {LONGEST_SECONDS}"));
            }
        }
        Ok(())
    }

    /// How long this action may take.
    pub fn time(&self, action: &str) -> Duration {
        Duration::from_secs(self.action_seconds.get(action).copied().unwrap_or(self.time_seconds))
    }
}
