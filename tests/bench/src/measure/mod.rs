//! Whole processes, timed in pairs: this machine's mood changes, a ratio within a pair does not.

pub mod memory;
pub mod step;

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// Medians in milliseconds, and the median of the ratios.
pub struct Pairs {
    pub ours: f64,
    pub theirs: f64,
    pub ratio: f64,
}

/// Runs both commands in turn, `count` times after a warm-up; `between` runs before each, untimed.
pub fn pairs(
    count: usize,
    ours: impl Fn() -> Command,
    theirs: impl Fn() -> Command,
    between: impl Fn() -> Result<()>,
) -> Result<Pairs> {
    let (mut first, mut second, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..=count {
        between()?;
        let a = time(ours(), None)?;
        between()?;
        let b = time(theirs(), None)?;
        if run > 0 {
            first.push(a);
            second.push(b);
            ratios.push(a / b);
        }
    }
    Ok(Pairs { ours: median(first), theirs: median(second), ratio: median(ratios) })
}

/// Milliseconds that a command takes, which reads this file. It has to succeed.
pub fn time(mut command: Command, input: Option<&Path>) -> Result<f64> {
    let input = match input {
        Some(path) => File::open(path).with_context(|| path.display().to_string())?.into(),
        None => Stdio::null(),
    };
    command.stdin(input).stdout(Stdio::null()).stderr(Stdio::piped());
    let started = Instant::now();
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let elapsed = started.elapsed().as_secs_f64() * 1e3;
    if !output.status.success() {
        bail!("{command:?} failed, nothing was measured: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(elapsed)
}

/// The middle one; 0 of none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
