//! Peak memory of a command, by the kernel's own account of ended children.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};

/// Peak resident memory in MiB of the largest process that the command was or had. Asked of another
/// process of ours, whose only child it is.
pub fn of(command: &Command) -> Result<f64> {
    let output = Command::new(std::env::current_exe()?)
        .arg("--peak")
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().last().and_then(|line| line.parse().ok()).context("the measuring process said nothing")
}

/// That other process.
pub fn report(command: &[String]) -> Result<()> {
    let Some((program, arguments)) = command.split_first() else { bail!("no command") };
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).status()?;
    if !status.success() {
        bail!("{program}: {status}");
    }
    let kib = getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss();
    println!("{}", kib as f64 / 1024.0);
    Ok(())
}
