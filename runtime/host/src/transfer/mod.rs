//! Copies of files and folders: on this machine, or between it and other hosts. The bytes go from one end
//! to the other, by way of this machine where both are other hosts; a driver never sees them.
//!
//! Each end keeps the policy and the deadline by itself: it resolves its path below its own granted folders,
//! and trusts the other end in nothing.

mod between;
mod peer;
mod receive;
mod record;
mod send;
mod serve;
mod source;
mod target;

use std::ffi::OsStr;
use std::fs::File;

use remotes_effect::deadline::Deadline;
use remotes_effect::transfer::Executor;
use remotes_effect::types::{Failure, Place};
use rustix::fs::OFlags;

use crate::filesystem::copy;
use crate::jail::{Found, Jail};
use crate::progress::Progress;
pub(crate) use between::Between;
pub(crate) use peer::{Errand, Peer, Task};
pub use serve::{receive, send};
use source::{Source, Visitor};
use target::{Target, beside};

/// The executor of `transfer` where both places are on this machine.
#[derive(Debug, Clone, Copy)]
pub struct Transfer<'a> {
    jail: &'a Jail,
    deadline: Deadline,
}

impl<'a> Transfer<'a> {
    /// Acts below the jail's folders, no longer than until the deadline.
    pub fn new(jail: &'a Jail, deadline: Deadline) -> Self {
        Self { jail, deadline }
    }
}

impl Executor for Transfer<'_> {
    fn copy(&mut self, source: &Place, target: &Place) -> Result<u64, Failure> {
        let from = Source::survey(self.jail, &source.path, self.deadline)?;
        from.check_target(&target.path)?;
        let mut copying = Copying {
            target: Target::new(self.jail, &target.path, self.deadline),
            deadline: self.deadline,
            progress: Progress::new(&source.path),
            bytes: 0,
        };
        from.visit(&mut copying)?;
        Ok(copying.bytes)
    }
}

/// From folder to folder of one machine: the file system may share the blocks.
struct Copying<'a> {
    target: Target<'a>,
    deadline: Deadline,
    progress: Progress,
    bytes: u64,
}

impl Visitor for Copying<'_> {
    type Error = Failure;

    fn folder(&mut self, name: &OsStr, mode: u32) -> Result<(), Failure> {
        self.target.folder(name, mode)
    }

    fn leave(&mut self) -> Result<(), Failure> {
        self.target.leave()
    }

    fn file(&mut self, name: &OsStr, file: &Found) -> Result<(), Failure> {
        let path = file.shown();
        let from = file.again()?.regular(&path)?;
        let slot = self.target.slot(name)?;
        let size = u64::try_from(from.stat().st_size).unwrap_or(0);
        self.bytes = self.bytes.saturating_add(size);
        // Two names of one file: it is there already.
        if slot.stat()?.is_some_and(|stat| from.is(&stat)) {
            return Ok(());
        }
        let new = beside(&slot, 0)?;
        let content = File::from(from.open(OFlags::RDONLY)?);
        copy::copy(&content, new.file(), self.deadline, &mut self.progress)
            .map_err(|error| error.failure(&path, &slot.shown()))?;
        self.target.put(new, from.stat().st_mode)
    }

    fn link(&mut self, name: &OsStr, target: &[u8]) -> Result<(), Failure> {
        self.target.link(name, target)
    }
}
