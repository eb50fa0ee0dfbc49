//! Waiting and trying again. All of it ends with the action's deadline, as a failure.

use crate::{Failure, clock};

/// How often [`until`] looks: soon at first, so that what is quick ends quickly, then less often.
const FIRST: u64 = 100;
const LATER: u64 = 250;
const LAST: u64 = 1000;

/// Pauses the action.
pub fn pause(milliseconds: u64) -> Result<(), Failure> {
    match clock::sleep(milliseconds) {
        true => Ok(()),
        false => Err(Failure::timeout(
            "the action's time is up; `time-seconds` or `action-seconds` under [limits] in the driver's policy gives it more",
        )),
    }
}

/// Calls `check` until it says true, or until `seconds` have been waited for: false. `check` is told
/// how many milliseconds it has waited so far.
pub fn until(seconds: u64, mut check: impl FnMut(u64) -> Result<bool, Failure>) -> Result<bool, Failure> {
    let limit = seconds.saturating_mul(1000);
    let mut waited = 0;
    loop {
        if check(waited)? {
            return Ok(true);
        }
        if waited >= limit {
            return Ok(false);
        }
        let step = match waited {
            0..1_000 => FIRST,
            1_000..15_000 => LATER,
            _ => LAST,
        };
        let step = step.min(limit - waited);
        pause(step)?;
        waited += step;
    }
}

/// Calls `attempt` up to `times` times, `seconds` apart, until it succeeds; the last failure counts.
pub fn retry<T>(times: u64, seconds: u64, attempt: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
    retry_when(times, seconds, |_| true, attempt)
}

/// As [`retry`], but only after failures that are `worth` it.
pub fn retry_when<T>(
    times: u64,
    seconds: u64,
    worth: impl Fn(&Failure) -> bool,
    mut attempt: impl FnMut() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut left = times.max(1);
    loop {
        left -= 1;
        match attempt() {
            Err(failure) if left > 0 && worth(&failure) => pause(seconds * 1000)?,
            other => return other,
        }
    }
}
