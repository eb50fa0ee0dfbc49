//! What an image's header says about other files, before any tool opens the image.
//!
//! qcow2: <https://www.qemu.org/docs/master/interop/qcow2.html>

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use thiserror::Error;

use super::format::Format;

/// qcow2 clusters are no larger, and the header lies in the first one.
const MAX_CLUSTER: u64 = 2 * 1024 * 1024;
/// Enough to tell formats apart, and for the fixed part of a qcow2 header.
const PROBE: u64 = 4096;

const QCOW_MAGIC: &[u8] = b"QFI\xfb";
/// Header extension: name of the backing file's format.
const BACKING_FORMAT: u32 = 0xe279_2aca;
/// Header extension: name of the external data file.
const DATA_FILE: u32 = 0x4441_5441;
/// Incompatible feature: guest data is in an external file.
const HAS_DATA_FILE: u64 = 1 << 2;

/// A header that cannot be what it claims to be.
#[derive(Debug, Error)]
pub enum HeaderError {
    /// Reading failed.
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// Something is wrong with it.
    #[error("has a qcow2 header with {0}")]
    Malformed(&'static str),
}

/// What matters of a header here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The format, by the first bytes; raw where they are nobody's.
    pub format: Format,
    /// The name of the image behind this one, as it is written there.
    pub backing: Option<Vec<u8>>,
    /// The name of that one's format.
    pub backing_format: Option<String>,
    /// The name of the file that holds the data instead of this one.
    pub data_file: Option<Vec<u8>>,
}

impl Header {
    /// The header of a raw image, or of a format that names no other files.
    pub fn alone(format: Format) -> Self {
        Self { format, backing: None, backing_format: None, data_file: None }
    }

    /// Reads the header of an open image.
    pub fn read(file: &File) -> Result<Self, HeaderError> {
        let head = head(file, PROBE)?;
        match cluster_size(&head) {
            Some(size) if size > PROBE => Self::parse(&self::head(file, size)?),
            _ => Self::parse(&head),
        }
    }

    /// Understands the first bytes of an image: at least 4096, and for qcow2 the first cluster, as far
    /// as the image is that long.
    pub fn parse(head: &[u8]) -> Result<Self, HeaderError> {
        let format = Format::probe(head);
        if format != Format::Qcow2 {
            return Ok(Self::alone(format));
        }
        let size = cluster_size(head).ok_or(HeaderError::Malformed("a cluster size out of bounds"))?;
        let cluster = &head[..head.len().min(usize::try_from(size).unwrap_or(usize::MAX))];
        let truncated = HeaderError::Malformed("an end before its time");
        let Some((version, offset, length)) =
            u32_at(cluster, 4).zip(u64_at(cluster, 8)).zip(u32_at(cluster, 16)).map(|((a, b), c)| (a, b, c))
        else {
            return Err(truncated);
        };
        let (features, extensions) = match version {
            2 => (0, 72),
            _ => match u64_at(cluster, 72).zip(u32_at(cluster, 100)) {
                Some((features, length)) if length >= 104 => (features, length),
                Some(_) => return Err(HeaderError::Malformed("a length out of bounds")),
                None => return Err(truncated),
            },
        };
        let mut header = Self::alone(Format::Qcow2);
        let mut end = cluster.len();
        if offset != 0 {
            let name = text(cluster, offset, length.into())?;
            end = usize::try_from(offset).unwrap_or(end).min(end);
            // A length of 0 is how qemu writes that there is none.
            header.backing = Some(name).filter(|name| !name.is_empty());
        }
        let data_file = header.extensions(cluster.get(extensions as usize..end).unwrap_or_default())?;
        header.data_file = match (features & HAS_DATA_FILE != 0, data_file) {
            (true, None) => return Err(HeaderError::Malformed("an external data file without a name")),
            (true, some) => some,
            (false, _) => None,
        };
        Ok(header)
    }

    /// Goes through the header extensions; returns the name of the data file, if one is there.
    fn extensions(&mut self, mut area: &[u8]) -> Result<Option<Vec<u8>>, HeaderError> {
        let mut data_file = None;
        while let Some((kind, length)) = u32_at(area, 0).zip(u32_at(area, 4)) {
            if kind == 0 {
                break;
            }
            let content = text(area, 8, length.into())?;
            let twice = match kind {
                BACKING_FORMAT => {
                    let name = String::from_utf8(content)
                        .map_err(|_| HeaderError::Malformed("a backing format that is no text"))?;
                    self.backing_format.replace(name).is_some()
                }
                DATA_FILE => data_file.replace(content).is_some(),
                _ => false,
            };
            if twice {
                return Err(HeaderError::Malformed("an extension that is there twice"));
            }
            let next = 8 + (length as usize).next_multiple_of(8);
            area = area.get(next..).unwrap_or_default();
        }
        Ok(data_file)
    }
}

/// The size of a qcow2 image's clusters, where it is one that qemu accepts.
fn cluster_size(head: &[u8]) -> Option<u64> {
    match head.starts_with(QCOW_MAGIC) && matches!(u32_at(head, 4), Some(2 | 3)) {
        true => u32_at(head, 20).filter(|bits| (9..=21).contains(bits)).map(|bits| 1 << bits),
        false => None,
    }
}

fn head(file: &File, length: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length.min(MAX_CLUSTER)).unwrap_or_default()];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], filled as u64)? {
            0 => break,
            count => filled += count,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

fn text(bytes: &[u8], offset: u64, length: u64) -> Result<Vec<u8>, HeaderError> {
    let range = usize::try_from(offset).ok().zip(usize::try_from(offset.saturating_add(length)).ok());
    range
        .and_then(|(start, end)| bytes.get(start..end))
        .map(<[u8]>::to_vec)
        .ok_or(HeaderError::Malformed("a name or extension beyond its first cluster"))
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(offset..offset + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(offset..offset + 8)?.try_into().ok()?))
}
