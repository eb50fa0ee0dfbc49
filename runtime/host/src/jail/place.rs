//! What comes out of resolving: descriptors of what was checked.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

use remotes_effect::types::Failure;
use remotes_process::proc_path;
use remotes_process::report::{failure, io_failure, shown};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::steps::{absolute, names};

/// Something that exists below a granted folder, held by a descriptor that can only be looked through
/// (`O_PATH`): nothing was opened yet, so neither a FIFO can block nor a device act.
#[derive(Debug)]
pub struct Found {
    fd: OwnedFd,
    stat: Stat,
    position: Vec<OsString>,
    grant: usize,
}

impl Found {
    pub(super) fn new(fd: OwnedFd, position: Vec<OsString>, grant: usize) -> Result<Self, Failure> {
        let stat = rustix::fs::fstat(&fd).map_err(|errno| failure(absolute(&position), "look at it", errno))?;
        Ok(Self { fd, stat, position, grant })
    }

    /// Its descriptor.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The same once more, under a descriptor of its own.
    pub fn again(&self) -> Result<Self, Failure> {
        let fd = self.fd.try_clone().map_err(|error| io_failure(absolute(&self.position), "open it", &error))?;
        Ok(Self { fd, stat: self.stat, position: self.position.clone(), grant: self.grant })
    }

    /// Its descriptor, to be handed on.
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// What the system says about it.
    pub fn stat(&self) -> &Stat {
        &self.stat
    }

    /// Which kind of file it is.
    pub fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }

    /// Where it really is, for messages.
    pub fn shown(&self) -> String {
        shown(absolute(&self.position))
    }

    /// Which kind of file it is, for messages.
    pub fn named(&self) -> &'static str {
        named(self.kind())
    }

    /// Whether both are one file.
    pub fn is(&self, other: &Stat) -> bool {
        (self.stat.st_dev, self.stat.st_ino) == (other.st_dev, other.st_ino)
    }

    /// Whether its way leads through the other, or ends there.
    pub fn is_at_or_below(&self, other: &Self) -> bool {
        self.position.starts_with(&other.position)
    }

    pub(super) fn is_link(&self) -> bool {
        self.kind() == FileType::Symlink
    }

    pub(super) fn position(&self) -> &[OsString] {
        &self.position
    }

    pub(super) fn grant(&self) -> usize {
        self.grant
    }

    /// Itself, where it is a folder.
    pub fn folder(self, path: &str) -> Result<Self, Failure> {
        match self.kind() {
            FileType::Directory => Ok(self),
            _ => Err(failure(path, "use it as a folder", Errno::NOTDIR)),
        }
    }

    /// Itself, where it is a regular file.
    pub fn regular(self, path: &str) -> Result<Self, Failure> {
        match self.kind() {
            FileType::RegularFile => Ok(self),
            _ => Err(Failure::invalid(format!("{}: is {}, not a regular file", shown(path), self.named()))),
        }
    }

    /// Opens exactly this file or folder for use.
    pub fn open(&self, flags: OFlags) -> Result<OwnedFd, Failure> {
        // Another process may hold a lease on a file: better told so than blocked.
        let flags = flags | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        rustix::fs::openat(CWD, proc_path(&self.fd), flags, Mode::empty())
            .map_err(|errno| failure(absolute(&self.position), "open it", errno))
    }

    /// Sets the permission bits of exactly this file or folder.
    pub fn set_mode(&self, mode: Mode) -> Result<(), Failure> {
        rustix::fs::chmodat(CWD, proc_path(&self.fd), mode, AtFlags::empty())
            .map_err(|errno| failure(absolute(&self.position), "set its permission bits", errno))
    }
}

/// A name in a folder below (or at) a granted folder: where something is made, moved or removed.
#[derive(Debug)]
pub struct Slot {
    folder: Found,
    name: OsString,
}

impl Slot {
    pub(super) fn new(folder: Found, name: OsString) -> Self {
        Self { folder, name }
    }

    /// The folder.
    pub fn folder(&self) -> &Found {
        &self.folder
    }

    /// The name in it: one component, never `.` or `..`.
    pub fn name(&self) -> &OsStr {
        &self.name
    }

    /// Where it is, for messages.
    pub fn shown(&self) -> String {
        shown(absolute(&self.position()))
    }

    pub(super) fn position(&self) -> Vec<OsString> {
        let mut position = self.folder.position.clone();
        position.push(self.name.clone());
        position
    }

    /// What is there now, if anything; a link itself, not what it leads to.
    pub fn stat(&self) -> Result<Option<Stat>, Failure> {
        match rustix::fs::statat(self.folder.fd(), &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(failure(self.shown(), "look at it", errno)),
        }
    }

    /// Refuses where something is that a file must not replace.
    pub fn replaceable(&self) -> Result<(), Failure> {
        match self.stat()?.map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            None | Some(FileType::RegularFile | FileType::Symlink) => Ok(()),
            Some(kind) => Err(Failure::invalid(format!("{}: is {}, not a regular file", self.shown(), named(kind)))),
        }
    }
}

/// The components of a path that the kernel gave.
pub(super) fn canonical(folder: &str, path: &[u8]) -> Result<Vec<OsString>, Failure> {
    match path.strip_prefix(b"/") {
        Some(_) => Ok(names(path)),
        None => Err(Failure::failed(format!(
            "{}: the system knows it as {}, expected an absolute path; is it in another mount namespace?",
            shown(folder),
            shown(OsStr::from_bytes(path))
        ))),
    }
}

fn named(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "a regular file",
        FileType::Directory => "a folder",
        FileType::Symlink => "a link",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice => "a character device",
        FileType::BlockDevice => "a block device",
        FileType::Unknown => "of an unknown kind",
    }
}
