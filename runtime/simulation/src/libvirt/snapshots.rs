//! Snapshots: what libvirt knows of them, and their names in the images of the tree.

use std::collections::BTreeSet;

use remotes_effect::libvirt::State;
use remotes_effect::types::Failure;

use super::definition::{Definition, uuid};
use super::error::{config_unsupported, internal, invalid_arg, no_snapshot};
use super::error::{operation_failed, operation_invalid, xml_error};
use super::parts::disks;
use super::{Domain, Session, Snapshot};
use crate::files::{Entry, Image, Last};
use crate::xml::edit::source;
use crate::xml::{child, child_text, escaped, parse};

impl Session<'_> {
    pub fn snapshots(&mut self, reference: &str) -> Result<Vec<String>, Failure> {
        Ok(parents_first(self.domain(reference)?))
    }

    pub fn snapshot_current(&mut self, reference: &str) -> Result<Option<String>, Failure> {
        Ok(self.domain(reference)?.current_snapshot.clone())
    }

    pub fn snapshot_xml(&mut self, reference: &str, name: &str) -> Result<String, Failure> {
        let domain = self.domain(reference)?;
        let snapshot = known(domain, name)?;
        let mut xml = format!("<domainsnapshot><name>{}</name><state>{}</state>", escaped(name), snapshot.state);
        if let Some(parent) = &snapshot.parent {
            xml.push_str(&format!("<parent><name>{}</name></parent>", escaped(parent)));
        }
        xml.push_str(&format!("<creationTime>{}</creationTime>", snapshot.created));
        xml.push_str(snapshot.domain.as_deref().unwrap_or_default());
        xml.push_str("</domainsnapshot>");
        Ok(xml)
    }

    pub fn snapshot_create(&mut self, reference: &str, xml: &str) -> Result<String, Failure> {
        let seconds = self.now / 1000;
        let domain = self.domain(reference)?;
        let asked = read(xml)?;
        asked.describes(domain)?;
        Self::no_copies(domain)?;
        let name = asked.name.unwrap_or_else(|| seconds.to_string());
        if domain.snapshots.contains_key(&name) {
            return Err(operation_failed(format!("domain moment {name} already exists")));
        }
        let images = internal_disks(domain.xml())?;
        let snapshot = Snapshot {
            parent: domain.current_snapshot.clone(),
            state: state_name(domain.state).to_owned(),
            created: seconds,
            domain: Some(Definition::lenient(domain.xml())?.xml),
        };
        domain.snapshots.insert(name.clone(), snapshot);
        domain.current_snapshot = Some(name.clone());
        self.mark(&images, |names| {
            names.retain(|other| *other != name);
            names.push(name.clone());
        });
        Ok(name)
    }

    pub fn snapshot_redefine(&mut self, reference: &str, xml: &str, current: bool) -> Result<(), Failure> {
        let domain = self.domain(reference)?;
        let asked = read(xml)?;
        asked.describes(domain)?;
        let name = asked.name.ok_or_else(|| xml_error("a redefined moment must have a name"))?;
        let created = asked.created.ok_or_else(|| internal("missing creationTime from existing snapshot"))?;
        let state = asked.state.ok_or_else(|| internal("missing state from existing snapshot"))?;
        if let Some(parent) = &asked.parent {
            if *parent == name {
                return Err(invalid_arg(format!("cannot set moment {name} as its own parent")));
            }
            if !domain.snapshots.contains_key(parent) {
                return Err(invalid_arg(format!("parent {parent} for moment {name} not found")));
            }
            if ancestors(domain, parent).contains(&name) {
                return Err(invalid_arg(format!("parent {parent} would create cycle to {name}")));
            }
        }
        if asked.uuid.as_deref().is_some_and(|text| uuid(text).as_ref() != Some(&domain.uuid)) {
            let uuid = &domain.uuid;
            return Err(invalid_arg(format!("definition for snapshot {name} must use uuid {uuid}")));
        }
        let definition = asked.domain.map(|xml| Definition::lenient(&xml)).transpose()?;
        let definition = definition.map(|definition| definition.identified(&domain.uuid).xml);
        let snapshot = Snapshot { parent: asked.parent, state, created, domain: definition };
        domain.snapshots.insert(name.clone(), snapshot);
        if current {
            domain.current_snapshot = Some(name);
        }
        Ok(())
    }

    pub fn snapshot_revert(&mut self, reference: &str, name: &str, _force: bool) -> Result<(), Failure> {
        let domain = self.domain(reference)?;
        let snapshot = known(domain, name)?.clone();
        let xml = match &snapshot.domain {
            Some(xml) => Definition::lenient(xml)?.xml,
            None => Definition::lenient(domain.xml())?.xml,
        };
        if snapshot.state == "shutoff" && domain.config.is_none() {
            let reason = "transient domain needs to request run or pause to revert to inactive snapshot";
            return Err(operation_invalid(reason));
        }
        domain.current_snapshot = Some(name.to_owned());
        let domain_name = domain.name.clone();
        match snapshot.state.as_str() {
            "shutoff" => {
                domain.config = Some(xml);
                self.hypervisor.stop(&domain_name);
            }
            state => {
                let id = match domain.id {
                    Some(id) => id,
                    None => self.hypervisor.take_id(),
                };
                let state = if state == "paused" { State::Paused } else { State::Running };
                if let Some(domain) = self.hypervisor.domains.get_mut(&domain_name) {
                    // What was under way belongs to the state that is gone.
                    domain.stop();
                    domain.start(&xml, state, id);
                }
            }
        }
        Ok(())
    }

    pub fn snapshot_delete(&mut self, reference: &str, name: &str, metadata_only: bool) -> Result<(), Failure> {
        let domain = self.domain(reference)?;
        let parent = known(domain, name)?.parent.clone();
        domain.snapshots.remove(name);
        for snapshot in domain.snapshots.values_mut().filter(|other| other.parent.as_deref() == Some(name)) {
            snapshot.parent.clone_from(&parent);
        }
        if domain.current_snapshot.as_deref() == Some(name) {
            domain.current_snapshot = parent;
        }
        if !metadata_only {
            let images = internal_disks(domain.xml()).unwrap_or_default();
            self.mark(&images, |names| names.retain(|other| other != name));
        }
        Ok(())
    }

    /// Changes the names of the internal snapshots in these images, as far as they are in the tree.
    fn mark(&mut self, images: &[String], change: impl Fn(&mut Vec<String>)) {
        for path in images {
            let place = self.files.place(None, path, Last::Follow);
            if let Ok(place) = place
                && let Some(Entry::File(file)) = self.files.at_mut(&place.names)
            {
                let Image { mut snapshots, .. } = file.header();
                change(&mut snapshots);
                file.set_header(Image { snapshots, ..file.header() });
            }
        }
    }
}

