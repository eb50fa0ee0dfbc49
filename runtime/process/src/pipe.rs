//! The ends of pipes to a child, none of which ever blocks.

use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;

use remotes_effect::deadline::Deadline;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

/// What is waited for on one pipe, if anything.
pub type Waiting<'a> = Option<(BorrowedFd<'a>, PollFlags)>;

/// Waits until something happens on one of the pipes, or until the time is over.
pub fn poll(pipes: &[&Waiting<'_>], time: Duration) -> std::io::Result<()> {
    let mut fds: Vec<PollFd<'_>> =
        pipes.iter().filter_map(|pipe| pipe.map(|(fd, events)| PollFd::from_borrowed_fd(fd, events))).collect();
    // A moment more, so that a deadline has passed when its time is over.
    let time = Timespec::try_from(time + Duration::from_micros(100)).map_err(std::io::Error::other)?;
    match rustix::event::poll(&mut fds, Some(&time)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Bytes on their way into a child.
#[derive(Debug)]
pub struct Feed {
    pipe: Option<std::fs::File>,
    bytes: Vec<u8>,
    sent: usize,
    lasting: bool,
}

impl Feed {
    /// Sends the bytes, then closes the pipe.
    pub fn new(pipe: Option<OwnedFd>, bytes: Vec<u8>) -> std::io::Result<Self> {
        Ok(Self { pipe: nonblocking(pipe)?, bytes, sent: 0, lasting: false })
    }

    /// Sends the bytes and whatever is added later; stays open.
    pub fn lasting(pipe: Option<OwnedFd>, bytes: Vec<u8>) -> std::io::Result<Self> {
        Ok(Self { lasting: true, ..Self::new(pipe, bytes)? })
    }

    /// Adds bytes behind those that wait.
    pub fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether everything is in the pipe, or beyond.
    pub fn is_sent(&self) -> bool {
        self.sent == self.bytes.len()
    }

    /// Sends as much as goes without waiting. A reader that has gone is not an error: its exit status
    /// says more.
    pub fn advance(&mut self) -> std::io::Result<()> {
        let Some(pipe) = &mut self.pipe else { return Ok(()) };
        while self.sent < self.bytes.len() {
            match pipe.write(&self.bytes[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                    self.pipe = None;
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        if self.lasting {
            self.bytes.clear();
            self.sent = 0;
        } else {
            self.pipe = None;
        }
        Ok(())
    }

    /// Closes the pipe, whatever waits.
    pub fn close(&mut self) {
        self.pipe = None;
    }

    /// Whether the reader has gone, or all is sent and the pipe closed.
    pub fn is_closed(&self) -> bool {
        self.pipe.is_none()
    }

    /// Room, while there is something to send.
    pub fn waiting(&self) -> Waiting<'_> {
        self.pipe.as_ref().filter(|_| !self.is_sent()).map(|pipe| (pipe.as_fd(), PollFlags::OUT))
    }
}

/// Bytes that come out of a child.
#[derive(Debug)]
pub struct Capture {
    pipe: Option<std::fs::File>,
    bytes: Vec<u8>,
    limit: usize,
}

impl Capture {
    /// Keeps at most this many bytes, and takes no more than one piece beyond.
    pub fn new(pipe: Option<OwnedFd>, limit: usize) -> std::io::Result<Self> {
        Ok(Self { pipe: nonblocking(pipe)?, bytes: Vec::new(), limit })
    }

    /// Takes what is there, without waiting.
    pub fn advance(&mut self) -> std::io::Result<()> {
        let Some(pipe) = &mut self.pipe else { return Ok(()) };
        let mut piece = [0; 64 * 1024];
        while self.bytes.len() <= self.limit {
            match pipe.read(&mut piece) {
                Ok(0) => {
                    self.pipe = None;
                    break;
                }
                Ok(count) => self.bytes.extend_from_slice(&piece[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether more came than may be kept.
    pub fn is_full(&self) -> bool {
        self.bytes.len() > self.limit
    }

    /// Whether nothing can come any more.
    pub fn is_closed(&self) -> bool {
        self.pipe.is_none()
    }

    /// What has come so far.
    pub fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// What has come.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Takes what is there, and keeps only this many bytes of the end.
    pub fn advance_to_end(&mut self, bytes: usize) -> std::io::Result<()> {
        self.advance()?;
        if self.bytes.len() > bytes {
            self.bytes.drain(..self.bytes.len() - bytes);
        }
        Ok(())
    }

    /// Anything, while the other end is open.
    pub fn waiting(&self) -> Waiting<'_> {
        self.pipe.as_ref().map(|pipe| (pipe.as_fd(), PollFlags::IN))
    }
}

/// One end of a pipe that somebody else began, waited for no longer than until the deadline.
#[derive(Debug)]
pub struct Timed {
    pipe: std::fs::File,
    deadline: Deadline,
}

impl Timed {
    /// A duplicate of this descriptor; neither blocks from now on.
    pub fn new(fd: BorrowedFd<'_>, deadline: Deadline) -> std::io::Result<Self> {
        let pipe = fd.try_clone_to_owned()?;
        rustix::io::ioctl_fionbio(&pipe, true)?;
        Ok(Self { pipe: pipe.into(), deadline })
    }

    /// Waits until this deadline instead.
    pub fn until(&mut self, deadline: Deadline) {
        self.deadline = deadline;
    }
}

impl std::io::Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            match attempt(self.deadline, || self.pipe.read(buffer))? {
                Some(count) => return Ok(count),
                None => poll(&[&Some((self.pipe.as_fd(), PollFlags::IN))], self.deadline.left())?,
            }
        }
    }
}

impl std::io::Write for Timed {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        loop {
            match attempt(self.deadline, || self.pipe.write(buffer))? {
                Some(count) => return Ok(count),
                None => poll(&[&Some((self.pipe.as_fd(), PollFlags::OUT))], self.deadline.left())?,
            }
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Reads or writes once, before the deadline; nothing where it would block.
pub fn attempt(
    deadline: Deadline,
    mut operation: impl FnMut() -> std::io::Result<usize>,
) -> std::io::Result<Option<usize>> {
    loop {
        if deadline.passed() {
            return Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "the action's deadline came first"));
        }
        match operation() {
            Ok(count) => return Ok(Some(count)),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// This end of a pipe as a file that is read and written without waiting.
pub fn nonblocking(pipe: Option<OwnedFd>) -> std::io::Result<Option<std::fs::File>> {
    if let Some(pipe) = &pipe {
        rustix::io::ioctl_fionbio(pipe, true)?;
    }
    Ok(pipe.map(std::fs::File::from))
}
