//! What a plan has done to one machine's files, beside the overlay's tree itself.

use std::collections::{BTreeMap, BTreeSet};

use remotes_effect::types::Place;

/// Real names from the root.
pub(super) type Names = Vec<String>;

/// All names are those of the overlay, links resolved.
#[derive(Debug, Default)]
pub(super) struct Shadow {
    /// The overlay says what these are.
    changed: BTreeSet<Names>,
    /// Folders below which nothing real is left: made, or moved here.
    own: BTreeSet<Names>,
    /// Nothing is here any more.
    gone: BTreeSet<Names>,
    /// Files whose content is still that of a real one, in this place.
    origins: BTreeMap<Names, Place>,
    /// Whether a link was moved or made: real paths may then lead elsewhere than the overlay's.
    pub links: bool,
}

impl Shadow {
    /// Whether nothing was touched yet.
    pub fn is_untouched(&self) -> bool {
        self.changed.is_empty() && self.gone.is_empty()
    }

    /// Whether the overlay, not the real machine, says what is here.
    pub fn is_changed(&self, names: &[String]) -> bool {
        self.changed.contains(names) || self.is_own(names)
    }

    /// Whether nothing real is here or below.
    pub fn is_own(&self, names: &[String]) -> bool {
        (0..=names.len()).any(|length| self.own.contains(&names[..length]))
    }

    /// Whether there is nothing here that the overlay does not have.
    pub fn hides(&self, names: &[String]) -> bool {
        self.gone.contains(names) || self.is_own(&names[..names.len().saturating_sub(1)])
    }

    /// The plan made or changed what is here.
    pub fn change(&mut self, names: &[String]) {
        self.changed.insert(names.to_vec());
        self.origins.remove(names);
    }

    /// The same, for a folder that is new.
    pub fn make(&mut self, names: &[String]) {
        self.change(names);
        self.own.insert(names.to_vec());
    }

    /// The plan removed what is here.
    pub fn remove(&mut self, names: &[String]) {
        let below = |other: &Names| other.starts_with(names);
        self.changed.retain(|other| !below(other));
        self.own.retain(|other| !below(other));
        self.gone.retain(|other| !below(other));
        self.origins.retain(|other, _| !below(other));
        self.gone.insert(names.to_vec());
    }

    /// The real file that has this file's content.
    pub fn origin(&self, names: &[String]) -> Option<&Place> {
        self.origins.get(names)
    }

    /// This file has the content of a real one.
    pub fn set_origin(&mut self, names: &[String], place: Place) {
        self.origins.insert(names.to_vec(), place);
    }

    /// Names directly in this folder that are removed.
    pub fn gone_in(&self, folder: &[String]) -> impl Iterator<Item = &String> {
        let length = folder.len();
        self.gone
            .iter()
            .filter(move |names| names.len() == length + 1 && names.starts_with(folder))
            .filter_map(|it| it.last())
    }
}
