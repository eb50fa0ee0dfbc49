//! Looking at and changing a tree, as a filesystem does.

use remotes_effect::policy::{Access, PathGrants, normalized};
use remotes_effect::types::{Failure, FailureKind};

use super::{Directory, Entry, File, Last, Link, MAX_DEPTH, MAX_NAME, Place, Stuck, Tree};

/// A tree for the time of one effect.
pub(crate) struct Disk<'a> {
    pub tree: &'a mut Tree,
    pub grants: Option<&'a PathGrants>,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub now: u64,
}

impl Disk<'_> {
    fn place(&self, path: &str, last: Last) -> Result<Place, Failure> {
        self.tree.place(self.grants, path, last).map_err(|stuck| match stuck {
            Stuck::Missing(_) => absent(path),
            Stuck::Failed(failure) => failure,
        })
    }

    fn authorise(&self, names: &[String], wanted: Access) -> Result<(), Failure> {
        self.grants.map_or(Ok(()), |grants| self.tree.authorise(grants, names, wanted))
    }

    /// The real names of something that exists.
    pub fn find(&self, path: &str, wanted: Access, last: Last) -> Result<Vec<String>, Failure> {
        let place = self.place(path, last)?;
        self.authorise(&place.names, wanted)?;
        if place.exists { Ok(place.names) } else { Err(absent(path)) }
    }

    /// Something that exists.
    pub fn entry(&self, path: &str, last: Last) -> Result<&Entry, Failure> {
        let names = self.find(path, Access::ReadOnly, last)?;
        self.tree.at(&names).ok_or_else(|| Failure::invalid(format!("{path}: is the root folder")))
    }

    /// A folder that exists.
    pub fn folder(&self, path: &str) -> Result<&Directory, Failure> {
        let names = self.find(path, Access::ReadOnly, Last::Follow)?;
        self.tree
            .directory(&names)
            .ok_or_else(|| Failure::not_found(format!("{path}: a part of the path is no folder")))
    }

    /// A regular file that exists; links are followed.
    pub fn regular(&self, path: &str) -> Result<&File, Failure> {
        match self.entry(path, Last::Follow)? {
            Entry::File(file) => Ok(file),
            other => Err(not_regular(path, other)),
        }
    }

    /// The real names of something that may exist, in a folder that does: where something is changed.
    pub fn slot(&self, path: &str) -> Result<Vec<String>, Failure> {
        let place = self.place(path, Last::Keep)?;
        if place.names.is_empty() {
            return Err(Failure::invalid("/: the root folder cannot be changed"));
        }
        self.authorise(&place.names, Access::ReadWrite)?;
        Ok(place.names)
    }

    fn insert(&mut self, names: &[String], entry: Entry) -> Result<(), Failure> {
        let now = self.now;
        self.tree.set(names, entry).map_err(|error| Failure::invalid(error.to_string()))?;
        if let Some(folder) = self.tree.directory_mut(&names[..names.len() - 1]) {
            folder.modified = now;
        }
        Ok(())
    }

    fn take(&mut self, names: &[String]) -> Option<Entry> {
        let (last, above) = names.split_last()?;
        let now = self.now;
        let folder = self.tree.directory_mut(above)?;
        folder.modified = now;
        folder.entries.remove(last)
    }

    /// Replaces a file, or a link itself, in one step.
    pub fn put_file(&mut self, path: &str, file: File) -> Result<(), Failure> {
        let names = self.slot(path)?;
        match self.tree.at(&names) {
            None | Some(Entry::File(_) | Entry::Link(_)) => {
                let file = File { modified: self.now, ..file };
                self.insert(&names, Entry::File(file))
            }
            Some(other) => Err(not_regular(path, other)),
        }
    }

    /// Makes a link where there is nothing, or the same one.
    pub fn link(&mut self, path: &str, target: &str) -> Result<(), Failure> {
        let names = self.slot(path)?;
        self.linkable(path, &names, target)?;
        match self.tree.at(&names) {
            None => self.insert(&names, self.new_link(target)),
            Some(Entry::Link(link)) if link.target == target => Ok(()),
            Some(_) => Err(Failure::exists(format!("{path}: exists already"))),
        }
    }

    /// Replaces a file or a link by a link.
    pub fn put_link(&mut self, path: &str, target: &str) -> Result<(), Failure> {
        let names = self.slot(path)?;
        self.linkable(path, &names, target)?;
        match self.tree.at(&names) {
            None | Some(Entry::File(_) | Entry::Link(_)) => self.insert(&names, self.new_link(target)),
            Some(other) => Err(not_regular(path, other)),
        }
    }

    fn new_link(&self, target: &str) -> Entry {
        Entry::Link(Link { target: target.to_owned(), modified: self.now })
    }

    /// Who follows a link may have more rights than the driver: it must not lead out of what is granted.
    fn linkable(&self, path: &str, names: &[String], target: &str) -> Result<(), Failure> {
        let refused = |failure: Failure| Failure {
            message: format!("{path}: cannot be a link to {target}: {}", failure.message),
            ..failure
        };
        if target.is_empty() || target.len() > 4095 || target.contains('\0') {
            return Err(refused(Failure::invalid("expected 1 to 4095 bytes and no NUL")));
        }
        if target.split('/').any(|step| step == "..") {
            return Err(refused(Failure::denied("`..` is not allowed in a link's target")));
        }
        let Some(grants) = self.grants else { return Ok(()) };
        let absolute = match target.starts_with('/') {
            true => target.to_owned(),
            false => format!("/{}/{target}", names[..names.len() - 1].join("/")),
        };
        match self.tree.place(Some(grants), &absolute, Last::Keep) {
            Ok(place) => self.authorise(&place.names, Access::ReadOnly).map_err(refused),
            Err(Stuck::Missing(_)) => Ok(()),
            Err(Stuck::Failed(failure)) if failure.kind == FailureKind::NotFound => Ok(()),
            Err(Stuck::Failed(failure)) => Err(refused(failure)),
        }
    }

    /// Makes a folder with those above it; the mode is that of the last one.
    pub fn make_directory(&mut self, path: &str, mode: u32) -> Result<(), Failure> {
        let mode = permissions(path, mode)?;
        let names = normalized(path)?;
        // Before the first folder is made.
        if names.len() > MAX_DEPTH || names.iter().any(|name| name.len() > MAX_NAME) {
            return Err(Failure::invalid(format!("{path}: too deep, or a name in it is too long")));
        }
        self.make_granted(path)?;
        let no_folder = || Failure::exists(format!("{path}: is there and is no folder"));
        loop {
            let missing = match self.tree.place(self.grants, path, Last::Keep) {
                Err(Stuck::Failed(failure)) => return Err(failure),
                Err(Stuck::Missing(missing)) if missing.by_link => return Err(no_folder()),
                Err(Stuck::Missing(missing)) => missing.names,
                Ok(place) if !place.exists => {
                    self.authorise(&place.names, Access::ReadWrite)?;
                    let folder = Directory { mode, modified: self.now, ..Directory::default() };
                    return self.insert(&place.names, Entry::Directory(folder));
                }
                Ok(_) => {
                    let names = self
                        .find(path, Access::ReadOnly, Last::Follow)
                        .map_err(|failure| if failure == absent(path) { no_folder() } else { failure })?;
                    return self.tree.directory(&names).map(|_| ()).ok_or_else(no_folder);
                }
            };
            self.authorise(&missing, Access::ReadWrite)?;
            let folder = Directory { modified: self.now, ..Directory::default() };
            self.insert(&missing, Entry::Directory(folder))?;
        }
    }

    /// Makes the granted folder itself where it is missing.
    fn make_granted(&mut self, path: &str) -> Result<(), Failure> {
        let Some(grants) = self.grants else { return Ok(()) };
        let (folder, access, _) = grants.find(path)?;
        let there = self.tree.place(None, folder, Last::Follow).is_ok_and(|place| place.exists);
        match (there, access) {
            (true, _) => Ok(()),
            (false, Access::ReadWrite) => {
                Disk { tree: self.tree, grants: None, now: self.now }.make_directory(folder, 0o755)
            }
            (false, Access::ReadOnly) => Err(Failure::denied(format!(
                "{folder}: does not exist and is granted read-only; make it, or grant it \"rw\" under [paths] in the driver's policy"
            ))),
        }
    }

    /// Sets the permission bits of a file or folder; links are followed.
    pub fn set_mode(&mut self, path: &str, mode: u32) -> Result<(), Failure> {
        let mode = permissions(path, mode)?;
        let names = self.find(path, Access::ReadWrite, Last::Follow)?;
        match self.tree.at_mut(&names) {
            Some(Entry::File(file)) => file.mode = mode,
            Some(Entry::Directory(directory)) => directory.mode = mode,
            Some(other) => return Err(not_regular(path, other)),
            None => self.tree.root.mode = mode,
        }
        Ok(())
    }

    /// Removes whatever is there.
    pub fn remove(&mut self, path: &str, recursive: bool) -> Result<(), Failure> {
        let names = match self.tree.place(self.grants, path, Last::Keep) {
            Err(Stuck::Missing(_)) => return Ok(()),
            Err(Stuck::Failed(failure)) => return Err(failure),
            Ok(_) => self.slot(path)?,
        };
        match self.tree.at(&names) {
            Some(Entry::Directory(_)) if !recursive => {
                Err(Failure::invalid(format!("{path}: is a folder, which is removed only with `recursive`")))
            }
            _ => {
                self.movable(path, &names)?;
                self.take(&names);
                Ok(())
            }
        }
    }

    /// Moves, as rename(2): a file replaces a file, a folder an empty folder.
    pub fn rename(&mut self, source: &str, target: &str) -> Result<(), Failure> {
        let from = self.slot(source)?;
        let to = self.slot(target)?;
        let Some(moved) = self.tree.at(&from) else { return Err(absent(source)) };
        if from == to {
            return Ok(());
        }
        self.movable(source, &from)?;
        self.movable(target, &to)?;
        let folder = matches!(moved, Entry::Directory(_));
        if folder && to.starts_with(&from) {
            return Err(Failure::invalid(format!("{source}: a folder cannot be moved into itself ({target})")));
        }
        if to.len() - 1 + moved.depth() > MAX_DEPTH {
            return Err(Failure::invalid(format!("{target}: deeper than {MAX_DEPTH} folders")));
        }
        match self.tree.at(&to) {
            None => {}
            Some(Entry::Directory(there)) if folder && there.entries.is_empty() => {}
            Some(Entry::Directory(_)) if folder => {
                return Err(Failure::exists(format!("{target}: the folder there is not empty")));
            }
            Some(Entry::Directory(_)) => {
                return Err(Failure::invalid(format!("{target}: is a folder, which a file does not replace")));
            }
            Some(_) if folder => {
                return Err(Failure::not_found(format!("{target}: is no folder, and a folder replaces only a folder")));
            }
            Some(_) => {}
        }
        match self.take(&from) {
            Some(entry) => self.insert(&to, entry),
            None => Err(absent(source)),
        }
    }

    /// Refuses to move or remove what holds a granted folder.
    fn movable(&self, path: &str, names: &[String]) -> Result<(), Failure> {
        let Some(grants) = self.grants else { return Ok(()) };
        let held = grants.0.keys().find(|folder| {
            self.tree.place(None, folder, Last::Follow).is_ok_and(|place| place.names.starts_with(names))
        });
        match held {
            Some(folder) => Err(Failure::denied(format!("{path}: holds the granted folder {folder}"))),
            None => Ok(()),
        }
    }
}

/// Permission bits that a driver may set: not those that make a program run as somebody else.
pub(crate) fn permissions(path: &str, mode: u32) -> Result<u32, Failure> {
    match mode & !0o1777 {
        0 => Ok(mode),
        _ => Err(Failure::invalid(format!(
            "{path}: mode {mode:o}: expected at most 1777 (set-user-ID and set-group-ID bits are never set)"
        ))),
    }
}

fn absent(path: &str) -> Failure {
    Failure::not_found(format!("{path}: does not exist"))
}

fn not_regular(path: &str, entry: &Entry) -> Failure {
    let kind = match entry {
        Entry::File(_) => "a regular file",
        Entry::Directory(_) => "a folder",
        Entry::Link(_) => "a link",
        Entry::BlockDevice(_) => "a block device",
        Entry::Other => "a special file",
    };
    Failure::invalid(format!("{path}: is {kind}, not a regular file"))
}
