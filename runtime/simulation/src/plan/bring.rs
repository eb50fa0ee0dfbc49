//! Copying real files into a plan's overlay, when they are first touched.

use remotes_effect::Executor;
use remotes_effect::filesystem::Kind;
use remotes_effect::policy::normalized;
use remotes_effect::types::{Failure, FailureKind, Node, Place};

use super::Plan;
use super::shadow::Names;
use crate::files::{Directory, Entry, File, Image, Last, Link, MAX_FILE, Place as Spot, Stuck};

/// Files and folders that one effect may bring into the overlay.
pub(super) const MOST: usize = 10_000;

impl<E: Executor> Plan<E> {
    /// Where a path leads, with all that is on the way in the overlay; what is at its end, too.
    pub(super) fn bring(&mut self, at: &Place, last: Last) -> Result<Spot, Failure> {
        for _ in 0..MOST {
            let stuck = self.machine(&at.on).files.place(None, &at.path, last);
            let (names, end) = match stuck {
                Ok(spot) if spot.exists => return Ok(spot),
                Ok(spot) => (spot.names, true),
                Err(Stuck::Missing(missing)) => (missing.names, false),
                Err(Stuck::Failed(failure)) => return Err(failure),
            };
            let absent = |names| if end { Ok(Spot { names, exists: false }) } else { Err(not_found(at)) };
            if self.shadow(&at.on).hides(&names) {
                return absent(names);
            }
            match self.import(&at.on, &names) {
                Ok(()) => {}
                Err(failure) if failure.kind == FailureKind::NotFound => return absent(names),
                // Above the folders that the policy grants nothing can be seen, and nothing be changed.
                Err(failure) if failure.kind == FailureKind::Denied && !end => {
                    self.place(&at.on, &names, Entry::Directory(Directory::default()))?;
                }
                Err(failure) => return Err(failure),
            }
        }
        Err(Failure::failed(format!("{}: leads through more than a plan can follow", at.path)))
    }

    /// Copies one real thing into the overlay, a folder without what is in it.
    fn import(&mut self, on: &Node, names: &[String]) -> Result<(), Failure> {
        let real = Place { on: on.clone(), path: path(names) };
        let seen = self.real.stat(&real)?;
        let entry = match seen.kind {
            Kind::File => {
                self.shadow(on).set_origin(names, real);
                Entry::File(File { size: seen.size, mode: seen.mode, modified: seen.modified, ..File::default() })
            }
            Kind::Directory => {
                Entry::Directory(Directory { mode: seen.mode, modified: seen.modified, ..Directory::default() })
            }
            Kind::Symlink => Entry::Link(Link { target: self.real.read_link(&real)?, modified: seen.modified }),
            Kind::BlockDevice => Entry::BlockDevice(seen.size),
            Kind::Other => Entry::Other,
        };
        self.place(on, names, entry)
    }

    fn place(&mut self, on: &Node, names: &[String], entry: Entry) -> Result<(), Failure> {
        let set = self.machine(on).files.set(names, entry);
        set.map_err(|error| Failure::failed(format!("plan: {error}")))
    }

    /// Copies all that is in a real folder into the overlay.
    pub(super) fn import_tree(&mut self, on: &Node, names: &[String], left: &mut usize) -> Result<(), Failure> {
        if self.shadow(on).is_own(names) || self.machine(on).files.directory(names).is_none() {
            return Ok(());
        }
        let folder = Place { on: on.clone(), path: path(names) };
        for name in self.real.entries(&folder)? {
            *left = left.checked_sub(1).ok_or_else(|| {
                Failure::failed(format!("{}: holds more than the {MOST} entries that a plan can move", folder.path))
            })?;
            let mut below = names.to_vec();
            below.push(name);
            if self.machine(on).files.at(&below).is_none() && !self.shadow(on).hides(&below) {
                self.import(on, &below)?;
            }
            self.import_tree(on, &below, left)?;
        }
        Ok(())
    }

    /// As [`Self::bring`], where it is the overlay's turn to say what is wrong with the path.
    pub(super) fn found(&mut self, at: &Place, last: Last) -> Result<Names, Failure> {
        if normalized(&at.path).is_err() {
            return Ok(Vec::new());
        }
        match self.bring(at, last) {
            Ok(spot) => Ok(spot.names),
            Err(failure) if of_the_path(&failure) => Ok(Vec::new()),
            Err(failure) => Err(failure),
        }
    }

    /// Where a path leads in the overlay as it is.
    pub(super) fn spot(&mut self, at: &Place, last: Last) -> Names {
        self.machine(&at.on).files.place(None, &at.path, last).map(|spot| spot.names).unwrap_or_default()
    }

    /// Copies a real file's content, if it is small, and its header as an image.
    pub(super) fn adopt(&mut self, on: &Node, names: &[String]) -> Result<(), Failure> {
        let Some(origin) = self.shadow(on).origin(names).cloned() else { return Ok(()) };
        let info = self.real.inspect(&origin)?;
        let small = |file: &File| file.size <= MAX_FILE;
        let content = match self.machine(on).files.at(names) {
            Some(Entry::File(file)) if small(file) => self.real.read(&origin)?,
            _ => Vec::new(),
        };
        if let Some(Entry::File(file)) = self.machine(on).files.at_mut(names) {
            file.content = content;
            file.image = Some(Image {
                format: info.format,
                virtual_size: info.virtual_size,
                backing_file: info.backing_file,
                backing_format: info.backing_format,
                snapshots: info.snapshots,
            });
            self.shadow(on).change(names);
        }
        Ok(())
    }
}

/// Whether it says something about the path that the overlay finds out, too.
pub(super) fn of_the_path(failure: &Failure) -> bool {
    matches!(failure.kind, FailureKind::NotFound | FailureKind::Invalid)
}

fn not_found(at: &Place) -> Failure {
    Failure::not_found(format!("{}: does not exist", at.path))
}

pub(super) fn path(names: &[String]) -> String {
    format!("/{}", names.join("/"))
}
