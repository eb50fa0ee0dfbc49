//! From a source to a stream of records.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt as _;

use remotes_effect::deadline::Deadline;
use remotes_effect::types::Failure;
use remotes_process::report::io_failure;
use rustix::fs::OFlags;

use super::record::{MAX_EXTENT, RecordWriter, StreamError};
use super::source::{Source, Visitor};
use crate::filesystem::copy::{CopyError, data, errno};
use crate::jail::Found;
use crate::progress::Progress;

/// Why a source was not sent to its end.
#[derive(Debug)]
pub(super) enum SendError {
    /// It cannot be read.
    Source(Failure),
    /// The stream does not take it.
    Stream(StreamError),
}

impl From<Failure> for SendError {
    fn from(failure: Failure) -> Self {
        Self::Source(failure)
    }
}

impl From<StreamError> for SendError {
    fn from(error: StreamError) -> Self {
        Self::Stream(error)
    }
}

/// Sends one source.
pub(super) struct Sender<W> {
    records: RecordWriter<W>,
    deadline: Deadline,
    progress: Progress,
    bytes: u64,
    effective: bool,
    buffer: Vec<u8>,
}

impl<W: Write> Sender<W> {
    /// Begins a stream.
    pub fn new(output: W, subject: &str, deadline: Deadline) -> Result<Self, StreamError> {
        let progress = Progress::new(subject);
        let records = RecordWriter::new(output)?;
        Ok(Self { records, deadline, progress, bytes: 0, effective: false, buffer: Vec::new() })
    }

    /// Sends all of it. Where it cannot be read, the receiver is told so.
    pub fn send(&mut self, source: &Source<'_>) -> Result<u64, SendError> {
        let sent = source.visit(self);
        if let Err(SendError::Source(failure)) = &sent {
            self.refuse(failure);
        }
        sent?;
        self.effective = true;
        self.records.end(self.bytes)?;
        Ok(self.bytes)
    }

    /// Tells the receiver that there is nothing, or nothing more, and why.
    pub fn refuse(&mut self, failure: &Failure) {
        // The receiver may have gone, and needs no reason then.
        let _ = self.records.failed(failure);
    }

    /// Whether the receiver may have changed anything: it was sent a folder, or the end of everything.
    pub fn may_have_changed(&self) -> bool {
        self.effective
    }

    fn extent(&mut self, file: &File, found: &Found, mut position: u64, end: u64) -> Result<(), SendError> {
        while position < end {
            if self.deadline.passed() {
                return Err(CopyError::Timeout.failure(&found.shown(), "").into());
            }
            let length = usize::try_from(end - position).unwrap_or(usize::MAX).min(MAX_EXTENT);
            self.buffer.resize(length, 0);
            let read = file.read_at(&mut self.buffer, position);
            let count = read.map_err(|error| io_failure(found.shown(), "read", &error))?;
            if count == 0 {
                return Err(CopyError::Shrunk.failure(&found.shown(), "").into());
            }
            self.records.extent(position, &self.buffer[..count])?;
            self.progress.add(count as u64);
            position += count as u64;
        }
        Ok(())
    }
}

impl<W: Write> Visitor for Sender<W> {
    type Error = SendError;

    fn folder(&mut self, name: &OsStr, mode: u32) -> Result<(), SendError> {
        self.effective = true;
        Ok(self.records.folder(name, mode)?)
    }

    fn leave(&mut self) -> Result<(), SendError> {
        Ok(self.records.leave()?)
    }

    fn file(&mut self, name: &OsStr, found: &Found) -> Result<(), SendError> {
        let path = found.shown();
        let file = File::from(found.again()?.regular(&path)?.open(OFlags::RDONLY)?);
        let unreadable = |errno| SendError::Source(CopyError::Read(errno).failure(&path, ""));
        let size = file.metadata().map_err(|error| unreadable(errno(&error)))?.len();
        self.records.file(name, found.stat().st_mode & 0o777, size)?;
        let mut position = 0;
        while position < size {
            let next = data(&file, position, size).map_err(|error| error.failure(&path, ""))?;
            let Some((start, end)) = next else { break };
            self.extent(&file, found, start, end)?;
            position = end;
        }
        self.records.complete()?;
        self.bytes = self.bytes.saturating_add(size);
        Ok(())
    }

    fn link(&mut self, name: &OsStr, target: &[u8]) -> Result<(), SendError> {
        Ok(self.records.link(name, target)?)
    }
}
