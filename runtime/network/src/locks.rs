//! Locks between drivers, in the files that OpenNebula's own programs use.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use remotes_effect::deadline::Deadline;
use remotes_effect::locks::Executor;
use remotes_effect::network::names;
use remotes_effect::types::Failure;
use remotes_process::report::{failure, shown, timeout};
use rustix::fs::{CWD, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

/// The folder of the stock network drivers' locks.
const FOLDER: &str = "/tmp";
/// The lock around commands in guests, which the stock probe takes to collect what came of them.
const EXEC: (&str, &str) = ("exec", ".exec-lock");
/// The folder of that one.
const EXEC_FOLDER: &str = "/var/run/one";

/// How long the first wait for a lock is, and the longest.
const SHORT: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_millis(50);

/// Locks of one action. They go with it, also when it is killed.
#[derive(Debug)]
pub struct Locks {
    folder: PathBuf,
    exec: PathBuf,
    held: BTreeMap<String, OwnedFd>,
}

impl Default for Locks {
    fn default() -> Self {
        Self { exec: EXEC_FOLDER.into(), ..Self::below(FOLDER) }
    }
}

impl Locks {
    /// Locks in another folder than the host's.
    pub fn below(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        Self { exec: folder.clone(), folder, held: BTreeMap::new() }
    }

    /// The folder of these locks.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The executor for an action that ends at `deadline`.
    pub fn until(&mut self, deadline: Deadline) -> Waiting<'_> {
        Waiting { locks: self, deadline }
    }

    fn open(&self, name: &str) -> Result<(PathBuf, OwnedFd), Failure> {
        names::lock(name)?;
        let path = match name {
            name if name == EXEC.0 => self.exec.join(EXEC.1),
            name => self.folder.join(format!("onevnm-{name}-lock")),
        };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        // In a sticky folder even root must not open another's file by O_CREAT.
        let opened = match rustix::fs::openat(CWD, &path, flags, Mode::empty()) {
            Err(Errno::NOENT) => {
                match rustix::fs::openat(CWD, &path, flags | OFlags::CREATE | OFlags::EXCL, Mode::from(0o644)) {
                    Err(Errno::EXIST) => rustix::fs::openat(CWD, &path, flags, Mode::empty()),
                    other => other,
                }
            }
            other => other,
        };
        let fd = opened.map_err(|errno| failure(&path, "open the lock", errno))?;
        let stat = rustix::fs::fstat(&fd).map_err(|errno| failure(&path, "open the lock", errno))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok((path, fd)),
            _ => Err(Failure::failed(format!("{}: is no regular file; remove it", shown(&path)))),
        }
    }
}

/// Locks that are waited for no longer than the action may take.
#[derive(Debug)]
pub struct Waiting<'a> {
    locks: &'a mut Locks,
    deadline: Deadline,
}

impl Waiting<'_> {
    /// Takes a lock that lasts as long as the descriptor.
    pub(super) fn take(&self, name: &str) -> Result<OwnedFd, Failure> {
        let (path, fd) = self.locks.open(name)?;
        let mut pause = SHORT;
        while !is_taken(&path, &fd)? {
            if self.deadline.passed() {
                return Err(timeout(&path, "waiting for the lock; another driver holds it"));
            }
            std::thread::sleep(pause.min(self.deadline.left()));
            pause = (pause * 2).min(LONG);
        }
        Ok(fd)
    }
}

/// Takes the lock of an open file, where nobody holds it.
fn is_taken(path: &Path, fd: &OwnedFd) -> Result<bool, Failure> {
    match rustix::fs::flock(fd, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(false),
        Err(errno) => Err(failure(path, "take the lock", errno)),
    }
}

impl Executor for Waiting<'_> {
    fn acquire(&mut self, name: &str) -> Result<(), Failure> {
        if !self.locks.held.contains_key(name) {
            let fd = self.take(name)?;
            self.locks.held.insert(name.to_owned(), fd);
        }
        Ok(())
    }

    fn try_acquire(&mut self, name: &str) -> Result<bool, Failure> {
        if self.locks.held.contains_key(name) {
            return Ok(true);
        }
        let (path, fd) = self.locks.open(name)?;
        let taken = is_taken(&path, &fd)?;
        if taken {
            self.locks.held.insert(name.to_owned(), fd);
        }
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn a_lock_is_held_once_and_goes_with_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let soon = || Deadline::after(Duration::from_millis(20));
        let (mut first, mut second) = (Locks::below(folder.path()), Locks::below(folder.path()));
        first.until(soon()).acquire("a::b").unwrap();
        first.until(soon()).acquire("a::b").unwrap();
        assert!(second.until(soon()).acquire("a::b").is_err());
        second.until(soon()).acquire("c").unwrap();
        // Who does not wait is told at once, however long it may take.
        let late = || Deadline::after(Duration::from_secs(3600));
        assert_eq!(first.until(late()).try_acquire("a::b"), Ok(true));
        assert_eq!(second.until(late()).try_acquire("a::b"), Ok(false));
        assert_eq!(second.until(late()).try_acquire("d"), Ok(true));
        assert!(first.until(soon()).acquire("d").is_err());
        drop(first);
        second.until(soon()).acquire("a::b").unwrap();
        assert!(folder.path().join("onevnm-a::b-lock").is_file());
        second.until(soon()).acquire("exec").unwrap();
        assert!(folder.path().join(".exec-lock").is_file());
    }

    #[test]
    fn what_lies_in_the_way_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("onevnm-a-lock")).unwrap();
        std::fs::create_dir(folder.path().join("onevnm-b-lock")).unwrap();
        let mut locks = Locks::below(folder.path());
        for name in ["a", "b", "../x", "x/../y", ""] {
            assert!(locks.until(Deadline::after(Duration::from_millis(5))).acquire(name).is_err(), "{name}");
            assert!(locks.until(Deadline::after(Duration::from_millis(5))).try_acquire(name).is_err(), "{name}");
        }
    }
}
