//! Files that root acts by: nobody but root may have written them, nor be able to put others in their place.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, Stat, openat};
use rustix::io::Errno;
use thiserror::Error;

/// The largest file of bounds.
const LARGEST: u64 = 1024 * 1024;

/// A file that root must not act by.
#[derive(Debug, Error)]
pub enum TrustError {
    /// It cannot be looked at.
    #[error("{}: {source}", path.display())]
    Io {
        /// what
        path: PathBuf,
        /// why
        source: std::io::Error,
    },
    /// Somebody else could have written it, or can replace it.
    #[error("{}: refused, because {reason}; expected: it and the folders above it owned by root, writable by nobody else", path.display())]
    Open {
        /// what
        path: PathBuf,
        /// in what way it is open to others
        reason: String,
    },
    /// It is no file of bounds.
    #[error("{}: {reason}", path.display())]
    Unfit {
        /// what
        path: PathBuf,
        /// why not
        reason: &'static str,
    },
}

/// Whether the running program is root's alone: one in a remotes tree is its user's, who could have written it.
pub fn check_program(program: &Path) -> Result<(), TrustError> {
    let stat = rustix::fs::stat(program).map_err(|errno| io(program, errno))?;
    owned(program, &stat)?;
    check_above(program)
}

/// The text of a file; none where there is none.
pub fn read(file: &Path) -> Result<Option<String>, TrustError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let descriptor = match openat(CWD, file, flags, Mode::empty()) {
        Ok(descriptor) => descriptor,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(errno) => return Err(io(file, errno)),
    };
    let unfit = |reason| TrustError::Unfit { path: file.to_owned(), reason };
    let stat = rustix::fs::fstat(&descriptor).map_err(|errno| io(file, errno))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(unfit("is no regular file"));
    }
    owned(file, &stat)?;
    check_above(file)?;
    let mut text = String::new();
    let read = File::from(descriptor).take(LARGEST + 1).read_to_string(&mut text);
    read.map_err(|source| TrustError::Io { path: file.to_owned(), source })?;
    match text.len() as u64 > LARGEST {
        true => Err(unfit("is larger than a file of bounds can be")),
        false => Ok(Some(text)),
    }
}

fn io(path: &Path, errno: Errno) -> TrustError {
    TrustError::Io { path: path.to_owned(), source: errno.into() }
}

/// The folders above, as they really are.
fn check_above(path: &Path) -> Result<(), TrustError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().map_err(|source| TrustError::Io { path: folder.to_owned(), source })?;
    for folder in folder.ancestors() {
        owned(folder, &rustix::fs::stat(folder).map_err(|errno| io(folder, errno))?)?;
    }
    Ok(())
}

fn owned(path: &Path, stat: &Stat) -> Result<(), TrustError> {
    let mode = Mode::from_raw_mode(stat.st_mode);
    // In a folder with the sticky bit nobody replaces what is root's.
    let sticky = FileType::from_raw_mode(stat.st_mode) == FileType::Directory && mode.contains(Mode::SVTX);
    let reason = if stat.st_uid != 0 {
        format!("it belongs to uid {}", stat.st_uid)
    } else if mode.intersects(Mode::WGRP | Mode::WOTH) && !sticky {
        format!("others can write it (mode {:o})", mode.bits() & 0o7777)
    } else {
        return Ok(());
    };
    Err(TrustError::Open { path: path.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use super::*;

    fn mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn only_roots_files_are_read() {
        if !rustix::process::geteuid().is_root() {
            return remotes_test_support::skipped("files of root's need root");
        }
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("etc");
        std::fs::create_dir(&below).unwrap();
        let file = below.join("remotes-net.toml");
        assert_eq!(read(&file).unwrap(), None);
        std::fs::write(&file, "schema = 1").unwrap();
        mode(&file, 0o644);
        assert_eq!(read(&file).unwrap().as_deref(), Some("schema = 1"));
        let refused = |what: &str| {
            let error = read(&file).unwrap_err().to_string();
            assert!(error.contains(what), "{what}: {error}");
        };
        for open in [0o664, 0o646, 0o666] {
            mode(&file, open);
            refused("others can write it");
        }
        mode(&file, 0o644);
        chown(&file, Some(65534), None).unwrap();
        refused("it belongs to uid 65534");
        chown(&file, Some(0), None).unwrap();
        for open in [0o775, 0o757] {
            mode(&below, open);
            refused("others can write it");
        }
        mode(&below, 0o1777);
        assert!(read(&file).is_ok());
        mode(&below, 0o755);
        chown(&below, Some(65534), None).unwrap();
        refused("it belongs to uid 65534");
        chown(&below, Some(0), None).unwrap();
        let link = below.join("link");
        symlink(&file, &link).unwrap();
        assert!(read(&link).is_err());
        assert!(read(&below).is_err());
        std::fs::write(&file, "#".repeat(1024 * 1024 + 1)).unwrap();
        refused("larger");
    }
}
