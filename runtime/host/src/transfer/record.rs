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

use std::ffi::{OsStr, OsString};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use remotes_effect::text::{one_line, shortened};
use remotes_effect::types::Failure;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

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

/// Writes records.
pub(super) struct RecordWriter<W> {
    output: W,
    digest: Sha256,
}

impl<W: Write> RecordWriter<W> {
    /// Begins a stream.
    pub fn new(output: W) -> Result<Self, StreamError> {
        let mut writer = Self { output, digest: Sha256::new() };
        writer.put(&[&MAGIC])?;
        Ok(writer)
    }

    pub fn folder(&mut self, name: &OsStr, mode: u32) -> Result<(), StreamError> {
        let (length, name) = named(name)?;
        self.put(&[b"D", &bits(mode), &length, name])
    }

    pub fn leave(&mut self) -> Result<(), StreamError> {
        self.put(&[b"U"])
    }

    pub fn file(&mut self, name: &OsStr, mode: u32, size: u64) -> Result<(), StreamError> {
        let (length, name) = named(name)?;
        self.put(&[b"F", &bits(mode), &length, name, &size.to_be_bytes()])
    }

    /// At most [`MAX_EXTENT`] bytes, behind those before.
    pub fn extent(&mut self, offset: u64, bytes: &[u8]) -> Result<(), StreamError> {
        let length = u32::try_from(bytes.len()).map_err(|_| StreamError::Malformed("too long a piece of a file"))?;
        self.put(&[b"X", &offset.to_be_bytes(), &length.to_be_bytes(), bytes])
    }

    /// The file's end.
    pub fn complete(&mut self) -> Result<(), StreamError> {
        self.put(&[b"C"])?;
        self.seal()
    }

    pub fn link(&mut self, name: &OsStr, target: &[u8]) -> Result<(), StreamError> {
        let (length, name) = named(name)?;
        let long = u16::try_from(target.len()).map_err(|_| StreamError::Malformed("too long a link"))?;
        self.put(&[b"L", &length, name, &long.to_be_bytes(), target])
    }

    /// The end of all.
    pub fn end(&mut self, bytes: u64) -> Result<(), StreamError> {
        self.put(&[b"Z", &bytes.to_be_bytes()])?;
        self.seal()?;
        self.flush()
    }

    /// Why there is no more.
    pub fn failed(&mut self, failure: &Failure) -> Result<(), StreamError> {
        let failure = Failure { message: shortened(&failure.message, MAX_MESSAGE), ..failure.clone() };
        let json = serde_json::to_vec(&failure).map_err(std::io::Error::other)?;
        let length = u16::try_from(json.len()).map_err(|_| StreamError::Malformed("too long a failure"))?;
        self.put(&[b"!", &length.to_be_bytes(), &json])?;
        self.flush()
    }

    /// Sends what waits to be sent.
    pub fn flush(&mut self) -> Result<(), StreamError> {
        Ok(self.output.flush()?)
    }

    fn put(&mut self, parts: &[&[u8]]) -> Result<(), StreamError> {
        for part in parts {
            self.digest.update(part);
            self.output.write_all(part)?;
        }
        Ok(())
    }

    fn seal(&mut self) -> Result<(), StreamError> {
        let digest = self.digest.clone().finalize();
        self.put(&[&digest[..]])
    }
}

/// Reads records. Nothing is taken for granted: the sender may be anybody.
pub(super) struct RecordReader<R> {
    input: R,
    digest: Sha256,
}

impl<R: Read> RecordReader<R> {
    /// Expects the begin of a stream.
    pub fn new(input: R) -> Result<Self, StreamError> {
        let mut reader = Self { input, digest: Sha256::new() };
        match reader.array()? {
            MAGIC => Ok(reader),
            _ => Err(StreamError::Malformed("it does not begin as expected; are both sides of the same version?")),
        }
    }

