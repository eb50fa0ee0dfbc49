//! A file tree in memory.

mod archive;
mod change;
mod executor;
mod image;
mod qcow2;
mod state;
mod transfer;
mod walk;

use std::collections::BTreeMap;

use remotes_effect::filesystem::{Kind, Metadata};
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub(crate) use archive::{MAX_UNPACKED, archive_names};
pub(crate) use executor::MAX_FILE;
pub use image::Image;
pub(crate) use walk::{Last, Place, Stuck};

/// Folders are no deeper than this; a real path of more is rare, and a bound keeps recursion safe.
pub(crate) const MAX_DEPTH: usize = 256;
/// Bytes of one name.
pub(crate) const MAX_NAME: usize = 255;

/// Everything below a root folder.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "state::Flat", into = "state::Flat")]
pub struct Tree {
    /// `/`
    pub root: Directory,
}

/// One thing in a tree.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// a regular file
    File(File),
    /// a folder
    Directory(Directory),
    /// a symbolic link
    Link(Link),
    /// a block device of this many bytes
    BlockDevice(u64),
    /// a FIFO, a socket …
    Other,
}

/// A regular file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct File {
    /// The bytes at its beginning.
    pub content: Vec<u8>,
    /// Its size in bytes; beyond `content` it is a hole.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub modified: u64,
    /// What the image's header says, where it is an image and `content` does not hold the header.
    pub image: Option<Image>,
}

/// A folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Directory {
    /// What is in it, by name.
    pub entries: BTreeMap<String, Entry>,
    /// Permission bits.
    pub mode: u32,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub modified: u64,
}

/// A symbolic link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// As it is written there.
    pub target: String,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub modified: u64,
}

/// A tree that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TreeError {
    /// The path is not one.
    #[error("{0}")]
    Path(String),
    /// A component of it is no folder.
    #[error("{0}: a part of the path is no folder")]
    NotADirectory(String),
    /// A state file says something about an entry that does not fit its kind.
    #[error("{path}: {reason}")]
    Entry {
        /// the entry
        path: String,
        /// what does not fit
        reason: String,
    },
}

impl Default for Directory {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), mode: 0o755, modified: 0 }
    }
}

impl File {
    /// A file of mode 0644.
    pub fn new(content: Vec<u8>) -> Self {
        Self { size: content.len() as u64, content, mode: 0o644, ..Self::default() }
    }

    /// All its bytes, the hole as zeros: for small files.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.content.clone();
        bytes.resize(usize::try_from(self.size).unwrap_or(usize::MAX), 0);
        bytes
    }

    /// Bytes on disk, in blocks of 4 KiB.
    pub fn allocated(&self) -> u64 {
        (self.content.len() as u64).next_multiple_of(4096)
    }
}

impl Entry {
    /// What `stat` says about it.
    pub fn metadata(&self) -> Metadata {
        let (kind, size, allocated, mode, modified) = match self {
            Self::File(file) => (Kind::File, file.size, file.allocated(), file.mode, file.modified),
            Self::Directory(directory) => (Kind::Directory, 4096, 4096, directory.mode, directory.modified),
            Self::Link(link) => (Kind::Symlink, link.target.len() as u64, 0, 0o777, link.modified),
            Self::BlockDevice(size) => (Kind::BlockDevice, *size, 0, 0o660, 0),
            Self::Other => (Kind::Other, 0, 0, 0o644, 0),
        };
        Metadata { kind, size, allocated, mode, modified }
    }

    /// How many folders are in each other, itself counted.
    fn depth(&self) -> usize {
        match self {
            Self::Directory(directory) => 1 + directory.entries.values().map(Self::depth).max().unwrap_or(0),
            _ => 0,
        }
    }
}

impl Tree {
    /// What is at these real names.
    pub(crate) fn at(&self, names: &[String]) -> Option<&Entry> {
        let (last, above) = names.split_last()?;
        self.directory(above)?.entries.get(last)
    }

    /// What is at these real names.
    pub(crate) fn at_mut(&mut self, names: &[String]) -> Option<&mut Entry> {
        let (last, above) = names.split_last()?;
        self.directory_mut(above)?.entries.get_mut(last)
    }

    /// The folder at these real names; none names the root.
    pub(crate) fn directory(&self, names: &[String]) -> Option<&Directory> {
        names.iter().try_fold(&self.root, |directory, name| match directory.entries.get(name)? {
            Entry::Directory(below) => Some(below),
            _ => None,
        })
    }

    /// The folder at these real names; none names the root.
    pub(crate) fn directory_mut(&mut self, names: &[String]) -> Option<&mut Directory> {
        names.iter().try_fold(&mut self.root, |directory, name| match directory.entries.get_mut(name)? {
            Entry::Directory(below) => Some(below),
            _ => None,
        })
    }

    /// Puts something at these real names, with the folders above it.
    pub(crate) fn set(&mut self, names: &[String], entry: Entry) -> Result<(), TreeError> {
        let shown = || format!("/{}", names.join("/"));
        let Some((last, above)) = names.split_last() else {
            return Err(TreeError::Path("/: the root folder cannot be replaced".into()));
        };
        if above.len() + entry.depth() > MAX_DEPTH {
            return Err(TreeError::Path(format!("{}: deeper than {MAX_DEPTH} folders", shown())));
        }
        let mut directory = &mut self.root;
        for name in above {
            let next = directory.entries.entry(name.clone()).or_insert_with(|| Entry::Directory(Directory::default()));
            match next {
                Entry::Directory(below) => directory = below,
                _ => return Err(TreeError::NotADirectory(shown())),
            }
        }
        directory.entries.insert(last.clone(), entry);
        Ok(())
    }

    /// Puts something at an absolute path that has no links above it, with the folders above it.
    pub fn put(&mut self, path: &str, entry: Entry) -> Result<(), TreeError> {
        self.set(&names(path)?, entry)
    }

    /// An empty folder where there is none yet.
    pub fn put_directory(&mut self, path: &str) -> Result<(), TreeError> {
        let names = names(path)?;
        match self.at(&names) {
            Some(Entry::Directory(_)) => Ok(()),
            _ if names.is_empty() => Ok(()),
            _ => self.set(&names, Entry::Directory(Directory::default())),
        }
    }

    /// What is at a path; a link as last component is not followed.
    pub fn entry(&self, path: &str) -> Option<&Entry> {
        let place = self.place(None, path, Last::Keep).ok()?;
        self.at(&place.names)
    }

    /// The regular file at a path; links are followed.
    pub fn file(&self, path: &str) -> Option<&File> {
        let place = self.place(None, path, Last::Follow).ok()?;
        match self.at(&place.names)? {
            Entry::File(file) => Some(file),
            _ => None,
        }
    }
}

/// The components of an absolute path.
fn names(path: &str) -> Result<Vec<String>, TreeError> {
    remotes_effect::policy::normalized(path).map_err(|failure| TreeError::Path(failure.message))
}
