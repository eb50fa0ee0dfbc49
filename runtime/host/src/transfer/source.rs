//! What is copied: a file, or a folder with everything below it. All of it is looked at before anything is
//! copied, so that what cannot be copied is refused first, and what is made meanwhile is not copied again.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use remotes_effect::deadline::Deadline;
use remotes_effect::policy::{Access, normalized};
use remotes_effect::types::{Failure, FailureKind};
use remotes_process::report::{failure, shown, timeout};
use rustix::fs::{Dir, FileType, OFlags};

use crate::filesystem::link;
use crate::jail::{Found, Jail, Last};

/// Files, folders and links in one copy.
pub(super) const MAX_ENTRIES: usize = 100_000;
/// Folders within one another: each is a descriptor.
pub(super) const MAX_DEPTH: usize = 128;

/// What is done with each thing on the way.
pub(super) trait Visitor {
    /// Its failures, and those of the source.
    type Error: From<Failure>;

    /// Into a folder.
    fn folder(&mut self, name: &OsStr, mode: u32) -> Result<(), Self::Error>;
    /// Back out of it.
    fn leave(&mut self) -> Result<(), Self::Error>;
    /// A regular file.
    fn file(&mut self, name: &OsStr, file: &Found) -> Result<(), Self::Error>;
    /// A link.
    fn link(&mut self, name: &OsStr, target: &[u8]) -> Result<(), Self::Error>;
}

#[derive(Debug)]
enum Content {
    File,
    Link(Vec<u8>),
    Folder(Vec<(OsString, Content)>),
}

/// Something to be copied.
#[derive(Debug)]
pub(super) struct Source<'a> {
    jail: &'a Jail,
    deadline: Deadline,
    root: Found,
    content: Content,
}

impl<'a> Source<'a> {
    /// Looks through all of it; a link as last component of the path is followed.
    pub fn survey(jail: &'a Jail, path: &str, deadline: Deadline) -> Result<Self, Failure> {
        let root = jail.find(path, Access::ReadOnly, Last::Follow)?;
        let mut survey = Survey { jail, deadline, entries: 0 };
        let content = survey.look(&root, 0)?;
        Ok(Self { jail, deadline, root, content })
    }

    /// Refuses a folder that would be copied into itself.
    pub fn check_target(&self, path: &str) -> Result<(), Failure> {
        let names = normalized(path)?;
        for count in (0..names.len()).rev() {
            let above = format!("/{}", names[..count].join("/"));
            match self.jail.find(&above, Access::ReadOnly, Last::Follow) {
                Ok(folder) if folder.is_at_or_below(&self.root) => {
                    return Err(Failure::invalid(format!(
                        "{}: a folder cannot be copied into itself ({})",
                        self.root.shown(),
                        shown(path)
                    )));
                }
                Err(failure) if failure.kind == FailureKind::NotFound => {}
                _ => break,
            }
        }
        Ok(())
    }

    /// Shows each thing to the visitor, folders before what is in them; the first one has no name.
    pub fn visit<V: Visitor>(&self, visitor: &mut V) -> Result<(), V::Error> {
        self.show(visitor, OsStr::new(""), &self.root, &self.content)
    }

    fn show<V: Visitor>(
        &self,
        visitor: &mut V,
        name: &OsStr,
        found: &Found,
        content: &Content,
    ) -> Result<(), V::Error> {
        if self.deadline.passed() {
            return Err(timeout(found.shown(), "copying").into());
        }
        let entries = match content {
            Content::File => return visitor.file(name, found),
            Content::Link(target) => return visitor.link(name, target),
            Content::Folder(entries) => entries,
        };
        visitor.folder(name, found.stat().st_mode & 0o1777)?;
        for (name, content) in entries {
            self.show(visitor, name, &self.jail.look(found, name)?, content)?;
        }
        visitor.leave()
    }
}

struct Survey<'a> {
    jail: &'a Jail,
    deadline: Deadline,
    entries: usize,
}

impl Survey<'_> {
    fn look(&mut self, found: &Found, depth: usize) -> Result<Content, Failure> {
        if self.deadline.passed() {
            return Err(timeout(found.shown(), "looking through what is to be copied"));
        }
        self.entries += 1;
        if self.entries > MAX_ENTRIES || depth > MAX_DEPTH {
            return Err(Failure::invalid(format!(
                "{}: too much to copy: more than {MAX_ENTRIES} entries, or {MAX_DEPTH} folders within one another",
                found.shown()
            )));
        }
        match found.kind() {
            FileType::RegularFile => Ok(Content::File),
            FileType::Directory => self.folder(found, depth),
            _ => Err(Failure::invalid(format!(
                "{}: is {}; only files, folders and links are copied",
                found.shown(),
                found.named()
            ))),
        }
    }

    fn folder(&mut self, found: &Found, depth: usize) -> Result<Content, Failure> {
        let fail = |errno| failure(found.shown(), "list the folder", errno);
        let mut names = Vec::new();
        for entry in Dir::new(found.open(OFlags::RDONLY | OFlags::DIRECTORY)?).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") {
                names.push(OsStr::from_bytes(name).to_owned());
            }
            if names.len() > MAX_ENTRIES {
                return Err(Failure::invalid(format!("{}: more than {MAX_ENTRIES} entries to copy", found.shown())));
            }
        }
        names.sort_unstable();
        let mut entries = Vec::with_capacity(names.len());
        for name in names {
            let entry = self.jail.look(found, &name)?;
            let content = match entry.kind() {
                FileType::Symlink => self.link(found, &name, &entry)?,
                _ => self.look(&entry, depth + 1)?,
            };
            entries.push((name, content));
        }
        Ok(Content::Folder(entries))
    }

    fn link(&mut self, folder: &Found, name: &OsStr, entry: &Found) -> Result<Content, Failure> {
        self.entries += 1;
        let target = rustix::fs::readlinkat(entry.fd(), "", Vec::new())
            .map_err(|errno| failure(entry.shown(), "read the link", errno))?;
        link::check(self.jail, folder, name, target.as_bytes(), Access::ReadOnly)?;
        Ok(Content::Link(target.into_bytes()))
    }
}
