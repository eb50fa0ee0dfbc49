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
            // What failed is the cause, also when it is the time that ends it.
            Err(failure) if left > 0 && worth(&failure) => pause(seconds * 1000)
                .map_err(|late| Failure { message: format!("{}; {}", failure.message, late.message), ..late })?,
            other => return other,
        }
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::FailureKind;
    use crate::testing::{Host, Simulation};

    fn host() -> Host {
        Host::new(Simulation::new(), "schema = 1")
    }

    #[test]
    fn waiting_takes_no_longer_than_asked() {
        for seconds in [0, 1, 2, 20, 180] {
            let call = host().call(|| until(seconds, |_| Ok(false)));
            assert_eq!(call.paused(), seconds * 1000);
            assert!(!call.value());
        }
    }

    #[test]
    fn what_has_come_is_seen_soon() {
        for (milliseconds, late) in [(0, 0), (150, 100), (3_000, 250), (100_000, 1_000)] {
            let call = host().call(|| until(180, |waited| Ok(waited >= milliseconds)));
            assert!(call.paused() - milliseconds <= late, "{milliseconds}: {}", call.paused());
            assert!(call.value());
        }
    }

    #[test]
    fn tries_are_counted_and_the_last_failure_is_told() {
        for (times, expected) in [(0, 1), (1, 1), (3, 3)] {
            let mut tries = 0;
            let call = host().call(|| {
                retry(times, 5, || {
                    tries += 1;
                    Err::<(), _>(Failure::failed(format!("try {tries}")))
                })
            });
            assert_eq!(call.failure().message, format!("try {expected}"));
            assert_eq!((tries, call.paused()), (expected, (expected - 1) * 5000));
        }
    }

    #[test]
    fn what_is_not_worth_it_is_not_tried_again() {
        let worth = |failure: &Failure| failure.kind == FailureKind::Busy;
        let call = host().call(|| retry_when(3, 5, worth, || Err::<(), _>(Failure::failed("no"))));
        assert_eq!(call.paused(), 0);
        call.failure();
    }

    #[test]
    fn a_try_that_the_deadline_ends_says_what_failed() {
        let host = Host::new(Simulation::new().deadline(1_500), "schema = 1");
        let call = host.call(|| retry(60, 1, || Err::<(), _>(Failure::unavailable("no answer"))));
        assert_eq!(call.failure().kind, FailureKind::Timeout);
        assert!(call.failure().message.starts_with("no answer; the action's time is up"), "{:?}", call.failure());
    }

    #[test]
    fn the_deadline_ends_every_wait() {
        let host = Host::new(Simulation::new().deadline(1_500), "schema = 1");
        let call = host.call(|| until(180, |_| Ok(false)));
        assert_eq!(call.failure().kind, FailureKind::Timeout);
    }
}
