//! When an action must have ended.

use std::time::{Duration, Instant};

/// A point in time that every effect of an action honours, also while the host works.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// This long from now.
    pub fn after(duration: Duration) -> Self {
        Self(Instant::now() + duration)
    }

    /// Time left; zero when it has passed.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether it has passed.
    pub fn passed(self) -> bool {
        self.left().is_zero()
    }

    /// The deadline this much later.
    pub fn later(self, duration: Duration) -> Self {
        Self(self.0 + duration)
    }

    /// The earlier of this deadline and `duration` from now.
    pub fn within(self, duration: Duration) -> Self {
        Self(self.0.min(Instant::now() + duration))
    }
}
