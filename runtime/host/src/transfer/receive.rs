//! From a stream of records to a target. The stream may come from anybody: what is not in its order, or out
//! of its bounds, ends the transfer before it is acted upon.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::fs::FileExt as _;

use remotes_effect::deadline::Deadline;
use remotes_effect::types::Failure;
use remotes_process::report::{io_failure, timeout};

use super::record::{MAX_EXTENT, Record, RecordReader, StreamError};
use super::target::{Target, beside};
use crate::beside::Beside;
use crate::jail::Jail;
use crate::progress::Progress;

/// Why a stream was not received to its end.
#[derive(Debug)]
pub(super) enum ReceiveError {
    /// The stream is at fault, or at its end.
    Stream(StreamError),
    /// The sender gave up.
    Sender(Failure),
    /// It cannot be laid down.
    Target(Failure),
}

impl From<StreamError> for ReceiveError {
    fn from(error: StreamError) -> Self {
        Self::Stream(error)
    }
}

impl From<Failure> for ReceiveError {
    fn from(failure: Failure) -> Self {
        Self::Target(failure)
    }
}

/// Lays one stream down.
pub(super) struct Receiver<'a> {
    target: Target<'a>,
    deadline: Deadline,
    progress: Progress,
    path: &'a str,
    bytes: u64,
    buffer: Vec<u8>,
}

impl<'a> Receiver<'a> {
    /// Makes nothing yet.
    pub fn new(jail: &'a Jail, path: &'a str, deadline: Deadline) -> Self {
        let target = Target::new(jail, path, deadline);
        Self { target, deadline, progress: Progress::new(path), path, bytes: 0, buffer: Vec::new() }
    }

    /// Whether anything was changed.
    pub fn is_touched(&self) -> bool {
        self.target.is_touched()
    }

    /// Lays all of it down; returns the bytes of files.
    pub fn receive(&mut self, input: impl Read) -> Result<u64, ReceiveError> {
        let mut records = RecordReader::new(input)?;
        loop {
            if self.deadline.passed() {
                return Err(timeout(self.path, "a transfer to it").into());
            }
            match records.next()? {
                Record::Folder { name, mode } => {
                    self.expect(&name)?;
                    self.target.folder(&name, mode)?;
                }
                Record::Leave if !self.target.is_outside() => self.target.leave()?,
                Record::File { name, mode, size } => {
                    self.expect(&name)?;
                    self.file(&mut records, &name, mode, size)?;
                    if self.target.is_outside() {
                        return Ok(self.bytes);
                    }
                }
                Record::Link { name, target } if !self.target.is_outside() => {
                    self.expect(&name)?;
                    self.target.link(&name, &target)?;
                }
                Record::End { bytes } if !self.target.is_new() && self.target.is_outside() => {
                    self.count(bytes)?;
                    return Ok(bytes);
                }
                Record::Failed(failure) => return Err(ReceiveError::Sender(failure)),
                _ => return Err(StreamError::Malformed("a record out of order").into()),
            }
        }
    }

    /// The first thing has no name, everything else has one, and nothing is behind the first.
    fn expect(&self, name: &OsString) -> Result<(), StreamError> {
        match (self.target.is_new(), self.target.is_outside()) {
            (true, _) if name.is_empty() => Ok(()),
            (false, false) if !name.is_empty() => Ok(()),
            (false, true) => Err(StreamError::Malformed("a record behind the last one")),
            _ => Err(StreamError::Malformed("a name is missing, or one too many")),
        }
    }

    /// One file. Where there is no other, it is put into its place when the whole stream is there.
    fn file<R: Read>(
        &mut self,
        records: &mut RecordReader<R>,
        name: &OsStr,
        mode: u32,
        size: u64,
    ) -> Result<(), ReceiveError> {
        let slot = self.target.slot(name)?;
        let new = beside(&slot, size)?;
        self.content(records, &new, size)?;
        let sum = self.bytes.checked_add(size);
        self.bytes = sum.ok_or(StreamError::Malformed("more bytes than can be counted"))?;
        if self.target.is_outside() {
            match records.next()? {
                Record::End { bytes } => self.count(bytes)?,
                Record::Failed(failure) => return Err(ReceiveError::Sender(failure)),
                _ => return Err(StreamError::Malformed("a record behind the last one").into()),
            }
        }
        Ok(self.target.put(new, mode)?)
    }

    fn count(&self, bytes: u64) -> Result<(), StreamError> {
        match bytes == self.bytes {
            true => Ok(()),
            false => Err(StreamError::Malformed("the bytes of its files are not as many as it says")),
        }
    }

    fn content<R: Read>(
        &mut self,
        records: &mut RecordReader<R>,
        new: &Beside<'_>,
        size: u64,
    ) -> Result<(), ReceiveError> {
        let mut end = 0;
        loop {
            if self.deadline.passed() {
                return Err(timeout(self.path, "a transfer to it").into());
            }
            let (offset, length) = match records.next()? {
                Record::Extent { offset, length } => (offset, length),
                Record::Complete => return Ok(()),
                Record::Failed(failure) => return Err(ReceiveError::Sender(failure)),
                _ => return Err(StreamError::Malformed("a file without an end").into()),
            };
            match offset.checked_add(length as u64) {
                Some(behind) if offset >= end && behind <= size => end = behind,
                _ => return Err(StreamError::Malformed("a piece of a file lies beyond it, or over another").into()),
            }
            self.buffer.resize(MAX_EXTENT, 0);
            let piece = &mut self.buffer[..length];
            records.content(piece)?;
            new.file().write_all_at(piece, offset).map_err(|error| io_failure(new.shown(), "write", &error))?;
            self.progress.add(length as u64);
        }
    }
}
