//! A hypervisor as libvirt 9 shows it: states, transitions, errors.

mod agent;
mod alias;
mod bandwidth;
mod checkpoints;
mod copy;
mod definition;
mod device;
mod devices;
mod domain;
mod error;
mod executor;
mod guest;
mod life;
mod metadata;
mod migrate;
mod parts;
mod save;
mod snapshots;
mod tuning;
mod unplug;

use std::collections::BTreeMap;

use remotes_effect::policy::{Policy, is_uuid};
use remotes_effect::types::{Failure, Node};
use serde::{Deserialize, Serialize};

use crate::Simulation;
use crate::files::Tree;
pub use checkpoints::Checkpoint;
pub use copy::{Copying, DiskCopy};
pub(crate) use definition::Definition;
pub use domain::{Domain, DomainError, Domains, Snapshot};
use error::{no_domain, not_running};
pub use guest::{Agent, Countdown, Guest, Reaction};
pub(crate) use migrate::host_of;
pub(crate) use parts::{count_disks, disk_files};
pub(crate) use save::saved;

/// Where libvirt is reached, unless the operator's configuration says otherwise.
const DEFAULT_URI: &str = "qemu:///system";

/// One machine's libvirt.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Hypervisor {
    /// Its domains.
    pub domains: Domains,
    /// Guests by name of their domain.
    pub guests: BTreeMap<String, Guest>,
    /// All other guests.
    pub other_guests: Guest,
    /// Looks for the files of disks before it starts a domain, and whether they are shared before it moves one.
    pub check_disks: bool,
    /// How copies of disks go.
    pub copying: Copying,
    /// Why it cannot be reached, where it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
    /// The id given last.
    pub last_id: u32,
}

impl Hypervisor {
    /// A new id.
    pub(crate) fn take_id(&mut self) -> u32 {
        self.last_id = self.last_id.saturating_add(1);
        self.last_id
    }

    fn guest(&self, domain: &str) -> &Guest {
        self.guests.get(domain).unwrap_or(&self.other_guests)
    }

    /// Guests do what they are about to do.
    pub(crate) fn settle(&mut self, now: u64) {
        for name in self.domains.names() {
            self.advance(&name, now);
        }
    }

    fn advance(&mut self, name: &str, now: u64) {
        let Some(domain) = self.domains.get_mut(name) else { return };
        if domain.power_off.is_some_and(|countdown| countdown.due(now)) {
            self.stop(name);
            return;
        }
        device::let_go(domain, now);
    }

    /// Somebody looks at a domain.
    fn poll(&mut self, name: &str, now: u64) {
        self.advance(name, now);
        if let Some(domain) = self.domains.get_mut(name) {
            let unplugs = domain.unplugs.iter_mut().map(|(_, countdown)| countdown);
            domain.power_off.iter_mut().chain(unplugs).for_each(Countdown::poll);
        }
    }

    /// Ends a domain; a transient one is gone then, snapshots and all.
    fn stop(&mut self, name: &str) {
        if let Some(domain) = self.domains.get_mut(name) {
            domain.stop();
            if domain.config.is_none() {
                self.domains.remove(name);
            }
        }
    }
}

/// A hypervisor for the time of one effect.
pub(crate) struct Session<'a> {
    hypervisor: &'a mut Hypervisor,
    files: &'a mut Tree,
    policy: Option<&'a Policy>,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    now: u64,
}

impl Session<'_> {
    /// The domain that a name or UUID stands for. Looking for it is a poll.
    fn domain(&mut self, reference: &str) -> Result<&mut Domain, Failure> {
        let by_uuid = is_uuid(reference);
        if !by_uuid {
            // Before the look-up: whether another's domain exists is none of the driver's business.
            self.allowed(reference)?;
        }
        let absent = || {
            let what = if by_uuid { "uuid" } else { "name" };
            no_domain(format!("no domain with matching {what} '{reference}'"))
        };
        let name = self.hypervisor.domains.name(reference).ok_or_else(absent)?.to_owned();
        self.hypervisor.poll(&name, self.now);
        self.allowed(&name)?;
        self.hypervisor.domains.get_mut(&name).ok_or_else(absent)
    }

    /// The same, where it is active.
    fn active(&mut self, reference: &str) -> Result<&mut Domain, Failure> {
        match self.domain(reference)? {
            domain if domain.active() => Ok(domain),
            _ => Err(not_running()),
        }
    }

    /// Whether the policy covers the domain of this name.
    fn allowed(&self, name: &str) -> Result<(), Failure> {
        match self.policy.and_then(|policy| policy.libvirt.as_ref()) {
            Some(grant) => grant.check_domain(name),
            None => Ok(()),
        }
    }
}

impl Simulation {
    fn session(&mut self, on: &Node) -> Result<Session<'_>, Failure> {
        self.machine(on)?;
        let Self { here, hosts, policy, clock, configuration, .. } = self;
        if let Some(grant) = policy.as_ref().and_then(|policy| policy.libvirt.as_ref()) {
            grant.check_uri(configuration.get("LIBVIRT_URI").map_or(DEFAULT_URI, String::as_str))?;
        }
        let machine = match on {
            Node::Host(name) => hosts.get_mut(name).unwrap_or(here),
            Node::Here => here,
        };
        if let Some(reason) = &machine.libvirt.unavailable {
            return Err(Failure::unavailable(reason.clone()));
        }
        Ok(Session {
            hypervisor: &mut machine.libvirt,
            files: &mut machine.files,
            policy: policy.as_deref(),
            now: clock.milliseconds,
        })
    }
}
