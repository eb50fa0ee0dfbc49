//! Copying the content of a file, holes and all.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use remotes_effect::deadline::Deadline;
use remotes_effect::types::Failure;
use remotes_process::report::{failure, shown, timeout};
use rustix::fs::SeekFrom;
use rustix::io::Errno;
use thiserror::Error;

use crate::progress::Progress;

/// Bytes between two looks at the clock.
const PIECE: u64 = 16 * 1024 * 1024;

/// Why a copy is not complete.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum CopyError {
    /// The source cannot be read, or became shorter meanwhile.
    #[error("cannot be read: {0}")]
    Read(Errno),
    /// The target cannot be written.
    #[error("cannot be written: {0}")]
    Write(Errno),
    /// The source became shorter meanwhile.
    #[error("became shorter while it was copied")]
    Shrunk,
    /// The deadline came.
    #[error("the deadline came first")]
    Timeout,
}

impl CopyError {
    pub fn failure(&self, source: &str, target: &str) -> Failure {
        match self {
            Self::Read(errno) => failure(source, "read", *errno),
            Self::Write(errno) => failure(target, "write", *errno),
            Self::Shrunk => Failure::busy(format!("{}: {self}: is something writing to it?", shown(source))),
            Self::Timeout => timeout(source, "copying; the target is as before"),
        }
    }
}

/// Copies all of `source` into `target`, which is empty. Shares the blocks where the file system can.
pub(crate) fn copy(source: &File, target: &File, deadline: Deadline, progress: &mut Progress) -> Result<(), CopyError> {
    if rustix::fs::ioctl_ficlone(target, source).is_ok() {
        return Ok(());
    }
    let size = source.metadata().map_err(|error| CopyError::Read(errno(&error)))?.len();
    target.set_len(size).map_err(|error| CopyError::Write(errno(&error)))?;
    let mut position = 0;
    while position < size {
        let Some((start, end)) = data(source, position, size)? else { return Ok(()) };
        position = start;
        while position < end {
            if deadline.passed() {
                return Err(CopyError::Timeout);
            }
            let count = piece(source, target, position, PIECE.min(end - position))?;
            progress.add(count);
            position += count;
        }
    }
    Ok(())
}

/// The next run of data at or behind `position`: from where to where.
pub(crate) fn data(source: &File, position: u64, size: u64) -> Result<Option<(u64, u64)>, CopyError> {
    let start = match rustix::fs::seek(source, SeekFrom::Data(position)) {
        Ok(start) => start,
        // Nothing but a hole up to the end.
        Err(Errno::NXIO) => return Ok(None),
        Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(Some((position, size))),
        Err(errno) => return Err(CopyError::Read(errno)),
    };
    let end = rustix::fs::seek(source, SeekFrom::Hole(start)).map_err(CopyError::Read)?;
    Ok(Some((start, end.clamp(start, size))).filter(|(start, _)| *start < size))
}

/// Copies up to `length` bytes at `position`; returns how many.
fn piece(source: &File, target: &File, position: u64, length: u64) -> Result<u64, CopyError> {
    let (mut from, mut to) = (position, position);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    match rustix::fs::copy_file_range(source, Some(&mut from), target, Some(&mut to), length) {
        Ok(0) => through_memory(source, target, position, length),
        Ok(count) => Ok(count as u64),
        // Not between these two file systems, or not at all.
        Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::IO) => {
            through_memory(source, target, position, length)
        }
        Err(errno) => Err(CopyError::Write(errno)),
    }
}

fn through_memory(source: &File, target: &File, position: u64, length: usize) -> Result<u64, CopyError> {
    let mut buffer = vec![0; length.min(1024 * 1024)];
    let count = source.read_at(&mut buffer, position).map_err(|error| CopyError::Read(errno(&error)))?;
    if count == 0 {
        return Err(CopyError::Shrunk);
    }
    target.write_all_at(&buffer[..count], position).map_err(|error| CopyError::Write(errno(&error)))?;
    Ok(count as u64)
}

pub(crate) fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}
