//! What a move has made where the machine is to be: noted there before it is made, so that whoever comes
//! after a kill knows what may be removed. Nothing else ever is.

use std::collections::BTreeSet;

use remotes_sdk::filesystem::{self, Kind};
use remotes_sdk::{Explain, Failure, FailureKind, Node, Place, clock, image, transfer, warning};
use serde_json::{Value, json};

use super::disks::kind;
use super::layout::{Item, folders};
use super::{Journey, shown};

/// What has been made.
pub struct Made {
    on: Node,
    note: String,
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
}

fn file(journey: &Journey) -> String {
    format!("{}/.migration", journey.to)
}

impl Note {
    /// Reads it; none where there is none.
    pub fn read(journey: &Journey) -> Result<Option<Self>, Failure> {
        let place = journey.there(file(journey));
        let content = match filesystem::read(&place) {
            Err(failure) if failure.kind == FailureKind::NotFound => return Ok(None),
            content => content?,
        };
        let Ok(value) = serde_json::from_slice::<Value>(&content) else {
            warning!("{} is not understood; what it tells of stays where it is", place.path);
            return Ok(Some(Self::default()));
        };
        let list = |key: &str| {
            let all = value.get(key).and_then(Value::as_array).into_iter().flatten();
            all.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let resume = value.get("resume").and_then(Value::as_bool).unwrap_or_default();
        Ok(Some(Self { paths: list("made"), folders: list("folders"), resume }))
    }
}

impl Made {
    /// Notes what is about to be made, after what an earlier action has left of the same is removed. What is
    /// there and was not made by this action is in the way.
    pub fn begin(journey: &Journey, items: &[Item], resume: bool) -> Result<Self, Failure> {
        let earlier = Note::read(journey)?.unwrap_or_default();
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
                None | Some(Kind::Directory) => made.folders.push(folder),
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
                (Some(_), _) => return Err(in_the_way(journey, path)),
            }
        }
        filesystem::make_directory(&journey.there(&*journey.to), 0o755)?;
        let content = json!({ "made": made.paths, "folders": made.folders, "resume": made.resume }).to_string();
        filesystem::write(&made.at(&made.note), content.as_bytes(), 0o600)?;
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
            Item::Link { path, target } => filesystem::link(&self.at(path), target),
        }
    }

    /// Removes what was made, and folders as far as nothing else is in them by now.
    pub fn remove(&self) {
        for path in self.paths.iter().rev() {
            filesystem::remove(&self.at(path), true).or_warn(&format!("{path} is left on {}", shown(&self.on)));
        }
        filesystem::remove(&self.at(&self.note), false).or_warn(&format!("{} is left", self.note));
        let mut folders = self.folders.clone();
        folders.sort_unstable();
        for folder in folders.iter().rev().map(|folder| self.at(folder)) {
            if filesystem::entries(&folder).is_ok_and(|entries| entries.is_empty()) {
                filesystem::remove(&folder, true).or_warn(&format!("{} is left on {}", folder.path, shown(&self.on)));
            }
        }
    }

    fn at(&self, path: &str) -> Place {
        Place { on: self.on.clone(), path: path.to_owned() }
    }
}

/// The machine is there: what was made is its own from now on.
pub fn keep(journey: &Journey) {
    let note = file(journey);
    filesystem::remove(&journey.there(&*note), false).or_warn(&format!("{note} is left"));
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
    Failure::exists(format!(
        "{path} exists on {} and was not made by this migration: if nothing uses it, remove it",
        shown(&journey.destination)
    ))
}
