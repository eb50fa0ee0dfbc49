//! Reading records.

use std::ffi::OsString;
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStringExt as _;

use remotes_effect::types::Failure;
use sha2::{Digest as _, Sha256};

use super::{MAGIC, MAX_EXTENT, MAX_FAILURE, MAX_NAME, MAX_TARGET, Record, StreamError, told};

/// Reads records. Nothing is taken for granted: the sender may be anybody.
pub(in super::super) struct RecordReader<R> {
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

/// A failure as the other side tells it, fit for a log.
fn failure(json: &[u8]) -> Result<Failure, StreamError> {
    let failure: Failure = serde_json::from_slice(json).map_err(|_| StreamError::Malformed("a failure"))?;
    Ok(told(failure))
}
