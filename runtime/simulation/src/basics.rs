//! Clock, log and configuration of a simulation.

use remotes_effect::types::Failure;
use remotes_effect::{clock, configuration, log};
use serde::{Deserialize, Serialize};

use crate::Simulation;

/// Virtual time. It moves only when somebody sleeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Clock {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub milliseconds: u64,
    /// When the action must have ended, on the same scale; none: it may take for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<u64>,
}

impl Default for Clock {
    /// 2026-01-01T00:00:00Z, no deadline.
    fn default() -> Self {
        Self { milliseconds: 1_767_225_600_000, deadline: None }
    }
}

impl Clock {
    /// Lets time pass, up to the deadline; false when that came first.
    pub fn sleep(&mut self, milliseconds: u64) -> bool {
        let wanted = self.milliseconds.saturating_add(milliseconds);
        let reached = self.deadline.is_none_or(|deadline| wanted <= deadline);
        self.milliseconds = match self.deadline {
            Some(deadline) if !reached => deadline.max(self.milliseconds),
            _ => wanted,
        };
        reached
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    pub fn seconds(&self) -> u64 {
        self.milliseconds / 1000
    }
}

/// One line that a driver logged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// severity
    pub level: log::Level,
    /// as the driver gave it
    pub message: String,
}

impl clock::Executor for Simulation {
    fn now(&mut self) -> u64 {
        self.clock.seconds()
    }

    fn sleep(&mut self, milliseconds: u64) -> bool {
        let reached = self.clock.sleep(milliseconds);
        self.settle();
        reached
    }
}

impl log::Executor for Simulation {
    fn write(&mut self, level: log::Level, message: &str) {
        self.log.push(Line { level, message: message.to_owned() });
    }
}

impl configuration::Executor for Simulation {
    fn get(&mut self, key: &str) -> Result<Option<String>, Failure> {
        Ok(self.configuration.get(key).cloned())
    }

    fn keys(&mut self, prefix: &str) -> Result<Vec<String>, Failure> {
        Ok(self.configuration.keys().filter(|key| key.starts_with(prefix)).cloned().collect())
    }
}
