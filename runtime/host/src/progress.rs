//! A line in the diagnostics now and then, while something takes long.

use std::time::{Duration, Instant};

/// Time between two lines.
const PAUSE: Duration = Duration::from_secs(60);

/// How far something has come.
#[derive(Debug)]
pub(crate) struct Progress {
    subject: String,
    bytes: u64,
    started: Instant,
    told: Instant,
}

impl Progress {
    /// Nothing is told before it takes long.
    pub fn new(subject: &str) -> Self {
        let now = Instant::now();
        Self { subject: subject.to_owned(), bytes: 0, started: now, told: now }
    }

    /// So many bytes more.
    pub fn add(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.told.elapsed() >= PAUSE {
            self.told = Instant::now();
            let seconds = self.started.elapsed().as_secs();
            tracing::info!(subject = self.subject, bytes = self.bytes, seconds, "still copying");
        }
    }
}
