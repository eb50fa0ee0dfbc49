//! Files and images of a plan: read through to the real machine until they are touched.

use remotes_effect::filesystem::{Effect as On, Kind};
use remotes_effect::image::Effect as OnImage;
use remotes_effect::policy::normalized;
use remotes_effect::types::{Failure, FailureKind, Node, Place};
use remotes_effect::{Answer, Effect, Executor, filesystem, image};

use super::shadow::{Names, Shadow};
use super::{Plan, key};
use crate::files::{Directory, Entry, File, Image, Last, Link, MAX_FILE, Place as Spot, Stuck, archive_names};

/// Files and folders that one effect may bring into the overlay.
const MOST: usize = 10_000;

impl<E: Executor> Plan<E> {
    pub(super) fn shadow(&mut self, on: &Node) -> &mut Shadow {
        self.files.entry(key(on)).or_default()
    }

    /// The answer, and whether something would be changed.
    pub(super) fn filesystem(&mut self, effect: &Effect, on_files: &On) -> (Answer, bool) {
        let result = match on_files {
            On::Stat { at } | On::ReadLink { at } => return (self.look_at(effect, at, Last::Keep), false),
            On::Read { at } => return (self.look_at(effect, at, Last::Follow), false),
            On::Entries { at } => return (self.list(effect, at), false),
            On::Write { at, .. } => self.replace(effect, at, None),
            On::MakeDirectory { at, .. } => self.make_directory(effect, at),
            On::SetMode { at, .. } => self.set_mode(effect, at),
            On::Rename { source, target } => self.rename(effect, source, target),
            On::Copy { source, target } => self.replace(effect, target, Some(source)),
            On::Remove { at, .. } => self.remove(effect, at),
            On::Unpack { at, archive } => self.unpack(effect, at, archive),
        };
        self.or_refuse(effect, result)
    }

    /// The same for images.
    pub(super) fn image(&mut self, effect: &Effect, on_image: &OnImage) -> (Answer, bool) {
        let result = match on_image {
            OnImage::Inspect { at } => return (self.look_at(effect, at, Last::Follow), false),
            OnImage::Create { at, .. } => self.replace(effect, at, None),
            OnImage::Convert { source, target, .. } => self.convert(effect, source, target),
        };
        self.or_refuse(effect, result)
    }

