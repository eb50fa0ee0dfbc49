//! Writing records.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt as _;

use remotes_effect::text::shortened;
use remotes_effect::types::Failure;
use sha2::{Digest as _, Sha256};

use super::{MAGIC, MAX_MESSAGE, StreamError};

/// Writes records.
pub(in super::super) struct RecordWriter<W> {
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
