//! System snapshots while a machine moves: libvirt moves none that it knows any snapshot of, so that it has
//! to forget them for the time being. The images keep them all the while.

use remotes_sdk::{Explain, Failure, Node, filesystem, libvirt};

use super::Journey;
use crate::domain::while_busy;
use crate::snapshots;

/// What libvirt has forgotten.
#[derive(Debug, Default)]
pub struct Forgotten {
    /// names and descriptions, parents first
    all: Vec<(String, String)>,
    current: Option<String>,
}

impl Forgotten {
    /// Makes libvirt forget, on the host that the machine comes from. Where that fails it knows them again.
    pub fn take(journey: &Journey) -> Result<Self, Failure> {
        let (on, id) = (&journey.source, &journey.id);
        let names = libvirt::snapshots(on, id)?;
        let mut taken = Self::default();
        if names.is_empty() {
            return Ok(taken);
        }
        let current = libvirt::snapshot_current(on, id)?;
        let mut known = Vec::new();
        for name in names {
            let xml = while_busy(|| libvirt::snapshot_xml(on, id, &name))?;
            // Who is killed before they are known again leaves them to whoever comes next.
            if name.starts_with("snap-") {
                filesystem::write(&journey.here(format!("{}/{name}.xml", journey.from)), xml.as_bytes(), 0o644)?;
            }
            known.push((name, xml));
        }
        // A parent that goes first would be gone from its children's descriptions.
        for (name, xml) in known.into_iter().rev() {
            if let Err(failure) = libvirt::snapshot_delete(on, id, &name, true) {
                Self { current, ..taken }.give(journey, on);
                return Err(failure);
            }
            taken.all.insert(0, (name, xml));
        }
        Ok(Self { current, ..taken })
    }

    /// Tells libvirt on this host of them, and of those that an interrupted action has left forgotten. One that
    /// it does not take is logged: the machine runs all the same.
    pub fn give(&self, journey: &Journey, on: &Node) {
        for (name, xml) in &self.all {
            let current = self.current.as_ref() == Some(name);
            libvirt::snapshot_redefine(on, &journey.id, xml, current).or_warn(&format!("{name} is not redefined"));
        }
        let known = || {
            let mut known: Vec<_> = self.all.iter().map(|(name, _)| name.clone()).collect();
            known.extend(libvirt::snapshots(on, &journey.id).unwrap_or_default());
            known
        };
        let folder = journey.here(journey.from.clone());
        if snapshots::descriptions(&folder).or_warn("snapshots are not redefined").is_some_and(|it| !it.is_empty()) {
            snapshots::redefine_others(on, &journey.id, &folder, &known(), || Ok(libvirt::find(on, &journey.id)?.uuid));
        }
    }
}
