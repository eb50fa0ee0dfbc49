//! Where a copy is laid down: what is there already and has no part in it stays.

use std::ffi::OsStr;

use remotes_effect::deadline::Deadline;
use remotes_effect::types::{Failure, FailureKind};
use remotes_process::report::{failure, io_failure, shown};
use rustix::fs::Mode;

use super::source::{MAX_DEPTH, MAX_ENTRIES};
use crate::beside::{self, Beside};
use crate::filesystem::{Filesystem, link};
use crate::jail::{Found, Jail, Slot};

/// A file or folder being laid down at a path.
#[derive(Debug)]
pub(super) struct Target<'a> {
    jail: &'a Jail,
    path: &'a str,
    deadline: Deadline,
    folders: Vec<Folder>,
    entries: usize,
    touched: bool,
}

#[derive(Debug)]
struct Folder {
    found: Found,
    /// The permission bits that it gets at the end, where it is new.
    mode: Option<Mode>,
}

impl<'a> Target<'a> {
    /// Makes nothing yet.
    pub fn new(jail: &'a Jail, path: &'a str, deadline: Deadline) -> Self {
        Self { jail, path, deadline, folders: Vec::new(), entries: 0, touched: false }
    }

    /// Whether anything was changed.
    pub fn is_touched(&self) -> bool {
        self.touched
    }

    /// Whether nothing has begun.
    pub fn is_new(&self) -> bool {
        self.entries == 0
    }

    /// Whether it is inside of no folder.
    pub fn is_outside(&self) -> bool {
        self.folders.is_empty()
    }

    /// Into a folder, which is made where it is missing.
    pub fn folder(&mut self, name: &OsStr, mode: u32) -> Result<(), Failure> {
        self.count()?;
        let mode = Mode::from_raw_mode(mode);
        // Until all is in it, its owner must be able to put things there.
        let meanwhile = Some(mode | Mode::RWXU);
        let (found, made) = match self.folders.last() {
            Some(_) if self.folders.len() > MAX_DEPTH => {
                return Err(Failure::invalid(format!(
                    "{}: more than {MAX_DEPTH} folders within one another",
                    shown(self.path)
                )));
            }
            Some(above) => self.jail.enter(&above.found, name, meanwhile)?,
            None => Filesystem::new(self.jail, self.deadline).folder(self.path, mode | Mode::RWXU)?,
        };
        self.touched |= made;
        self.folders.push(Folder { found, mode: made.then_some(mode) });
        Ok(())
    }

    /// Back out of the folder.
    pub fn leave(&mut self) -> Result<(), Failure> {
        match self.folders.pop() {
            Some(Folder { found, mode: Some(mode) }) => found.set_mode(mode),
            _ => Ok(()),
        }
    }

    /// Where a file of this name is to be.
    pub fn slot(&mut self, name: &OsStr) -> Result<Slot, Failure> {
        self.count()?;
        let slot = match self.folders.last() {
            Some(folder) => self.jail.slot_in(folder.found.again()?, name)?,
            None => self.jail.slot(self.path)?,
        };
        slot.replaceable()?;
        Ok(slot)
    }

    /// Puts a complete file into its place.
    pub fn put(&mut self, new: Beside<'_>, mode: u32) -> Result<(), Failure> {
        let shown = new.shown();
        // The process's umask took bits away.
        rustix::fs::fchmod(new.file(), Mode::from_raw_mode(mode & 0o777))
            .map_err(|errno| failure(shown, "set its permission bits", errno))?;
        new.replace()?;
        self.touched = true;
        Ok(())
    }

    /// Makes a link, in place of a file or another link.
    pub fn link(&mut self, name: &OsStr, target: &[u8]) -> Result<(), Failure> {
        let slot = self.slot(name)?;
        match link::make(self.jail, &slot, target) {
            Err(failure) if failure.kind == FailureKind::Exists => beside::link(&slot, target)?,
            result => result?,
        }
        self.touched = true;
        Ok(())
    }

    fn count(&mut self) -> Result<(), Failure> {
        self.entries += 1;
        match self.entries > MAX_ENTRIES {
            true => Err(Failure::invalid(format!("{}: more than {MAX_ENTRIES} entries", shown(self.path)))),
            false => Ok(()),
        }
    }
}

/// An empty file as long as the one that it becomes: all of it a hole.
pub(super) fn beside(slot: &Slot, size: u64) -> Result<Beside<'_>, Failure> {
    let new = Beside::new(slot, Mode::RUSR | Mode::WUSR)?;
    new.file().set_len(size).map_err(|error| io_failure(slot.shown(), "make it so long", &error))?;
    Ok(new)
}
