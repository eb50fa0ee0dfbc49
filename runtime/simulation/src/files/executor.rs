//! The capability `filesystem`.

use remotes_effect::filesystem::{Executor, Metadata};
use remotes_effect::policy::Access;
use remotes_effect::types::{Failure, Node, Place};

use super::archive;
use super::change::{Disk, permissions};
use super::{Entry, File, Last};
use crate::Simulation;

/// Files that are read or written whole are no longer than this.
pub(crate) const MAX_FILE: u64 = 4 * 1024 * 1024;
/// Folders that are listed have no more entries than this.
const MAX_ENTRIES: usize = 10_000;

impl Simulation {
    pub(crate) fn disk(&mut self, on: &Node) -> Result<Disk<'_>, Failure> {
        let now = self.clock.seconds();
        self.machine(on)?;
        let Self { here, hosts, policy, .. } = self;
        let machine = match on {
            Node::Host(name) => hosts.get_mut(name).unwrap_or(here),
            Node::Here => here,
        };
        Ok(Disk { tree: &mut machine.files, grants: policy.as_ref().map(|policy| &policy.paths), now })
    }

    pub(crate) fn disk_of_both(&mut self, source: &Place, target: &Place) -> Result<Disk<'_>, Failure> {
        match source.on == target.on {
            true => self.disk(&source.on),
            false => Err(Failure::invalid("both places must be on the same node")),
        }
    }
}

impl Executor for Simulation {
    fn stat(&mut self, at: &Place) -> Result<Metadata, Failure> {
        let disk = self.disk(&at.on)?;
        // The root folder is in no other.
        match disk.folder(&at.path) {
            Ok(root) if std::ptr::eq(root, &disk.tree.root) => Ok(Entry::Directory(root.clone()).metadata()),
            _ => Ok(disk.entry(&at.path, Last::Keep)?.metadata()),
        }
    }

    fn entries(&mut self, at: &Place) -> Result<Vec<String>, Failure> {
        let disk = self.disk(&at.on)?;
        let folder = disk.folder(&at.path)?;
        if folder.entries.len() > MAX_ENTRIES {
            return Err(Failure::invalid(format!("{}: has more than {MAX_ENTRIES} entries", at.path)));
        }
        Ok(folder.entries.keys().cloned().collect())
    }

    fn read(&mut self, at: &Place) -> Result<Vec<u8>, Failure> {
        let disk = self.disk(&at.on)?;
        let file = disk.regular(&at.path)?;
        within(&at.path, file.size)?;
        Ok(file.bytes())
    }

    fn write(&mut self, at: &Place, content: &[u8], mode: u32) -> Result<(), Failure> {
        within(&at.path, content.len() as u64)?;
        let mode = permissions(&at.path, mode)?;
        let file = File { mode, ..File::new(content.to_vec()) };
        self.disk(&at.on)?.put_file(&at.path, file)
    }

    fn make_directory(&mut self, at: &Place, mode: u32) -> Result<(), Failure> {
        self.disk(&at.on)?.make_directory(&at.path, mode)
    }

    fn read_link(&mut self, at: &Place) -> Result<String, Failure> {
        match self.disk(&at.on)?.entry(&at.path, Last::Keep)? {
            Entry::Link(link) => Ok(link.target.clone()),
            _ => Err(Failure::invalid(format!("{}: is no link", at.path))),
        }
    }

    fn link(&mut self, at: &Place, target: &str) -> Result<(), Failure> {
        self.disk(&at.on)?.link(&at.path, target)
    }

    fn rename(&mut self, source: &Place, target: &Place) -> Result<(), Failure> {
        self.disk_of_both(source, target)?.rename(&source.path, &target.path)
    }

    fn copy(&mut self, source: &Place, target: &Place) -> Result<(), Failure> {
        let mut disk = self.disk_of_both(source, target)?;
        let file = disk.regular(&source.path)?.clone();
        let from = disk.find(&source.path, Access::ReadOnly, Last::Follow)?;
        // Two names of one file: it is there already.
        if disk.slot(&target.path)? == from {
            return Ok(());
        }
        disk.put_file(&target.path, file)
    }

    fn set_mode(&mut self, at: &Place, mode: u32) -> Result<(), Failure> {
        self.disk(&at.on)?.set_mode(&at.path, mode)
    }

    fn remove(&mut self, at: &Place, recursive: bool) -> Result<(), Failure> {
        self.disk(&at.on)?.remove(&at.path, recursive)
    }

    fn unpack(&mut self, at: &Place, archive: &[u8]) -> Result<u32, Failure> {
        archive::unpack(&mut self.disk(&at.on)?, &at.path, archive)
    }
}

fn within(path: &str, size: u64) -> Result<(), Failure> {
    if size <= MAX_FILE {
        return Ok(());
    }
    Err(Failure::invalid(format!("{path}: has {size} bytes; files are read and written whole up to {MAX_FILE}")))
}
