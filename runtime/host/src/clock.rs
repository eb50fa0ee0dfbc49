//! This machine's clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use remotes_effect::clock::Executor;
use remotes_effect::deadline::Deadline;

/// The executor of `clock`.
#[derive(Debug, Clone, Copy)]
pub struct Clock(pub Deadline);

impl Executor for Clock {
    fn now(&mut self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
    }

    fn sleep(&mut self, milliseconds: u64) -> bool {
        let wanted = Duration::from_millis(milliseconds);
        let left = self.0.left();
        std::thread::sleep(wanted.min(left));
        wanted < left
    }
}
