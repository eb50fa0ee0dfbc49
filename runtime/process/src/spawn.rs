//! Starting children with nothing but what they are given, and ending them.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use rustix::io::FdFlags;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use super::PATH;

/// How long a killed child is waited for; one that hangs in the kernel is left to the system.
const PATIENCE: Duration = Duration::from_secs(1);

/// A command with a bare environment, in the root folder, in a process group of its own.
pub fn bare(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", PATH).env("LANG", "C").env("LC_ALL", "C").current_dir("/").process_group(0);
    command
}

/// Starts it with these descriptors under their numbers, and no others.
pub fn spawn(command: &mut Command, inherited: Vec<OwnedFd>) -> std::io::Result<Child> {
    // Between clearing the flag and the start no other child of ours may start: it would inherit, too.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for fd in &inherited {
        rustix::io::fcntl_setfd(fd, FdFlags::empty())?;
    }
    let child = command.spawn();
    drop(inherited);
    child
}

/// Standard input, output and error of a child.
type Pipes = [Option<OwnedFd>; 3];

/// Starts it with pipes to all that it reads and writes.
pub fn with_pipes(command: &mut Command) -> std::io::Result<(Child, Pipes)> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(command, Vec::new())?;
    let pipes =
        [child.stdin.take().map(Into::into), child.stdout.take().map(Into::into), child.stderr.take().map(Into::into)];
    Ok((child, pipes))
}

/// Whether the child has ended; its number stays taken until it is waited for.
pub fn has_ended(child: &Child) -> std::io::Result<bool> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    Ok(rustix::process::waitid(WaitId::Pid(Pid::from_child(child)), options)?.is_some())
}

/// Kills what is left of the child's process group, and does not wait for its end: it does nothing any more,
/// and a process with many libraries takes the kernel a millisecond to take apart.
pub fn kill(child: &Child) {
    // Fails where nobody is left, or for a program that sudo runs as somebody else.
    let _ = rustix::process::kill_process_group(Pid::from_child(child), Signal::KILL);
}

/// The same, and waits for the child; nothing where it does not go.
pub fn end(child: &mut Child) -> Option<ExitStatus> {
    kill(child);
    let mut waited = Duration::ZERO;
    let mut pause = Duration::from_micros(200);
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if waited < PATIENCE => {
                std::thread::sleep(pause);
                waited += pause;
                pause = (pause * 2).min(Duration::from_millis(20));
            }
            Ok(None) | Err(_) => return None,
        }
    }
}
