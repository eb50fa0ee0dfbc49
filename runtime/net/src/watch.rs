//! No client keeps root's server for longer than it may.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Ends the process when its time is over, whatever it waits for.
pub(crate) struct Watch(Arc<Mutex<Instant>>);

impl Watch {
    /// Starts watching: the time is over this long from now.
    pub fn start(time: Duration) -> Result<Self, std::io::Error> {
        let end = Arc::new(Mutex::new(Instant::now() + time));
        let seen = end.clone();
        std::thread::Builder::new().spawn(move || {
            loop {
                let left =
                    seen.lock().unwrap_or_else(PoisonError::into_inner).saturating_duration_since(Instant::now());
                if left.is_zero() {
                    eprintln!("remotes-net: the client's time is over");
                    std::process::exit(1);
                }
                std::thread::sleep(left);
            }
        })?;
        Ok(Self(end))
    }

    /// The time is over this long from now instead, if that is later.
    pub fn extend(&self, time: Duration) {
        let mut end = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *end = (*end).max(Instant::now() + time);
    }
}
