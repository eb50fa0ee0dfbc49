//! Checkpoints: what libvirt knows of them. Their bitmaps are nobody's business here.

use std::collections::BTreeMap;

use remotes_effect::types::Failure;
use serde::{Deserialize, Serialize};

use super::definition::Definition;
use super::error::xml_error;
use super::error::{config_unsupported, internal, invalid_arg, no_checkpoint, operation_failed, operation_unsupported};
use super::parts::disks;
use super::{Domain, Session};
use crate::xml::{child, child_text, escaped, parse};

/// One checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// None: it is the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub created: u64,
    /// Targets of the disks that it covers.
    pub disks: Vec<String>,
    /// The domain's description then, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
}

impl Session<'_> {
    pub fn checkpoints(&mut self, reference: &str) -> Result<Vec<String>, Failure> {
        Ok(parents_first(&self.domain(reference)?.checkpoints))
    }

    pub fn checkpoint_xml(&mut self, reference: &str, name: &str) -> Result<String, Failure> {
        let checkpoint = known(self.domain(reference)?, name)?;
        let parent = checkpoint.parent.as_ref().map(|it| format!("<parent><name>{}</name></parent>", escaped(it)));
        let disks = checkpoint
            .disks
            .iter()
            .map(|disk| format!("<disk name='{}' checkpoint='bitmap' bitmap='{}'/>", escaped(disk), escaped(name)));
        Ok(format!(
            "<domaincheckpoint><name>{}</name>{}<creationTime>{}</creationTime><disks>{}</disks>{}</domaincheckpoint>",
            escaped(name),
            parent.unwrap_or_default(),
            checkpoint.created,
            disks.collect::<String>(),
            checkpoint.domain.as_deref().unwrap_or_default()
        ))
    }

    pub fn checkpoint_create(&mut self, reference: &str, xml: &str, redefine: bool) -> Result<String, Failure> {
        let seconds = self.now / 1000;
        let domain = self.domain(reference)?;
        let asked = read(xml)?;
        if asked.domain.as_deref().map(Definition::lenient).transpose()?.is_some_and(|it| it.name != domain.name) {
            return Err(Failure::denied("checkpoint XML: describes another domain than the one it is given to"));
        }
        let (name, checkpoint) = match redefine {
            true => redefined(domain, asked)?,
            false => fresh(domain, asked, seconds)?,
        };
        domain.checkpoints.insert(name.clone(), checkpoint);
        Ok(name)
    }

    pub fn checkpoint_delete(&mut self, reference: &str, name: &str, _metadata_only: bool) -> Result<(), Failure> {
        let domain = self.domain(reference)?;
        let parent = known(domain, name)?.parent.clone();
        domain.checkpoints.remove(name);
        for other in domain.checkpoints.values_mut().filter(|other| other.parent.as_deref() == Some(name)) {
            other.parent.clone_from(&parent);
        }
        Ok(())
    }
}

impl Checkpoint {
    /// Reads what `virDomainCheckpointGetXMLDesc` says.
    pub(crate) fn read(xml: &str) -> Result<Self, Failure> {
        let asked = read(xml)?;
        let domain = asked.domain.filter(|xml| Definition::lenient(xml).is_ok());
        Ok(Self { parent: asked.parent, created: asked.created.unwrap_or(0), disks: asked.disks, domain })
    }
}

/// What a `<domaincheckpoint>` says.
struct Asked {
    name: Option<String>,
    parent: Option<String>,
    created: Option<u64>,
    /// none given: all that can have one
    disks: Vec<String>,
    domain: Option<String>,
}

