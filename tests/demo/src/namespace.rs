//! The demonstration runs in namespaces of its own: libvirt's session daemon, which libvirt starts by
//! itself and which lingers for minutes, ends with them. As root it takes another user id on, since
//! libvirt has no session daemon for root.

use std::process::{Command, Stdio};

use anyhow::{Context, Result};

const INSIDE: &str = "REMOTES_DEMO_INSIDE";

/// Runs this program again inside and returns its exit code; none where that is done already, or where
/// this machine has no namespaces for the user.
pub fn enter() -> Result<Option<u8>> {
    if std::env::var_os(INSIDE).is_some() || !possible() {
        return Ok(None);
    }
    let program = std::env::current_exe().context("cannot find this program")?;
    let status = unshare()
        // Process 1 must reap what daemons leave behind, which bash does while it waits.
        .args(["bash", "-c", "\"$@\"; exit $?", "demo"])
        .arg(program)
        .args(std::env::args_os().skip(1))
        .env(INSIDE, "1")
        .status()
        .context("cannot start unshare")?;
    Ok(Some(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

fn possible() -> bool {
    unshare().arg("true").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-user", "1000", "--map-group", "1000"]);
    command.args(["--pid", "--fork", "--kill-child=KILL", "--mount-proc"]);
    command
}