    /// The next record. Behind an extent come its bytes, which [`Self::content`] takes.
    pub fn next(&mut self) -> Result<Record, StreamError> {
        let [tag] = self.array()?;
        Ok(match tag {
            b'D' => {
                let mode = self.mode()?;
                Record::Folder { name: self.name()?, mode }
            }
            b'U' => Record::Leave,
            b'F' => {
                let mode = self.mode()?;
                Record::File { name: self.name()?, mode, size: u64::from_be_bytes(self.array()?) }
            }
            b'X' => {
                let offset = u64::from_be_bytes(self.array()?);
                match u32::from_be_bytes(self.array()?) as usize {
                    length @ 1..=MAX_EXTENT => Record::Extent { offset, length },
                    _ => return Err(StreamError::Malformed("a piece of a file is empty or too long")),
                }
            }
            b'C' => {
                self.verify()?;
                Record::Complete
            }
            b'L' => {
                let name = self.name()?;
                let length = u16::from_be_bytes(self.array()?);
                Record::Link { name, target: self.text(length.into(), MAX_TARGET)? }
            }
            b'Z' => {
                let bytes = u64::from_be_bytes(self.array()?);
                self.verify()?;
                Record::End { bytes }
            }
            b'!' => {
                let length = u16::from_be_bytes(self.array()?);
                Record::Failed(failure(&self.text(length.into(), MAX_FAILURE)?)?)
            }
            _ => return Err(StreamError::Malformed("a record of an unknown kind")),
        })
    }

    /// Bytes of an extent.
    pub fn content(&mut self, buffer: &mut [u8]) -> Result<(), StreamError> {
        self.input.read_exact(buffer).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => StreamError::Ended,
            _ => StreamError::Io(error),
        })?;
        self.digest.update(buffer);
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], StreamError> {
        let mut bytes = [0; N];
        self.content(&mut bytes)?;
        Ok(bytes)
    }

    fn text(&mut self, length: usize, most: usize) -> Result<Vec<u8>, StreamError> {
        if length > most {
            return Err(StreamError::Malformed("a text is too long"));
        }
        let mut bytes = vec![0; length];
        self.content(&mut bytes)?;
        Ok(bytes)
    }

    fn mode(&mut self) -> Result<u32, StreamError> {
        match u32::from(u16::from_be_bytes(self.array()?)) {
            mode if mode & !0o1777 == 0 => Ok(mode),
            _ => Err(StreamError::Malformed("permission bits beyond 1777")),
        }
    }

    /// A name in a folder, or none: which of the two it must be depends on where it is.
    fn name(&mut self) -> Result<OsString, StreamError> {
        let [length] = self.array()?;
        let name = self.text(length.into(), MAX_NAME)?;
        match name.as_slice() {
            b"." | b".." => Err(StreamError::Malformed("a name is `.` or `..`")),
            name if name.iter().any(|byte| matches!(byte, b'/' | 0)) => {
                Err(StreamError::Malformed("a name holds a slash or a NUL"))
            }
            _ => Ok(OsString::from_vec(name)),
        }
    }

    fn verify(&mut self) -> Result<(), StreamError> {
        let expected = self.digest.clone().finalize();
        match self.array::<32>()? == expected[..] {
            true => Ok(()),
            false => Err(StreamError::Digest),
        }
    }
}

fn named(name: &OsStr) -> Result<([u8; 1], &[u8]), StreamError> {
    let name = name.as_bytes();
    match u8::try_from(name.len()) {
        Ok(length) => Ok(([length], name)),
        Err(_) => Err(StreamError::Malformed("too long a name")),
    }
}

/// Nobody becomes somebody else by a file that was copied.
fn bits(mode: u32) -> [u8; 2] {
    ((mode & 0o1777) as u16).to_be_bytes()
}

/// A failure as the other side tells it, fit for a log.
fn failure(json: &[u8]) -> Result<Failure, StreamError> {
    let failure: Failure = serde_json::from_slice(json).map_err(|_| StreamError::Malformed("a failure"))?;
    Ok(told(failure))
}

/// What another host says went wrong, as one line of a bounded length.
pub(super) fn told(failure: Failure) -> Failure {
    Failure { message: shortened(&one_line(&failure.message), MAX_MESSAGE), ..failure }
}
