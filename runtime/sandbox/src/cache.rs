//! Compiled components on disk.
//!
//! A precompiled component is native code. It is loaded only from a folder that nobody but root and the
//! runtime's user can write, and only when its bytes have the digest that was recorded when it was made.
//! The check and the mapping use one open file, so that replacing the file between them changes nothing.
//!
//! A driver may be replaced by another version of itself while it is loaded. The files of each version have names of
//! their own, which its manifest knows; whoever does not find them any more reads the manifest anew.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};

use remotes_effect::trust;
use rustix::fs::{Mode, OFlags, fstat, openat};
use sha2::{Digest, Sha256};
use thiserror::Error;
use wasmtime::Engine;
use wasmtime::component::Component;

pub use host::Host;
use manifest::Manifest;

mod host;
pub mod manifest;

/// How often a manifest is read whose files are gone: a version may have come and another one since.
const ATTEMPTS: usize = 16;

/// A component that is not loaded.
#[derive(Debug, Error)]
pub enum CacheError {
    /// Something cannot be opened or read.
    #[error("{}: {reason}", path.display())]
    Io {
        /// what
        path: PathBuf,
        /// why
        reason: std::io::Error,
    },
    /// The manifest names code that is not there.
    #[error("{}: not there, though {} names it; install the driver again", path.display(), manifest::FILE)]
    Gone {
        /// what
        path: PathBuf,
    },
    /// Others could have written it.
    #[error("{}: refused, because {reason}; expected: owned by root or the user running this (uid {user}), writable by nobody else", path.display())]
    Untrusted {
        /// what
        path: PathBuf,
        /// in what way it is open to others
        reason: String,
        /// effective user
        user: u32,
    },
    /// It is not what was installed.
    #[error("{}: refused, because its content is not what was recorded when it was installed (recorded sha256 {recorded}, found {found}); install the driver again", path.display())]
    Altered {
        /// what
        path: PathBuf,
        /// digest in the manifest
        recorded: String,
        /// digest of the bytes
        found: String,
    },
    /// The manifest is not understood.
    #[error("{}: {message}; install the driver again", path.display())]
    Manifest {
        /// the file
        path: PathBuf,
        /// what is wrong
        message: String,
    },
    /// There is no code for this engine on this architecture.
    #[error("{}: not compiled for this machine ({reason})", path.display())]
    NotCompiled {
        /// the driver's folder
        path: PathBuf,
        /// what was found instead
        reason: String,
    },
}

impl CacheError {
    /// Whether it may be over in a moment: what copies a tree brings one file after the other.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Gone { .. } | Self::Altered { .. } | Self::Manifest { .. } => true,
            Self::Io { .. } | Self::Untrusted { .. } | Self::NotCompiled { .. } => false,
        }
    }

    /// Of something that a manifest names.
    fn gone(self) -> Self {
        match self {
            Self::Io { path, reason } if reason.kind() == ErrorKind::NotFound => Self::Gone { path },
            error => error,
        }
    }
}

/// A folder that was seen to be writable by nobody else.
pub struct TrustedFolder {
    path: PathBuf,
    descriptor: rustix::fd::OwnedFd,
}

