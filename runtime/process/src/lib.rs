//! Child processes: an argument vector, a cleared environment, a process group of their own, bounded
//! output, and an end at the deadline. No shell is involved anywhere. And what the system says of failures, as an
//! operator can act on it.
#![forbid(unsafe_code)]

pub mod client;
mod pipe;
pub mod report;
mod spawn;

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use remotes_effect::deadline::Deadline;
use remotes_effect::text::one_line;
use remotes_effect::tools::Outcome;
use remotes_effect::types::Failure;

use self::report::{io_failure, shown, timeout};
pub use pipe::{Capture, Feed, Timed, attempt, nonblocking, poll};
pub use spawn::{bare, end, has_ended, kill, spawn, with_pipes};

/// Where programs are looked for, and what a child has as PATH.
pub const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Bytes of each output that are kept where nothing else is said.
const OUTPUT: usize = 1024 * 1024;

/// How long at most nothing is looked at while a child runs: a child may end with its outputs still
/// open in a process that it left behind.
const TICK: Duration = Duration::from_millis(50);

/// A program to be run to its end.
#[derive(Debug)]
pub struct Process {
    command: Command,
    input: Vec<u8>,
    inherited: Vec<OwnedFd>,
    limit: usize,
    leaves_others: bool,
}

impl Process {
    /// The program at this path; it finds an environment of PATH, LANG and LC_ALL only.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self { command: bare(program), input: Vec::new(), inherited: Vec::new(), limit: OUTPUT, leaves_others: false }
    }

    /// Adds arguments; each reaches the program as it is.
    pub fn arguments<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments.into_iter().map(Into::into));
        self
    }

    /// Puts a variable into its environment.
    pub fn variable(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Takes a variable out of its environment.
    pub fn remove_variable(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Starts it in this folder instead of the root folder.
    pub fn directory(mut self, folder: impl AsRef<std::path::Path>) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Gives it these bytes as standard input.
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    /// Lets it print at most this many bytes on each of its outputs; more ends it.
    pub fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// What it leaves running when it ends is not killed: a daemon is a while in its starter's group.
    pub fn leaving_others(self) -> Self {
        Self { leaves_others: true, ..self }
    }

    /// Hands it a descriptor. Returns the path under which the program opens it.
    pub fn inherit(&mut self, fd: OwnedFd) -> String {
        let path = proc_path(&fd);
        self.inherited.push(fd);
        path
    }

    /// Runs it. At the deadline the whole process group is killed. What it leaves running in its group
    /// when it ends is killed, too, unless it may leave others.
    pub fn run(mut self, deadline: Deadline) -> Result<Outcome, Failure> {
        let program = shown(self.command.get_program());
        if deadline.passed() {
            return Err(timeout(&program, "the time before it was started"));
        }
        let input = if self.input.is_empty() { Stdio::null() } else { Stdio::piped() };
        self.command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawn(&mut self.command, std::mem::take(&mut self.inherited))
            .map_err(|error| io_failure(&program, "start the program", &error))?;
        let result = self.converse(&mut child, &program, deadline);
        let status = match self.leaves_others && result.is_ok() {
            true => child.wait().ok(),
            false => end(&mut child),
        };
        match (status, result) {
            (Some(status), Ok((stdout, stderr))) => Ok(Outcome { status: code(status), stdout, stderr }),
            (None, Ok(_)) => Err(Failure::failed(format!("{program}: its exit status cannot be found out"))),
            (status, Err(failure)) => {
                let end = if status.is_some() { "it was killed" } else { "it cannot be killed and may still run" };
                Err(Failure { message: format!("{}; {end}", failure.message), ..failure })
            }
        }
    }

    /// Feeds and listens until the child has ended; it is not waited for yet, so that its group's number
    /// stays its own.
    fn converse(
        &mut self,
        child: &mut Child,
        program: &str,
        deadline: Deadline,
    ) -> Result<(Vec<u8>, Vec<u8>), Failure> {
        let fail = |error: std::io::Error| io_failure(program, "talk to the program", &error);
        let mut feed =
            Feed::new(child.stdin.take().map(OwnedFd::from), std::mem::take(&mut self.input)).map_err(fail)?;
        let mut stdout = Capture::new(child.stdout.take().map(OwnedFd::from), self.limit).map_err(fail)?;
        let mut stderr = Capture::new(child.stderr.take().map(OwnedFd::from), self.limit).map_err(fail)?;
        loop {
            if deadline.passed() {
                return Err(timeout(program, "a run of this program"));
            }
            let ended = has_ended(child).map_err(fail)?;
            feed.advance().map_err(fail)?;
            for capture in [&mut stdout, &mut stderr] {
                capture.advance().map_err(fail)?;
                if capture.is_full() {
                    return Err(Failure::failed(format!(
                        "{program}: printed more than {} bytes (limits.tool-output-kib in the driver's policy)",
                        self.limit
                    )));
                }
            }
            if ended {
                return Ok((stdout.into_bytes(), stderr.into_bytes()));
            }
            let silent = stdout.is_closed() && stderr.is_closed();
            let tick = if silent { Duration::from_millis(1) } else { TICK };
            poll(&[&feed.waiting(), &stdout.waiting(), &stderr.waiting()], tick.min(deadline.left())).map_err(fail)?;
        }
    }
}

/// The exit status; 128 and the signal's number where a signal ended it.
fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(255)
}

/// The last line that a program printed, for messages.
pub fn last_line(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
    remotes_effect::text::shortened(&one_line(line), 400)
}

/// The program of this name among those of the system.
pub fn system_program(name: &str) -> Option<PathBuf> {
    PATH.split(':').map(|folder| PathBuf::from(folder).join(name)).find(|path| path.is_file())
}

/// A path that leads to this very descriptor, whatever happens to names meanwhile.
pub fn proc_path(fd: impl AsFd) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}
