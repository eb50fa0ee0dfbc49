//! Files that appear under their name only when they are complete.

use std::ffi::OsString;
use std::fs::File;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use remotes_effect::types::Failure;
use remotes_process::proc_path;
use remotes_process::report::{failure, io_failure};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::jail::Slot;

/// How often a new name is tried before giving up: a hostile folder may be full of them.
const NAMES: u32 = 16;

/// A file being made in the folder of a slot. Dropped before its end, nothing of it is left; where the
/// file system can (`O_TMPFILE`), nothing is left after `kill -9` either.
pub(crate) struct Beside<'s> {
    slot: &'s Slot,
    file: File,
    /// The name it has meanwhile, if any.
    name: Option<OsString>,
}

impl<'s> Beside<'s> {
    /// An empty file with these permission bits, as far as the process's umask lets them be.
    pub fn new(slot: &'s Slot, mode: Mode) -> Result<Self, Failure> {
        let fail = |errno| failure(slot.shown(), "make a file beside it", errno);
        let folder = slot.folder().fd();
        match rustix::fs::openat(folder, ".", OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, mode) {
            Ok(fd) => return Ok(Self { slot, file: fd.into(), name: None }),
            // File systems without it (NFS among them) answer in one of these ways.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {}
            Err(errno) => return Err(fail(errno)),
        }
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::RDWR | OFlags::CLOEXEC;
        let (fd, name) = with_new_name(|name| rustix::fs::openat(folder, name, flags, mode)).map_err(fail)?;
        Ok(Self { slot, file: fd.into(), name: Some(name) })
    }

    /// The file, open for reading and writing.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Where it is to appear, for messages.
    pub fn shown(&self) -> String {
        self.slot.shown()
    }

    /// Puts the file into the slot in one step, in place of what is there.
    pub fn replace(mut self) -> Result<(), Failure> {
        self.sync()?;
        let folder = self.slot.folder().fd();
        let fail = |errno| failure(self.slot.shown(), "put the new file in its place", errno);
        let name = match &self.name {
            Some(name) => name.clone(),
            // Where nothing is in its place, it needs no name before.
            None => match self.link(self.slot.name()) {
                Err(Errno::EXIST) => with_new_name(|name| self.link(name)).map_err(fail)?.1,
                result => return result.map_err(fail),
            },
        };
        self.name = Some(name.clone());
        rustix::fs::renameat(folder, &name, folder, self.slot.name()).map_err(fail)?;
        self.name = None;
        Ok(())
    }

    /// Puts the file into the slot, where nothing must be.
    pub fn create(self) -> Result<(), Failure> {
        self.sync()?;
        let folder = self.slot.folder().fd();
        match &self.name {
            None => self.link(self.slot.name()),
            Some(name) => rustix::fs::linkat(folder, name, folder, self.slot.name(), AtFlags::empty()),
        }
        .map_err(|errno| failure(self.slot.shown(), "make the file", errno))
    }

    fn sync(&self) -> Result<(), Failure> {
        self.file.sync_all().map_err(|error| io_failure(self.slot.shown(), "write it to the disk", &error))
    }

    fn link(&self, name: impl rustix::path::Arg) -> Result<(), Errno> {
        let flags = AtFlags::SYMLINK_FOLLOW;
        rustix::fs::linkat(CWD, proc_path(&self.file), self.slot.folder().fd(), name, flags)
    }
}

impl Drop for Beside<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            let _ = rustix::fs::unlinkat(self.slot.folder().fd(), name, AtFlags::empty());
        }
    }
}

/// Makes a link in the slot in one step, in place of what is there.
pub(crate) fn link(slot: &Slot, target: &[u8]) -> Result<(), Failure> {
    let folder = slot.folder().fd();
    let fail = |errno| failure(slot.shown(), "put the new link in its place", errno);
    let ((), name) = with_new_name(|name| rustix::fs::symlinkat(target, folder, name)).map_err(fail)?;
    rustix::fs::renameat(folder, &name, folder, slot.name()).map_err(|errno| {
        let _ = rustix::fs::unlinkat(folder, &name, AtFlags::empty());
        fail(errno)
    })
}

/// Does something with a name that nothing has.
fn with_new_name<T>(mut attempt: impl FnMut(&OsString) -> Result<T, Errno>) -> Result<(T, OsString), Errno> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..NAMES {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.subsec_nanos());
        let name = OsString::from(format!(".remotes-{}-{count}-{nanos:x}", std::process::id()));
        match attempt(&name) {
            Err(Errno::EXIST) => {}
            result => return result.map(|value| (value, name)),
        }
    }
    Err(Errno::EXIST)
}
