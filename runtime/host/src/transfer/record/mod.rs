//! The bytes of a transfer between two hosts: records, one behind another, each a letter and its fields.
//! Numbers are big-endian; names and targets begin with their length.
//!
//! ```text
//! stream  = "remotes1" (file / folder) end
//! file    = 'F' mode:16 name:8+ size:64 *('X' offset:64 length:32 bytes) 'C' digest
//! folder  = 'D' mode:16 name:8+ *(file / folder / link) 'U'
//! link    = 'L' name:8+ target:16+
//! end     = 'Z' bytes:64 digest
//! failure = '!' json:16+            (in place of any record: the sender gives up, and says why)
//! ```
//!
//! A digest (SHA-256) is that of every byte of the stream before it: a file is put into its place only when
//! all of it, and all that came before, is what the sender sent. The first file or folder has no name.

mod read;
#[cfg(test)]
mod tests;
mod write;

use std::ffi::OsString;
use std::io::ErrorKind;

use remotes_effect::text::{one_line, shortened};
use remotes_effect::types::Failure;
use thiserror::Error;

pub(super) use read::RecordReader;
pub(super) use write::RecordWriter;

/// How a stream begins; the digit is the version.
const MAGIC: [u8; 8] = *b"remotes1";
/// Bytes of a file in one record.
pub(super) const MAX_EXTENT: usize = 1024 * 1024;
/// Bytes of a name in a folder (`NAME_MAX`).
const MAX_NAME: usize = 255;
/// Bytes of a link's target (`PATH_MAX`).
const MAX_TARGET: usize = 4095;
/// Bytes of a failure as JSON.
const MAX_FAILURE: usize = 16 * 1024;
/// Bytes of a failure's message.
const MAX_MESSAGE: usize = 2048;

/// A stream that is none, or none any more.
#[derive(Debug, Error)]
pub(super) enum StreamError {
    /// Reading or writing failed, or the deadline came.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// It ended between its begin and its end.
    #[error("it ended in the middle")]
    Ended,
    /// Something in it is not what may be there.
    #[error("it is not understood: {0}")]
    Malformed(&'static str),
    /// What came is not what was sent.
    #[error("it was changed on the way (its digest differs)")]
    Digest,
}

impl StreamError {
    /// Whether the deadline ended it.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == ErrorKind::TimedOut)
    }
}

/// One record, without the bytes of an extent.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Record {
    /// Into a folder.
    Folder { name: OsString, mode: u32 },
    /// Back out of it.
    Leave,
    /// A file begins.
    File { name: OsString, mode: u32, size: u64 },
    /// Bytes of it.
    Extent { offset: u64, length: usize },
    /// It is complete.
    Complete,
    /// A link.
    Link { name: OsString, target: Vec<u8> },
    /// All is sent; the bytes of all files.
    End { bytes: u64 },
    /// The sender cannot go on.
    Failed(Failure),
}

/// What another host says went wrong, as one line of a bounded length.
pub(super) fn told(failure: Failure) -> Failure {
    Failure { message: shortened(&one_line(&failure.message), MAX_MESSAGE), ..failure }
}