impl TrustedFolder {
    /// Opens the folder and looks at its owner and mode.
    pub fn open(path: &Path) -> Result<Self, CacheError> {
        let descriptor =
            openat(rustix::fs::CWD, path, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                .map_err(|error| CacheError::Io { path: path.to_owned(), reason: error.into() })?;
        trusted(descriptor.as_fd(), path)?;
        Ok(Self { path: path.to_owned(), descriptor })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a regular file in it, never through a link.
    fn file(&self, name: &str) -> Result<File, CacheError> {
        let path = self.path.join(name);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let descriptor = openat(&self.descriptor, name, flags, Mode::empty())
            .map_err(|error| CacheError::Io { path: path.clone(), reason: error.into() })?;
        trusted(descriptor.as_fd(), &path)?;
        Ok(File::from(descriptor))
    }

    /// Reads a file of at most `most` bytes.
    pub fn read(&self, name: &str, most: u64) -> Result<Vec<u8>, CacheError> {
        let path = self.path.join(name);
        let io = |reason| CacheError::Io { path: path.clone(), reason };
        let mut bytes = Vec::new();
        self.file(name)?.take(most + 1).read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() as u64 > most {
            return Err(CacheError::Manifest { path, message: format!("larger than {most} bytes") });
        }
        Ok(bytes)
    }

    /// Reads and parses the driver's manifest.
    pub fn manifest(&self) -> Result<Manifest, CacheError> {
        let path = self.path.join(manifest::FILE);
        let text = self.read(manifest::FILE, 64 * 1024).map_err(|error| match error {
            CacheError::Io { path, reason } if reason.kind() == ErrorKind::NotFound => {
                CacheError::Manifest { path, message: "not there".to_owned() }
            }
            error => error,
        })?;
        Manifest::parse(&text).map_err(|message| CacheError::Manifest { path, message })
    }

    /// Reads the component that the manifest names, of at most `most` bytes.
    fn component(&self, manifest: &Manifest, most: u64) -> Result<Vec<u8>, CacheError> {
        let (name, recorded) = (manifest::component_file(&manifest.component), &manifest.component);
        let bytes = self.read(&name, most).map_err(CacheError::gone)?;
        let found = digest(&bytes);
        match found == *recorded {
            true => Ok(bytes),
            false => Err(CacheError::Altered { path: self.path.join(name), recorded: recorded.clone(), found }),
        }
    }

    /// Loads the code that the manifest names for this machine, if its digest is the recorded one.
    fn code(&self, manifest: &Manifest, engine: &Engine) -> Result<Component, CacheError> {
        let Some(recorded) = manifest.precompiled.get(std::env::consts::ARCH) else {
            let reason = format!("the tree has code for {}", manifest.architectures());
            return Err(CacheError::NotCompiled { path: self.path.clone(), reason });
        };
        let name = manifest::code_file(std::env::consts::ARCH, recorded);
        let path = self.path.join(&name);
        let mut file = self.file(&name).map_err(CacheError::gone)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|reason| CacheError::Io { path: path.clone(), reason })?;
        let found = digest(&bytes);
        if found != *recorded {
            return Err(CacheError::Altered { path, recorded: recorded.clone(), found });
        }
        drop(bytes);
        let opened = format!("/proc/self/fd/{}", file.as_raw_fd());
        deserialize(engine, &opened).map_err(|error| CacheError::NotCompiled { path, reason: format!("{error:#}") })
    }

    /// The manifest with what it names. Where that is gone, another version has come: then by the manifest of that.
    fn settled<T>(&self, part: impl Fn(&Manifest) -> Result<T, CacheError>) -> Result<(Manifest, T), CacheError> {
        let mut attempts = 1..ATTEMPTS;
        loop {
            let manifest = self.manifest()?;
            match part(&manifest) {
                Ok(part) => return Ok((manifest, part)),
                Err(CacheError::Gone { .. }) if attempts.next().is_some() => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[allow(unsafe_code)]
fn deserialize(engine: &Engine, opened: &str) -> wasmtime::Result<Component> {
    // SAFETY: the engine runs whatever the file holds. It was made by `Engine::precompile_component`: its
    // digest is the one recorded then, and only root or this user could have written file or record since.
    unsafe { Component::deserialize_file(engine, opened) }
}

/// Loads code that was compiled a moment ago and has been in no file since.
///
/// # Errors
/// What the engine says of code that is not for it.
#[allow(unsafe_code)]
pub fn load_compiled(engine: &Engine, code: &[u8]) -> Result<Component, String> {
    // SAFETY: the engine runs whatever the bytes hold. The caller has them from `Engine::precompile_component`.
    unsafe { Component::deserialize(engine, code) }.map_err(|error| format!("{error:#}"))
}

fn trusted(descriptor: BorrowedFd<'_>, path: &Path) -> Result<(), CacheError> {
    let stat = fstat(descriptor).map_err(|error| CacheError::Io { path: path.to_owned(), reason: error.into() })?;
    let user = rustix::process::geteuid().as_raw();
    match trust::open_to_others(stat.st_uid, stat.st_mode, user) {
        None => Ok(()),
        Some(reason) => Err(CacheError::Untrusted { path: path.to_owned(), reason, user }),
    }
}

/// SHA-256, hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Loads a driver from its folder in the tree: the manifest, and the code for this architecture.
///
/// # Errors
/// [`CacheError::NotCompiled`] where the tree has no code that this engine can load; the host's own cache
/// may have it, see [`Host`].
pub fn load(folder: &Path, engine: &Engine) -> Result<(Manifest, Component), CacheError> {
    let folder = TrustedFolder::open(folder)?;
    folder.settled(|manifest| folder.code(manifest, engine))
}

/// Reads a driver's manifest and its component, of at most `most` bytes, from its folder in the tree.
pub fn component(folder: &Path, most: u64) -> Result<(Manifest, Vec<u8>), CacheError> {
    let folder = TrustedFolder::open(folder)?;
    folder.settled(|manifest| folder.component(manifest, most))
}
