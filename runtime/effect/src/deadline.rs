//! When an action must have ended.

use std::time::{Duration, Instant};

/// A point in time that every effect of an action honours, also while the host works.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    end: Instant,
    /// how long it was given, for messages
    time: Duration,
}

impl Deadline {
    /// This long from now.
    pub fn after(duration: Duration) -> Self {
        Self { end: Instant::now() + duration, time: duration }
    }

    /// Time left; zero when it has passed.
    pub fn left(self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// Whether it has passed.
    pub fn passed(self) -> bool {
        self.left().is_zero()
    }

    /// The deadline this much later: a respite, which is not of the time that was given.
    pub fn later(self, duration: Duration) -> Self {
        Self { end: self.end + duration, ..self }
    }

    /// The earlier of this deadline and `duration` from now.
    pub fn within(self, duration: Duration) -> Self {
        let other = Self::after(duration);
        if other.end < self.end { other } else { self }
    }

    /// An action's time as a person reads it, with the limit's name: `4 s (limits.time-seconds …)`. On another host it
    /// is what was left when the effect came there.
    pub fn limit(self) -> String {
        format!(
            "{} s (limits.time-seconds or limits.action-seconds in the driver's policy)",
            self.time.as_secs_f64().ceil()
        )
    }
}