    fn or_refuse(&mut self, effect: &Effect, result: Result<(Answer, bool), Failure>) -> (Answer, bool) {
        match result {
            Ok(answer) => answer,
            Err(failure) => match effect.refuse(failure) {
                Some(answer) => (answer, false),
                None => (self.pretend(effect), false),
            },
        }
    }

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
                self.shadow(on).set_origin(names, real.path);
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
    fn import_tree(&mut self, on: &Node, names: &[String], left: &mut usize) -> Result<(), Failure> {
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

    fn look_at(&mut self, effect: &Effect, at: &Place, last: Last) -> Answer {
        if self.shadow(&at.on).is_untouched() {
            return self.real.look(effect);
        }
        let spot = match self.bring(at, last) {
            Ok(spot) => spot,
            Err(failure) if of_the_path(&failure) => return self.pretend(effect),
            // The real machine says best what it does not allow.
            Err(_) => return self.real.look(effect),
        };
        let shadow = self.shadow(&at.on);
        let origin = shadow.origin(&spot.names).cloned();
        let content = matches!(effect, Effect::Filesystem(On::Read { .. }) | Effect::Image(_));
        match (shadow.is_changed(&spot.names) || shadow.hides(&spot.names), origin) {
            (true, Some(origin)) if content => self.real.look(&elsewhere(effect, origin)),
            (true, _) => self.pretend(effect),
            (false, _) if self.shadow(&at.on).links => self.real.look(&elsewhere(effect, path(&spot.names))),
            (false, _) => self.real.look(effect),
        }
    }

    /// The names in a folder: the real ones but those that are gone, and those that are new.
    fn list(&mut self, effect: &Effect, at: &Place) -> Answer {
        if self.shadow(&at.on).is_untouched() {
            return self.real.look(effect);
        }
        let names = match self.bring(at, Last::Follow) {
            Ok(spot) => spot.names,
            Err(failure) if of_the_path(&failure) => return self.pretend(effect),
            Err(_) => return self.real.look(effect),
        };
        if self.shadow(&at.on).is_own(&names) || self.machine(&at.on).files.directory(&names).is_none() {
            return self.pretend(effect);
        }
        let real = match self.shadow(&at.on).links {
            true => elsewhere(effect, path(&names)),
            false => effect.clone(),
        };
        let mut answer = self.real.look(&real);
        if let Answer::Filesystem(filesystem::Answer::Entries(Ok(list))) = &mut answer {
            let here: Vec<String> = self
                .machine(&at.on)
                .files
                .directory(&names)
                .map(|it| it.entries.keys().cloned().collect())
                .unwrap_or_default();
            let shadow = self.shadow(&at.on);
            list.retain(|name| !shadow.gone_in(&names).any(|gone| gone == name));
            list.extend(here);
            list.sort_unstable();
            list.dedup();
        }
        answer
    }

    /// A file that is new, or has new content: that of another one, if it is copied.
    fn replace(&mut self, effect: &Effect, at: &Place, source: Option<&Place>) -> Result<(Answer, bool), Failure> {
        let mut origin = None;
        if let Some(source) = source {
            let names = self.found(source, Last::Follow)?;
            origin = self.shadow(&source.on).origin(&names).cloned();
        }
        self.found(at, Last::Keep)?;
        let answer = self.pretend(effect);
        if answer.failure().is_none() {
            let names = self.spot(at, Last::Keep);
            let shadow = self.shadow(&at.on);
            shadow.change(&names);
            if let Some(origin) = origin {
                shadow.set_origin(&names, origin);
            }
        }
        Ok((answer, true))
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

    /// The paths of the folders down to this one that do not exist yet.
    fn missing_folders(&mut self, at: &Place) -> Result<Vec<Place>, Failure> {
        let names = normalized(&at.path).unwrap_or_default();
        let mut missing = Vec::new();
        for length in 1..=names.len() {
            let above = Place { on: at.on.clone(), path: path(&names[..length]) };
            if missing.is_empty() {
                match self.bring(&above, Last::Follow) {
                    Ok(spot) if spot.exists => continue,
                    Err(failure) if !of_the_path(&failure) => return Err(failure),
                    _ => {}
                }
            }
            missing.push(above);
        }
        Ok(missing)
    }

    fn mark_folders(&mut self, made: &[Place]) {
        for folder in made {
            let names = self.spot(folder, Last::Follow);
            self.shadow(&folder.on).make(&names);
        }
    }

    fn make_directory(&mut self, effect: &Effect, at: &Place) -> Result<(Answer, bool), Failure> {
        self.found(at, Last::Keep)?;
        let missing = self.missing_folders(at)?;
        let answer = self.pretend(effect);
        if answer.failure().is_none() {
            self.mark_folders(&missing);
        }
        Ok((answer, !missing.is_empty()))
    }

    fn set_mode(&mut self, effect: &Effect, at: &Place) -> Result<(Answer, bool), Failure> {
        let names = self.found(at, Last::Follow)?;
        let origin = self.shadow(&at.on).origin(&names).cloned();
        let answer = self.pretend(effect);
        if answer.failure().is_none() {
            let shadow = self.shadow(&at.on);
            shadow.change(&names);
            if let Some(origin) = origin {
                shadow.set_origin(&names, origin);
            }
        }
        Ok((answer, true))
    }

    fn rename(&mut self, effect: &Effect, source: &Place, target: &Place) -> Result<(Answer, bool), Failure> {
        let from = self.found(source, Last::Keep)?;
        let to = self.found(target, Last::Keep)?;
        let mut left = MOST;
        self.import_tree(&source.on, &from, &mut left)?;
        self.import_tree(&target.on, &to, &mut left)?;
        let answer = self.pretend(effect);
        if answer.failure().is_some() || from == to {
            return Ok((answer, false));
        }
        let mut moved = Vec::new();
        if let Some(entry) = self.machine(&source.on).files.at(&to) {
            collect(entry, &mut to.clone(), &mut moved);
        }
        let shadow = self.shadow(&source.on);
        let origins: Vec<_> =
            moved.iter().map(|(names, _)| shadow.origin(&[&from[..], &names[to.len()..]].concat()).cloned()).collect();
        shadow.remove(&from);
        shadow.remove(&to);
        for ((names, kind), origin) in moved.into_iter().zip(origins) {
            match kind {
                Kind::Directory => shadow.make(&names),
                _ => shadow.change(&names),
            }
            shadow.links |= kind == Kind::Symlink;
            if let Some(origin) = origin {
                shadow.set_origin(&names, origin);
            }
        }
        Ok((answer, true))
    }

    fn remove(&mut self, effect: &Effect, at: &Place) -> Result<(Answer, bool), Failure> {
        let there = match self.bring(at, Last::Keep) {
            Ok(spot) => spot.exists.then_some(spot.names),
            Err(failure) if failure.kind == FailureKind::NotFound => None,
            Err(failure) => return Err(failure),
        };
        let answer = self.pretend(effect);
        if let (Some(names), None) = (&there, answer.failure()) {
            self.shadow(&at.on).remove(names);
        }
        Ok((answer, there.is_some()))
    }

    fn unpack(&mut self, effect: &Effect, at: &Place, archive: &[u8]) -> Result<(Answer, bool), Failure> {
        self.found(at, Last::Follow)?;
        let mut missing = Vec::new();
        let mut files = Vec::new();
        // What cannot be read, the overlay refuses.
        for (names, folder) in archive_names(archive).unwrap_or_default() {
            let below = Place { on: at.on.clone(), path: format!("{}/{}", at.path, names.join("/")) };
            self.found(&below, Last::Keep)?;
            let above = &names[..names.len() - usize::from(!folder)];
            let above = Place { on: at.on.clone(), path: format!("{}/{}", at.path, above.join("/")) };
            missing.extend(self.missing_folders(&above)?);
            if !folder {
                files.push(below);
            }
        }
        let answer = self.pretend(effect);
        if answer.failure().is_none() {
            self.mark_folders(&missing);
            for file in files {
                let names = self.spot(&file, Last::Keep);
                self.shadow(&file.on).change(&names);
            }
        }
        Ok((answer, true))
    }

    /// Copies a real file's content, if it is small, and its header as an image.
    pub(super) fn adopt(&mut self, on: &Node, names: &[String]) -> Result<(), Failure> {
        let Some(origin) = self.shadow(on).origin(names).cloned() else { return Ok(()) };
        let origin = Place { on: on.clone(), path: origin };
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

    fn convert(&mut self, effect: &Effect, source: &Place, target: &Place) -> Result<(Answer, bool), Failure> {
        let names = self.found(source, Last::Follow)?;
        self.adopt(&source.on, &names)?;
        self.replace(effect, target, None)
    }
}

/// Whether it says something about the path that the overlay finds out, too.
pub(super) fn of_the_path(failure: &Failure) -> bool {
    matches!(failure.kind, FailureKind::NotFound | FailureKind::Invalid)
}

fn not_found(at: &Place) -> Failure {
    Failure::not_found(format!("{}: does not exist", at.path))
}

fn path(names: &[String]) -> String {
    format!("/{}", names.join("/"))
}

/// All below and itself, parents first.
fn collect(entry: &Entry, names: &mut Names, into: &mut Vec<(Names, Kind)>) {
    into.push((names.clone(), entry.metadata().kind));
    if let Entry::Directory(directory) = entry {
        for (name, below) in &directory.entries {
            names.push(name.clone());
            collect(below, names, into);
            names.pop();
        }
    }
}

/// A look at the same node's other path.
fn elsewhere(effect: &Effect, path: String) -> Effect {
    let mut effect = effect.clone();
    match &mut effect {
        Effect::Filesystem(On::Stat { at } | On::Read { at } | On::ReadLink { at } | On::Entries { at })
        | Effect::Image(image::Effect::Inspect { at }) => at.path = path,
        _ => {}
    }
    effect
}
