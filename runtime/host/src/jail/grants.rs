//! Granted folders: opening them, and which of them a place belongs to.

use std::cell::OnceCell;
use std::ffi::OsString;
use std::os::fd::OwnedFd;

use remotes_effect::policy::{Access, normalized};
use remotes_effect::types::Failure;
use remotes_process::proc_path;
use remotes_process::report::failure;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::place::canonical;
use super::{Jail, Last};

/// One granted folder.
#[derive(Debug)]
pub(super) struct Grant {
    /// As the policy writes it.
    pub folder: String,
    /// The same, component by component.
    pub components: Vec<OsString>,
    /// What may be done below it.
    pub access: Access,
    root: OnceCell<Root>,
}

/// An open granted folder.
#[derive(Debug)]
pub(super) struct Root {
    /// The folder (`O_PATH`).
    pub fd: OwnedFd,
    /// Where it really is: without links, by the kernel's word.
    pub canonical: Vec<OsString>,
}

impl Grant {
    pub fn new(folder: &str, access: Access) -> Option<Self> {
        let components = normalized(folder).ok()?.into_iter().map(OsString::from).collect();
        Some(Self { folder: folder.to_owned(), components, access, root: OnceCell::new() })
    }
}

impl Jail {
    /// The open folder of a grant. One that lies below another granted folder is reached through that
    /// one, so that nobody who can write there may put a link in its place.
    pub(super) fn root(&self, index: usize, hops: &mut u32) -> Result<&Root, Failure> {
        let grant = &self.grants[index];
        if let Some(root) = grant.root.get() {
            return Ok(root);
        }
        let fd = match self.outer(index) {
            Some(outer) => {
                let names = grant.components[self.grants[outer].components.len()..].to_vec();
                let found = self.below(&grant.folder, outer, names, Last::Follow, hops)?;
                found.folder(&grant.folder)?.into_fd()
            }
            None => {
                open_root(&grant.folder).map_err(|errno| failure(&grant.folder, "open the granted folder", errno))?
            }
        };
        let path = rustix::fs::readlink(proc_path(&fd), Vec::new())
            .map_err(|errno| failure(&grant.folder, "find out where the granted folder is", errno))?;
        let canonical = canonical(&grant.folder, path.as_bytes())?;
        Ok(grant.root.get_or_init(|| Root { fd, canonical }))
    }

    /// The innermost other grant that holds this one, by what the policy says.
    fn outer(&self, index: usize) -> Option<usize> {
        let inner = &self.grants[index].components;
        (0..self.grants.len())
            .filter(|other| {
                let outer = &self.grants[*other].components;
                outer.len() < inner.len() && inner.starts_with(outer)
            })
            .max_by_key(|other| self.grants[*other].components.len())
    }

    /// The grant that an absolute path without `..` leads into, and how many of its names that uses up.
    /// Roots that are reached by links count under their real path, too.
    pub(super) fn holder(&self, names: &[OsString], hops: &mut u32) -> Option<(usize, usize)> {
        let textual = (0..self.grants.len())
            .map(|index| (index, &self.grants[index].components))
            .filter(|(_, components)| names.starts_with(components))
            .max_by_key(|(_, components)| components.len())
            .map(|(index, components)| (index, components.len()));
        textual.or_else(|| {
            (0..self.grants.len())
                .filter_map(|index| Some((index, &self.root(index, hops).ok()?.canonical)))
                .filter(|(_, canonical)| names.starts_with(canonical))
                .max_by_key(|(_, canonical)| canonical.len())
                .map(|(index, canonical)| (index, canonical.len()))
        })
    }

    /// The innermost grant around a real place; among several names of one folder that which the way
    /// began with, else the one that allows less.
    pub(super) fn governing(&self, position: &[OsString], walked: usize) -> &Grant {
        let depth = |index: usize| {
            self.names_of(index).filter(|names| position.starts_with(names)).map(|names| names.len()).max()
        };
        (0..self.grants.len())
            .filter_map(|index| {
                Some((depth(index)?, index == walked, std::cmp::Reverse(self.grants[index].access), index))
            })
            .max()
            .map_or(&self.grants[walked], |(.., index)| &self.grants[index])
    }

    /// Whether a real place is a granted folder.
    pub(super) fn is_granted_folder(&self, position: &[OsString]) -> bool {
        (0..self.grants.len()).any(|index| self.names_of(index).any(|names| names == position))
    }

    /// A grant whose folder is at or below a real place.
    pub(super) fn held_by(&self, position: &[OsString]) -> Option<&Grant> {
        let index =
            (0..self.grants.len()).find(|index| self.names_of(*index).any(|names| names.starts_with(position)))?;
        Some(&self.grants[index])
    }

    /// The paths of a grant's folder: the policy's, and the real one where there is such a folder.
    fn names_of(&self, index: usize) -> impl Iterator<Item = &[OsString]> {
        let real = self.root(index, &mut 0).ok().map(|root| root.canonical.as_slice());
        std::iter::once(self.grants[index].components.as_slice()).chain(real)
    }
}

/// The operator named this folder: ordinary links on the way are meant.
fn open_root(folder: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::openat2(CWD, folder, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS) {
        Err(Errno::NOSYS) => rustix::fs::openat(CWD, folder, flags, Mode::empty()),
        result => result,
    }
}
