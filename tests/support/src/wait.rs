//! Waiting for what another process does.

use std::io;
use std::time::{Duration, Instant};

/// Longer than anything here takes on a loaded machine; reached only when something is broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `done` gives something; `what` is named in the error when it never does.
pub fn until<T>(what: &str, mut done: impl FnMut() -> io::Result<Option<T>>) -> io::Result<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = done()? {
            return Ok(value);
        }
        if Instant::now() >= end {
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("waited in vain for {what}")));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits for a condition.
///
/// # Panics
/// When it does not come.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    until(what, || Ok(condition().then_some(()))).unwrap_or_else(|error| panic!("{error}"));
}
