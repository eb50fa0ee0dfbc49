//! What a move has made where the machine is to be: noted in the folder that it comes from before it is made,
//! so that whoever comes after a kill knows what may be removed. Nothing else ever is.

use std::collections::BTreeSet;

use remotes_sdk::filesystem::{self, Kind};
use remotes_sdk::{Explain, Failure, FailureKind, Node, Place, clock, image, parent, transfer, warning};
use serde_json::{Value, json};

use super::disks::{is_inside, kind};
use super::layout::{Item, folders};
use super::{Journey, shown};

/// What has been made.
pub struct Made {
    on: Node,
    note: Place,
    /// files, links, copies of folders
    paths: Vec<String>,
    /// folders that were not there
    folders: Vec<String>,
    /// whether the machine is to run when it is there
    resume: bool,
}

/// What an earlier action, which did not come to its end, has noted.
#[derive(Debug, Default)]
pub struct Note {
    pub paths: BTreeSet<String>,
    folders: BTreeSet<String>,
    pub resume: bool,
    /// the folder that it was to come to, where this one neither leaves nor goes there
    pub other_goal: Option<String>,
}

fn file(journey: &Journey) -> Place {
    journey.here(format!("{}/.migration", journey.from))
}

/// Where the machine is to be: a note of another move says nothing about this one.
fn goal(journey: &Journey) -> String {
    format!("{}:{}", shown(&journey.destination), journey.to)
}

impl Note {
    /// Reads it; where there is none, nothing is noted.
    pub fn read(journey: &Journey) -> Result<Self, Failure> {
        let place = file(journey);
        let content = match filesystem::read(&place) {
            Err(failure) if failure.kind == FailureKind::NotFound => return Ok(Self::default()),
            content => content?,
        };
        let value = serde_json::from_slice::<Value>(&content).unwrap_or_default();
        let of = value.get("goal").and_then(Value::as_str).unwrap_or("nowhere");
        if of != goal(journey) {
            warning!("{} is of a move to {of}; what that has left there stays", place.path);
            // A host's name may have colons, too.
            let folder = of.find(":/").map(|end| of[end + 1..].to_owned());
            let other_goal = folder.filter(|folder| ![&journey.from, &journey.to].contains(&folder));
            return Ok(Self { other_goal, ..Self::default() });
        }
        let list = |key: &str| {
            let all = value.get(key).and_then(Value::as_array).into_iter().flatten();
            all.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let resume = value.get("resume").and_then(Value::as_bool).unwrap_or_default();
        Ok(Self { paths: list("made"), folders: list("folders"), resume, other_goal: None })
    }
}

impl Made {
    /// Notes what is about to be made, after what an earlier action has left of the same is removed. What is
    /// there and was not made by this action is in the way.
    pub fn begin(journey: &Journey, items: &[Item], resume: bool) -> Result<Self, Failure> {
        let earlier = Note::read(journey)?;
        let mut made = Self {
            on: journey.destination.clone(),
            note: file(journey),
            paths: Vec::new(),
            folders: Vec::new(),
            resume,
        };
        for folder in folders(journey, items) {
            match kind(&journey.there(&*folder))? {
                Some(Kind::Directory) if !earlier.folders.contains(&folder) => {}
                None | Some(Kind::Directory) => made.folders.extend(missing(journey, folder, &earlier)),
                Some(_) => return Err(in_the_way(journey, &folder)),
            }
        }
        for item in items {
            // Whatever else a note says is not this machine's.
            let path = item.path();
            let ours = earlier.paths.contains(path);
            match (kind(&journey.there(path))?, item) {
                (None, _) => made.paths.push(path.to_owned()),
                (Some(_), _) if ours => {
                    filesystem::remove(&journey.there(path), true)?;
                    made.paths.push(path.to_owned());
                }
                (Some(Kind::File | Kind::Directory), item) if item.is_renewed(journey) => {}
                (Some(Kind::Symlink), Item::Link { target, .. })
                    if filesystem::read_link(&journey.there(path))? == *target => {}
                // A transfer driver has brought the old one along, which leads to the old datastore's volume.
                (Some(Kind::Symlink), Item::Link { old, .. })
                    if is_inside(&journey.to, path) && filesystem::read_link(&journey.there(path))? == *old =>
                {
                    filesystem::remove(&journey.there(path), false)?;
                    made.paths.push(path.to_owned());
                }
                (Some(_), _) => return Err(in_the_way(journey, path)),
            }
        }
        // What an earlier action has made for a disk that has moved since stays noted, in the machine's own folder.
        let others = earlier.paths.iter().filter(|path| is_inside(&journey.to, path));
        let others: Vec<_> = others.filter(|path| !made.paths.contains(path)).cloned().collect();
        made.paths.splice(0..0, others);
        made.folders.extend(earlier.folders.into_iter().filter(|folder| is_inside(&journey.to, folder)));
        let note = json!({ "goal": goal(journey), "made": made.paths, "folders": made.folders, "resume": made.resume });
        filesystem::write(&made.note, note.to_string().as_bytes(), 0o600)?;
        Ok(made)
    }

