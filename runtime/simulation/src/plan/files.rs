//! Files and images of a plan: read through to the real machine until they are touched.

use remotes_effect::filesystem::{Effect as On, Kind};
use remotes_effect::image::{Backing, Effect as OnImage};
use remotes_effect::policy::{beside, normalized};
use remotes_effect::types::{Failure, FailureKind, Node, Place};
use remotes_effect::{Answer, Effect, Executor, filesystem, image};

use super::bring::{MOST, of_the_path, path};
use super::shadow::{Names, Shadow};
use super::{Plan, key};
use crate::files::{Entry, Last, archive_names};

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
            On::Link { at, .. } => self.link(effect, at),
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
            OnImage::Create { at, based_on, .. } => self.create(effect, at, based_on.as_ref()),
            OnImage::Convert { source, target, .. } => self.convert(effect, source, target),
        };
        self.or_refuse(effect, result)
    }

    pub(super) fn or_refuse(&mut self, effect: &Effect, result: Result<(Answer, bool), Failure>) -> (Answer, bool) {
        match result {
            Ok(answer) => answer,
            Err(failure) => match effect.refuse(failure) {
                Some(answer) => (answer, false),
                None => (self.pretend(effect), false),
            },
        }
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
            (false, _) if self.shadow(&at.on).links => {
                let real = Place { on: at.on.clone(), path: path(&spot.names) };
                self.real.look(&elsewhere(effect, real))
            }
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
            true => elsewhere(effect, Place { on: at.on.clone(), path: path(&names) }),
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

    /// The paths of the folders down to this one that do not exist yet.
    pub(super) fn missing_folders(&mut self, at: &Place) -> Result<Vec<Place>, Failure> {
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

    pub(super) fn mark_folders(&mut self, made: &[Place]) {
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

    /// Where a link was made, real paths may lead elsewhere than the overlay's.
    fn link(&mut self, effect: &Effect, at: &Place) -> Result<(Answer, bool), Failure> {
        let before = self.found(at, Last::Keep)?;
        let there = self.machine(&at.on).files.at(&before).is_some();
        let (answer, done) = self.replace(effect, at, None)?;
        if answer.failure().is_none() {
            self.shadow(&at.on).links = true;
        }
        // The same link being there is fine, and no step.
        Ok((answer, done && !there))
    }

    fn create(&mut self, effect: &Effect, at: &Place, base: Option<&Backing>) -> Result<(Answer, bool), Failure> {
        if let Some(base) = base {
            let base = Place { on: at.on.clone(), path: beside(&at.path, &base.path).to_string_lossy().into_owned() };
            let names = self.found(&base, Last::Follow)?;
            self.adopt(&at.on, &names)?;
        }
        self.replace(effect, at, None)
    }

    fn convert(&mut self, effect: &Effect, source: &Place, target: &Place) -> Result<(Answer, bool), Failure> {
        let names = self.found(source, Last::Follow)?;
        self.adopt(&source.on, &names)?;
        self.replace(effect, target, None)
    }
}

/// All below and itself, parents first.
pub(super) fn collect(entry: &Entry, names: &mut Names, into: &mut Vec<(Names, Kind)>) {
    into.push((names.clone(), entry.metadata().kind));
    if let Entry::Directory(directory) = entry {
        for (name, below) in &directory.entries {
            names.push(name.clone());
            collect(below, names, into);
            names.pop();
        }
    }
}

/// The same look at another place.
fn elsewhere(effect: &Effect, place: Place) -> Effect {
    let mut effect = effect.clone();
    match &mut effect {
        Effect::Filesystem(On::Stat { at } | On::Read { at } | On::ReadLink { at } | On::Entries { at })
        | Effect::Image(image::Effect::Inspect { at }) => *at = place,
        _ => {}
    }
    effect
}
