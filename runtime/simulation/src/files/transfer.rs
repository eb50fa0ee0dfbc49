//! The capability `transfer`.

use remotes_effect::transfer::Executor;
use remotes_effect::types::{Failure, Place};

use super::{Entry, Last};
use crate::Simulation;

impl Executor for Simulation {
    fn copy(&mut self, source: &Place, target: &Place) -> Result<u64, Failure> {
        let entry = self.disk(&source.on)?.entry(&source.path, Last::Follow)?.clone();
        self.put(entry, target)
    }
}

impl Simulation {
    /// Lays an entry and all below it into a place; returns the bytes of files.
    fn put(&mut self, entry: Entry, target: &Place) -> Result<u64, Failure> {
        match entry {
            Entry::File(file) => {
                let bytes = file.size;
                self.disk(&target.on)?.put_file(&target.path, file)?;
                Ok(bytes)
            }
            Entry::Link(link) => self.disk(&target.on)?.link(&target.path, &link.target).map(|()| 0),
            Entry::Directory(directory) => {
                self.disk(&target.on)?.make_directory(&target.path, directory.mode)?;
                let mut bytes = 0;
                for (name, below) in directory.entries {
                    let path = format!("{}/{name}", target.path);
                    bytes += self.put(below, &Place { on: target.on.clone(), path })?;
                }
                Ok(bytes)
            }
            _ => Err(Failure::invalid(format!("{}: neither a file, a folder nor a link", target.path))),
        }
    }
}