    /// Makes it. What fails is removed again.
    pub fn make(&self, journey: &Journey, items: &[Item]) -> Result<(), Failure> {
        let all = || {
            for folder in &self.folders {
                filesystem::make_directory(&self.at(folder), 0o755)?;
            }
            items.iter().try_for_each(|item| self.one(journey, item))
        };
        let made = all();
        if made.is_err() {
            self.remove();
        }
        made
    }

    fn one(&self, journey: &Journey, item: &Item) -> Result<(), Failure> {
        match item {
            Item::Copy { source, path } => transfer::copy(&journey.here(&**source), &self.at(path)).map(drop),
            Item::Image { path, format, size, backing } => {
                image::create(&self.at(path), format, Some(*size), backing.as_ref())
            }
            Item::Link { path, target, .. } => filesystem::link(&self.at(path), target),
        }
    }

    /// Removes what was made, and folders as far as nothing else is in them by now. What cannot be removed
    /// stays noted.
    pub fn remove(&self) {
        let mut clean = true;
        let mut remove = |place: &Place| {
            let line = format!("{} is left on {}", place.path, shown(&place.on));
            clean &= filesystem::remove(place, true).or_warn(&line).is_some();
        };
        for path in self.paths.iter().rev() {
            remove(&self.at(path));
        }
        let mut folders = self.folders.clone();
        folders.sort_unstable();
        folders.dedup();
        for folder in folders.iter().rev().map(|folder| self.at(folder)) {
            if filesystem::entries(&folder).is_ok_and(|entries| entries.is_empty()) {
                remove(&folder);
            }
        }
        if clean {
            filesystem::remove(&self.note, false).or_warn(&format!("{} is left", self.note.path));
        }
    }

    fn at(&self, path: &str) -> Place {
        Place { on: self.on.clone(), path: path.to_owned() }
    }
}

/// The folder and those above it that are made with it.
fn missing(journey: &Journey, folder: String, earlier: &Note) -> Vec<String> {
    let mut missing = vec![folder];
    while let Some(above) = missing.last().map(|folder| parent(folder).to_owned()) {
        // Above what is granted nothing can be seen, nor be made.
        match kind(&journey.there(&*above)) {
            Ok(None) => missing.push(above),
            Ok(Some(_)) if earlier.folders.contains(&above) => missing.push(above),
            _ => break,
        }
    }
    missing
}

/// The machine is there: what was made is its own from now on.
pub fn keep(journey: &Journey) {
    let note = file(journey);
    filesystem::remove(&note, false).or_warn(&format!("{} is left", note.path));
}

/// Whether both hosts see one and the same folder: what is put there on the one is seen on the other. Names
/// say nothing about that.
pub fn is_same_storage(journey: &Journey, folder: &str) -> Result<bool, Failure> {
    let probe = format!("{folder}/.migration-{}", journey.vm_id);
    let mark = format!("{} {} {}", journey.id, shown(&journey.destination), clock::now());
    filesystem::write(&journey.there(&*probe), mark.as_bytes(), 0o600)?;
    let seen = filesystem::read(&journey.here(&*probe)).is_ok_and(|content| content == mark.as_bytes());
    filesystem::remove(&journey.there(&*probe), false)?;
    Ok(seen)
}

fn in_the_way(journey: &Journey, path: &str) -> Failure {
    let host = shown(&journey.destination);
    Failure::exists(match path == journey.to || is_inside(&journey.to, path) {
        true => format!("{path} exists on {host} and was not made by this migration: if nothing uses it, remove it"),
        false => format!(
            "{path} exists on {host} and is outside of the machine's folder, an image of a datastore perhaps: it is not \
             written over, and must not be removed if that datastore is shared; migrate the machine powered off"
        ),
    })
}