fn read(xml: &str) -> Result<Asked, Failure> {
    let document = parse("domaincheckpoint", xml)?;
    let root = document.root_element();
    if !root.has_tag_name("domaincheckpoint") {
        let found = root.tag_name().name();
        return Err(xml_error(format!("expecting root element of 'domaincheckpoint', not '{found}'")));
    }
    let name = child_text(root, "name");
    if let Some(name) = name.as_ref().filter(|name| name.starts_with('.') || name.contains('/')) {
        return Err(xml_error(format!("invalid checkpoint name '{name}': name can't start with '.' or contain '/'")));
    }
    let wanted = child(root, "disks").into_iter().flat_map(|disks| crate::xml::children(disks, "disk"));
    let wanted = wanted.filter(|disk| disk.attribute("checkpoint") != Some("no"));
    Ok(Asked {
        name,
        parent: child(root, "parent").and_then(|parent| child_text(parent, "name")),
        created: child_text(root, "creationTime").and_then(|text| text.parse().ok()),
        disks: wanted.filter_map(|disk| disk.attribute("name")).map(str::to_owned).collect(),
        domain: child(root, "domain").map(crate::xml::edit::source).map(str::to_owned),
    })
}

fn fresh(domain: &Domain, asked: Asked, seconds: u64) -> Result<(String, Checkpoint), Failure> {
    if !domain.active() {
        return Err(operation_unsupported("cannot create checkpoint for inactive domain"));
    }
    let name = asked.name.unwrap_or_else(|| seconds.to_string());
    if domain.checkpoints.contains_key(&name) {
        return Err(operation_failed(format!("domain moment {name} already exists")));
    }
    let document = parse("domain_definition", domain.xml())?;
    let all = disks(document.root_element());
    let writable: Vec<_> = all.iter().filter(|disk| disk.device == "disk" && !disk.read_only).collect();
    let covered = match asked.disks.is_empty() {
        true => writable.iter().map(|disk| disk.target.clone()).collect(),
        false => asked.disks,
    };
    for target in &covered {
        let Some(disk) = all.iter().find(|disk| disk.target == *target) else {
            return Err(config_unsupported(format!("no disk named '{target}'")));
        };
        if disk.format != "qcow2" {
            let format = &disk.format;
            return Err(config_unsupported(format!(
                "checkpoint for disk {target} unsupported for storage type {format}"
            )));
        }
    }
    // The newest one is the leaf of the chain.
    let parent = parents_first(&domain.checkpoints).pop();
    let description = Definition::lenient(domain.xml())?.xml;
    Ok((name, Checkpoint { parent, created: seconds, disks: covered, domain: Some(description) }))
}

fn redefined(domain: &Domain, asked: Asked) -> Result<(String, Checkpoint), Failure> {
    let name = asked.name.ok_or_else(|| xml_error("a redefined moment must have a name"))?;
    let created = asked.created.ok_or_else(|| internal("missing creationTime from existing checkpoint"))?;
    if let Some(parent) = &asked.parent {
        if *parent == name {
            return Err(invalid_arg(format!("cannot set moment {name} as its own parent")));
        }
        if !domain.checkpoints.contains_key(parent) {
            return Err(invalid_arg(format!("parent {parent} for moment {name} not found")));
        }
        if depth(&domain.checkpoints, parent, Some(&name)).is_none() {
            return Err(invalid_arg(format!("parent {parent} would create cycle to {name}")));
        }
    }
    let definition = asked.domain.map(|xml| Definition::lenient(&xml)).transpose()?;
    let description = definition.map(|definition| definition.identified(&domain.uuid).xml);
    Ok((name, Checkpoint { parent: asked.parent, created, disks: asked.disks, domain: description }))
}

fn known<'a>(domain: &'a Domain, name: &str) -> Result<&'a Checkpoint, Failure> {
    let absent = || no_checkpoint(format!("no domain checkpoint with matching name '{name}'"));
    domain.checkpoints.get(name).ok_or_else(absent)
}

fn parents_first(all: &BTreeMap<String, Checkpoint>) -> Vec<String> {
    let mut names: Vec<_> = all.keys().cloned().collect();
    names.sort_by_key(|name| depth(all, name, None));
    names
}

/// How many are above a checkpoint; none where `without` is among them.
fn depth(all: &BTreeMap<String, Checkpoint>, name: &str, without: Option<&str>) -> Option<usize> {
    let mut above = 0;
    let mut next = Some(name);
    while let Some(name) = next.filter(|_| above <= all.len()) {
        if Some(name) == without {
            return None;
        }
        above += 1;
        next = all.get(name).and_then(|checkpoint| checkpoint.parent.as_deref());
    }
    Some(above)
}
