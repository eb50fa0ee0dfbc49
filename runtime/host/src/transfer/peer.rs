//! The other end of a transfer: `remotes-action send` or `receive` on another host.

use std::io::{BufReader, Read, Write};
use std::os::fd::AsFd as _;
use std::process::{Child, Command};
use std::time::Duration;

use remotes_effect::deadline::Deadline;
use remotes_effect::frame::{self, FrameError, Hello, Ready};
use remotes_effect::types::Failure;
use remotes_process::{Capture, attempt, end, last_line, nonblocking, poll, with_pipes};
use rustix::event::PollFlags;
use serde::{Deserialize, Serialize};

use super::record::told;

/// Bytes of its standard error that are kept.
const ERRORS: usize = 8 * 1024;
/// Bytes that are read at once.
const BUFFER: usize = 256 * 1024;
/// No frame of a transfer is longer, but for the greeting.
pub(super) const MAX_FRAME: usize = 64 * 1024;

/// What an end of a transfer is started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// Reads what is there, and writes a stream.
    Send,
    /// Reads a stream, and lays it down.
    Receive,
}

impl Task {
    /// As the command line has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Receive => "receive",
        }
    }
}

/// The frame behind the greeting: what it is about.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Errand {
    /// The path on that host.
    pub path: String,
}

/// What a receiver says at its end: the bytes of all files.
pub(super) type Report = Result<u64, Failure>;

/// A running end of a transfer. Dropped, it is killed.
pub(crate) struct Peer {
    name: String,
    pipes: BufReader<Pipes>,
}

impl Peer {
    /// Starts the command, and waits until it is ready: nothing has happened before.
    pub fn start(
        name: String,
        command: &mut Command,
        hello: &Hello,
        errand: &Errand,
        deadline: Deadline,
    ) -> Result<Self, Failure> {
        let broken = |error: FrameError| unready(&name, &error, "");
        let pipes = Pipes::start(command, deadline).map_err(|error| broken(error.into()))?;
        let mut pipes = BufReader::with_capacity(BUFFER, pipes);
        // A server that ended at once says more on its way out than the broken pipe.
        let greeted = frame::write(pipes.get_mut(), hello).and_then(|()| frame::write(pipes.get_mut(), errand));
        let ready: Result<Ready, FrameError> = frame::read_within(&mut pipes, MAX_FRAME);
        match ready.and(greeted) {
            Ok(()) => Ok(Self { name, pipes }),
            Err(error) => Err(unready(&name, &error, &pipes.get_mut().last_words())),
        }
    }

    /// `host NAME`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it reads.
    pub fn writer(&mut self) -> impl Write + '_ {
        self.pipes.get_mut()
    }

    /// What it writes.
    pub fn reader(&mut self) -> impl Read + '_ {
        &mut self.pipes
    }

    /// What a receiver reports, now that all is sent, or nothing more can be.
    pub fn report(&mut self) -> Result<Report, FrameError> {
        self.pipes.get_mut().input = None;
        let report: Report = frame::read_within(&mut self.pipes, MAX_FRAME)?;
        Ok(report.map_err(told))
    }

    /// The last line of its standard error.
    pub fn last_words(&mut self) -> String {
        self.pipes.get_mut().last_words()
    }
}

fn unready(name: &str, error: &FrameError, said: &str) -> Failure {
    let said = if said.is_empty() { String::new() } else { format!(": {said}") };
    let nothing = "nothing was transferred";
    match error {
        FrameError::Closed => Failure::unavailable(format!("{name}: ended before it was ready{said}; {nothing}")),
        FrameError::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => {
            Failure::timeout(format!("{name}: was not ready when the action's deadline came{said}; {nothing}"))
        }
        FrameError::Io(error) => Failure::unavailable(format!("{name}: cannot be talked to: {error}{said}; {nothing}")),
        error => Failure::failed(format!("{name}: answered what is not understood: {error}{said}; {nothing}")),
    }
}

/// The child and what leads to it. Its standard error is read whenever it is waited for, so that it never
/// waits for that.
struct Pipes {
    child: Child,
    input: Option<std::fs::File>,
    output: std::fs::File,
    errors: Capture,
    deadline: Deadline,
}

impl Pipes {
    fn start(command: &mut Command, deadline: Deadline) -> std::io::Result<Self> {
        let (mut child, [stdin, stdout, stderr]) = with_pipes(command)?;
        let ends = nonblocking(stdin).and_then(|input| {
            let output = nonblocking(stdout)?.ok_or(std::io::ErrorKind::BrokenPipe)?;
            Ok((input, output, Capture::new(stderr, ERRORS)?))
        });
        match ends {
            Ok((input, output, errors)) => Ok(Self { child, input, output, errors, deadline }),
            Err(error) => {
                end(&mut child);
                Err(error)
            }
        }
    }

    fn last_words(&mut self) -> String {
        // They may still be on their way.
        let _ = poll(&[&self.errors.waiting()], Duration::from_millis(100));
        let _ = self.errors.advance_to_end(ERRORS);
        last_line(self.errors.bytes())
    }
}

impl Read for Pipes {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            self.errors.advance_to_end(ERRORS)?;
            if let Some(count) = attempt(self.deadline, || self.output.read(buffer))? {
                return Ok(count);
            }
            let output = Some((self.output.as_fd(), PollFlags::IN));
            poll(&[&output, &self.errors.waiting()], self.deadline.left())?;
        }
    }
}

impl Write for Pipes {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        loop {
            self.errors.advance_to_end(ERRORS)?;
            let input = self.input.as_mut().ok_or(std::io::ErrorKind::BrokenPipe)?;
            if let Some(count) = attempt(self.deadline, || input.write(buffer))? {
                return Ok(count);
            }
            let input = Some((input.as_fd(), PollFlags::OUT));
            poll(&[&input, &self.errors.waiting()], self.deadline.left())?;
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for Pipes {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}
