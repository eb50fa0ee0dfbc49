//! Domains, and all of them.

use std::collections::BTreeMap;

use remotes_effect::libvirt::{Domain as Record, State};
use remotes_effect::policy::is_uuid;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::definition::{Definition, with_id};
use super::{Checkpoint, Countdown, DiskCopy, alias};

/// One domain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Domain {
    /// unique
    pub name: String,
    /// unique, in lower case with dashes
    pub uuid: String,
    /// [`State::ShutOff`] exactly where it is not active.
    pub state: State,
    /// The hypervisor's id; it is there exactly while the domain is active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
    /// The description of the active domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<String>,
    /// The persistent description; without one the domain is transient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// Snapshots by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub snapshots: BTreeMap<String, Snapshot>,
    /// The snapshot that the domain is at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_snapshot: Option<String>,
    /// When the guest powers off, if it is about to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_off: Option<Countdown>,
    /// Devices that the guest is about to let go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unplugs: Vec<(String, Countdown)>,
    /// Copies of disks under way, by the disk's target.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub copies: BTreeMap<String, DiskCopy>,
    /// Checkpoints by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub checkpoints: BTreeMap<String, Checkpoint>,
    /// How often it was asked to restart.
    #[serde(default)]
    pub reboots: u32,
    /// How often it was reset.
    #[serde(default)]
    pub resets: u32,
}

/// One snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// None: it is a root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// `running`, `paused`, `shutoff` …
    pub state: String,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub created: u64,
    /// The domain's description then, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
}

/// A domain that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DomainError {
    /// Its XML is none.
    #[error("{0}")]
    Xml(String),
    /// Another one has its name or UUID.
    #[error("two domains have the name or UUID {0}")]
    Taken(String),
    /// Its fields contradict each other.
    #[error("domain {0}: `state`, `id`, `live` and `config` do not fit each other")]
    Inconsistent(String),
}

impl Domain {
    /// An active domain is transient, an inactive one persistent. `number` becomes its id, and its UUID
    /// where the XML has none.
    pub fn from_xml(xml: &str, state: State, number: u32) -> Result<Self, DomainError> {
        let definition = Definition::lenient(xml).map_err(|failure| DomainError::Xml(failure.message))?;
        Ok(Self::new(definition.identified(&made_up(number)), state, number))
    }

    pub(super) fn new(definition: Definition, state: State, id: u32) -> Self {
        let active = state != State::ShutOff;
        Self {
            uuid: definition.uuid.unwrap_or_else(|| made_up(id)),
            name: definition.name,
            state,
            id: active.then_some(id),
            live: active.then(|| live(&definition.xml, id)),
            config: (!active).then_some(definition.xml),
            snapshots: BTreeMap::new(),
            current_snapshot: None,
            power_off: None,
            unplugs: Vec::new(),
            copies: BTreeMap::new(),
            checkpoints: BTreeMap::new(),
            reboots: 0,
            resets: 0,
        }
    }

    /// Whether it runs, in whatever way.
    pub fn active(&self) -> bool {
        self.live.is_some()
    }

    /// The description that counts now.
    pub fn xml(&self) -> &str {
        self.live.as_deref().or(self.config.as_deref()).unwrap_or_default()
    }

    /// As the contract shows it.
    pub(crate) fn record(&self) -> Record {
        Record {
            name: self.name.clone(),
            uuid: self.uuid.clone(),
            id: self.id,
            state: self.state,
            persistent: self.config.is_some(),
        }
    }

    /// Starts it, from this description.
    pub(super) fn start(&mut self, xml: &str, state: State, id: u32) {
        self.id = Some(id);
        self.live = Some(live(xml, id));
        self.state = state;
    }

    /// Ends it; a transient one is then to be removed.
    pub(super) fn stop(&mut self) {
        (self.id, self.live, self.state) = (None, None, State::ShutOff);
        self.power_off = None;
        self.unplugs.clear();
        self.copies.clear();
    }

    fn consistent(&self) -> bool {
        let active = self.state != State::ShutOff;
        active == self.live.is_some() && active == self.id.is_some() && (active || self.config.is_some())
    }
}

/// The description of an active domain.
fn live(xml: &str, id: u32) -> String {
    with_id(&alias::assigned(xml), id)
}

/// A UUID for a domain that brings none: the same one in every run.
pub(super) fn made_up(number: u32) -> String {
    format!("00000000-0000-4000-8000-{number:012x}")
}

/// The domains of one hypervisor: names and UUIDs are unique.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<Domain>", into = "Vec<Domain>")]
pub struct Domains {
    by_name: BTreeMap<String, Domain>,
    names: BTreeMap<String, String>,
}

impl Domains {
    /// By name, or by UUID in any case.
    pub fn get(&self, reference: &str) -> Option<&Domain> {
        self.by_name.get(self.name(reference)?)
    }

    pub(crate) fn get_mut(&mut self, reference: &str) -> Option<&mut Domain> {
        let name = self.name(reference)?.to_owned();
        self.by_name.get_mut(&name)
    }

    /// The name of the domain that this name or UUID stands for.
    pub(crate) fn name(&self, reference: &str) -> Option<&str> {
        if is_uuid(reference)
            && let Some(name) = self.names.get(&reference.to_ascii_lowercase())
        {
            return Some(name);
        }
        self.by_name.get_key_value(reference).map(|(name, _)| name.as_str())
    }

    /// Adds one that is new.
    pub fn insert(&mut self, domain: Domain) -> Result<(), DomainError> {
        if !domain.consistent() {
            return Err(DomainError::Inconsistent(domain.name));
        }
        if self.by_name.contains_key(&domain.name) {
            return Err(DomainError::Taken(domain.name));
        }
        if self.names.contains_key(&domain.uuid) {
            return Err(DomainError::Taken(domain.uuid));
        }
        self.names.insert(domain.uuid.clone(), domain.name.clone());
        self.by_name.insert(domain.name.clone(), domain);
        Ok(())
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<Domain> {
        let domain = self.by_name.remove(name)?;
        self.names.remove(&domain.uuid);
        Some(domain)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Domain> {
        self.by_name.values()
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.by_name.keys().cloned().collect()
    }
}

impl TryFrom<Vec<Domain>> for Domains {
    type Error = DomainError;

    fn try_from(list: Vec<Domain>) -> Result<Self, DomainError> {
        let mut domains = Self::default();
        for mut domain in list {
            domain.uuid.make_ascii_lowercase();
            domains.insert(domain)?;
        }
        Ok(domains)
    }
}

impl From<Domains> for Vec<Domain> {
    fn from(domains: Domains) -> Self {
        domains.by_name.into_values().collect()
    }
}
