//! The capability `transfer`.

use remotes_effect::policy::Access;
use remotes_effect::transfer::Executor;
use remotes_effect::types::{Failure, Place};

use super::change::Disk;
use super::{Entry, Last};
use crate::Simulation;

impl Executor for Simulation {
    fn copy(&mut self, source: &Place, target: &Place) -> Result<u64, Failure> {
        let disk = self.disk(&source.on)?;
        let from = disk.find(&source.path, Access::ReadOnly, Last::Follow)?;
        let entry = disk.entry(&source.path, Last::Follow)?.clone();
        let mut disk = self.disk(&target.on)?;
        if source.on == target.on {
            let to = disk.slot(&target.path)?;
            // Two names of one thing: it is there already.
            if to == from {
                return Ok(size(&entry));
            }
            if to.starts_with(&from) {
                let (source, target) = (&source.path, &target.path);
                return Err(Failure::invalid(format!("{source}: a folder cannot be copied into itself ({target})")));
            }
        }
        // Half of a folder is none: what fails has changed nothing.
        let before = disk.tree.clone();
        let copied = lay(&mut disk, entry, &target.path);
        if copied.is_err() {
            *disk.tree = before;
        }
        copied
    }
}

/// Lays an entry and all below it into a place; returns the bytes of files.
fn lay(disk: &mut Disk<'_>, entry: Entry, path: &str) -> Result<u64, Failure> {
    match entry {
        Entry::File(file) => {
            let bytes = file.size;
            disk.put_file(path, file)?;
            Ok(bytes)
        }
        Entry::Link(link) => disk.put_link(path, &link.target).map(|()| 0),
        Entry::Directory(directory) => {
            disk.make_directory(path, directory.mode)?;
            let mut bytes: u64 = 0;
            for (name, below) in directory.entries {
                bytes = bytes.saturating_add(lay(disk, below, &format!("{path}/{name}"))?);
            }
            Ok(bytes)
        }
        _ => Err(Failure::invalid(format!("{path}: neither a file, a folder nor a link"))),
    }
}

fn size(entry: &Entry) -> u64 {
    match entry {
        Entry::File(file) => file.size,
        Entry::Directory(directory) => directory.entries.values().map(size).fold(0, u64::saturating_add),
        _ => 0,
    }
}
