//! Removing a folder with all that is in it, through descriptors: a link met on the way is removed
//! itself, a mount point is left alone.

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

use remotes_effect::deadline::Deadline;
use remotes_effect::types::Failure;
use remotes_process::report::{failure, timeout};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::jail::Slot;

/// Folders within folders: each is a descriptor.
const MAX_DEPTH: usize = 256;
/// How often a folder is gone through that somebody else fills meanwhile.
const PASSES: usize = 3;

/// Removes the folder in the slot. Interrupted, it can be repeated.
pub(super) fn tree(slot: &Slot, deadline: Deadline) -> Result<(), Failure> {
    let removal = Removal { path: slot.shown(), deadline };
    removal.folder(slot.folder().fd(), slot.name(), 0)
}

struct Removal {
    path: String,
    deadline: Deadline,
}

impl Removal {
    fn folder<P: rustix::path::Arg + Copy>(&self, parent: impl AsFd, name: P, depth: usize) -> Result<(), Failure> {
        if depth == MAX_DEPTH {
            return Err(Failure::invalid(format!(
                "{}: cannot remove: more than {MAX_DEPTH} folders within one another",
                self.path
            )));
        }
        for pass in 1.. {
            let folder = match open(&parent, name) {
                Ok(folder) => folder,
                Err(Errno::NOENT) => return Ok(()),
                // Somebody put something else in its place.
                Err(Errno::NOTDIR | Errno::LOOP) => return self.file(&parent, name),
                Err(Errno::XDEV) => {
                    return Err(Failure::busy(format!(
                        "{}: cannot remove: something is mounted in it; unmount it first",
                        self.path
                    )));
                }
                Err(errno) => return Err(self.fail(errno)),
            };
            self.content(&folder, depth)?;
            match rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => return Ok(()),
                Err(Errno::NOTEMPTY | Errno::EXIST) if pass < PASSES => {}
                Err(errno) => return Err(self.fail(errno)),
            }
        }
        Ok(())
    }

    fn content(&self, folder: &OwnedFd, depth: usize) -> Result<(), Failure> {
        for entry in Dir::read_from(folder).map_err(|errno| self.fail(errno))? {
            if self.deadline.passed() {
                return Err(timeout(&self.path, "removing; a part is gone, repeat it to remove the rest"));
            }
            let entry = entry.map_err(|errno| self.fail(errno))?;
            let name: &CStr = entry.file_name();
            match (name.to_bytes(), entry.file_type()) {
                (b"." | b"..", _) => {}
                (_, FileType::Directory | FileType::Unknown) => self.folder(folder, name, depth + 1)?,
                _ => self.file(folder, name)?,
            }
        }
        Ok(())
    }

    fn file<P: rustix::path::Arg>(&self, parent: impl AsFd, name: P) -> Result<(), Failure> {
        match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.fail(errno)),
        }
    }

    fn fail(&self, errno: Errno) -> Failure {
        failure(&self.path, "remove", errno)
    }
}

/// Opens a folder; fails with `XDEV` where another file system, or another part of this one, is mounted.
fn open<P: rustix::path::Arg + Copy>(parent: &impl AsFd, name: P) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    match rustix::fs::openat2(parent, name, flags, Mode::empty(), resolve) {
        Err(Errno::NOSYS) => {
            let folder = rustix::fs::openat(parent, name, flags, Mode::empty())?;
            match rustix::fs::fstat(&folder)?.st_dev == rustix::fs::fstat(parent)?.st_dev {
                true => Ok(folder),
                false => Err(Errno::XDEV),
            }
        }
        result => result,
    }
}
