//! Whole processes, timed in pairs: this machine's mood changes, a ratio within a pair does not.

pub mod memory;

use std::process::{Command, Stdio};
use std::time::Instant;

/// Medians in milliseconds, and the median of the ratios.
pub struct Pairs {
    pub ours: f64,
    pub theirs: f64,
    pub ratio: f64,
}

/// Runs both commands in turn, `count` times after a warm-up; `between` runs before each, untimed.
pub fn pairs(count: usize, ours: impl Fn() -> Command, theirs: impl Fn() -> Command, between: impl Fn()) -> Pairs {
    let (mut first, mut second, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..=count {
        between();
        let a = time(ours());
        between();
        let b = time(theirs());
        if run > 0 {
            first.push(a);
            second.push(b);
            ratios.push(a / b);
        }
    }
    Pairs { ours: median(first), theirs: median(second), ratio: median(ratios) }
}

fn time(mut command: Command) -> f64 {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let started = Instant::now();
    let status = command.status();
    let elapsed = started.elapsed().as_secs_f64() * 1e3;
    assert!(status.is_ok_and(|status| status.success()), "{command:?} failed: nothing was measured");
    elapsed
}

/// The middle one; 0 of none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