impl Snapshot {
    /// Reads what `virDomainSnapshotGetXMLDesc` says.
    pub(crate) fn read(xml: &str) -> Result<Self, Failure> {
        let asked = read(xml)?;
        let domain = asked.domain.filter(|xml| Definition::lenient(xml).is_ok());
        let state = asked.state.unwrap_or_else(|| state_name(State::Running).to_owned());
        Ok(Self { parent: asked.parent, state, created: asked.created.unwrap_or(0), domain })
    }
}

/// What a `<domainsnapshot>` says.
struct Asked {
    name: Option<String>,
    state: Option<String>,
    parent: Option<String>,
    created: Option<u64>,
    domain: Option<String>,
    uuid: Option<String>,
}

impl Asked {
    /// A revert brings the description in a snapshot back to life: it must be that of the domain that the
    /// snapshot is given to.
    fn describes(&self, domain: &Domain) -> Result<(), Failure> {
        let Some(xml) = &self.domain else { return Ok(()) };
        match Definition::lenient(xml)?.name == domain.name {
            true => Ok(()),
            false => Err(Failure::denied("snapshot XML: describes another domain than the one it is given to")),
        }
    }
}

fn read(xml: &str) -> Result<Asked, Failure> {
    let document = parse("domainsnapshot", xml)?;
    let root = document.root_element();
    if !root.has_tag_name("domainsnapshot") {
        let found = root.tag_name().name();
        return Err(xml_error(format!("expecting root element of 'domainsnapshot', not '{found}'")));
    }
    let name = child_text(root, "name");
    if let Some(name) = name.as_ref().filter(|name| name.starts_with('.') || name.contains('/')) {
        return Err(xml_error(format!("invalid snapshot name '{name}': name can't start with '.' or contain '/'")));
    }
    let domain = child(root, "domain");
    Ok(Asked {
        name,
        state: child_text(root, "state"),
        parent: child(root, "parent").and_then(|parent| child_text(parent, "name")),
        created: child_text(root, "creationTime").and_then(|text| text.parse().ok()),
        uuid: domain.and_then(|domain| child_text(domain, "uuid")),
        domain: domain.map(source).map(str::to_owned),
    })
}

fn known<'a>(domain: &'a Domain, name: &str) -> Result<&'a Snapshot, Failure> {
    let absent = || no_snapshot(format!("no domain snapshot with matching name '{name}'"));
    domain.snapshots.get(name).ok_or_else(absent)
}

/// A snapshot and those above it.
fn ancestors(domain: &Domain, name: &str) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut next = Some(name.to_owned());
    while let Some(name) = next.take() {
        next = domain.snapshots.get(&name).and_then(|snapshot| snapshot.parent.clone());
        if !seen.insert(name) {
            break;
        }
    }
    seen
}

fn parents_first(domain: &Domain) -> Vec<String> {
    let mut names: Vec<_> = domain.snapshots.keys().cloned().collect();
    names.sort_by_key(|name| ancestors(domain, name).len());
    names
}

/// The files that an internal snapshot is written into.
fn internal_disks(xml: &str) -> Result<Vec<String>, Failure> {
    let document = parse("domain_definition", xml)?;
    let disks = disks(document.root_element()).into_iter().filter(|disk| disk.device == "disk" && !disk.read_only);
    let mut files = Vec::new();
    for disk in disks {
        match disk.format.as_str() {
            "qcow2" => files.extend(disk.source),
            format => {
                return Err(config_unsupported(format!(
                    "internal snapshot for disk {} unsupported for storage type {format}",
                    disk.target
                )));
            }
        }
    }
    Ok(files)
}

/// As `<state>` spells it.
fn state_name(state: State) -> &'static str {
    match state {
        State::NoState => "nostate",
        State::Running => "running",
        State::Blocked => "blocked",
        State::Paused => "paused",
        State::ShuttingDown => "shutdown",
        State::ShutOff => "shutoff",
        State::Crashed => "crashed",
        State::Suspended => "pmsuspended",
    }
}
