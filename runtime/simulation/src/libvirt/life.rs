//! From create to destroy.

use remotes_effect::libvirt::{Domain as Record, State};
use remotes_effect::types::Failure;

use super::definition::Definition;
use super::domain::made_up;
use super::error::{internal, not_running};
use super::error::{operation_failed, operation_invalid, system};
use super::parts::disks;
use super::{Domain, Session};
use crate::files::{Entry, Last};

impl Session<'_> {
    pub fn create(&mut self, xml: &str, paused: bool) -> Result<Record, Failure> {
        let definition = Definition::read(xml)?;
        let state = if paused { State::Paused } else { State::Running };
        self.start(definition, state)
    }

    /// Starts a domain, a transient one where there is none of this name yet.
    pub(super) fn start(&mut self, definition: Definition, state: State) -> Result<Record, Failure> {
        let definition = self.vacant(definition, true)?;
        self.check_disks(&definition.xml)?;
        let id = self.hypervisor.take_id();
        if let Some(domain) = self.hypervisor.domains.get_mut(&definition.name) {
            domain.start(&definition.xml, state, id);
            return Ok(domain.record());
        }
        let domain = Domain::new(definition, state, id);
        let record = domain.record();
        self.hypervisor.domains.insert(domain).map_err(|error| internal(error.to_string()))?;
        Ok(record)
    }

    /// The definition, with a UUID, where no other domain has its name or UUID; nor is one active, if asked.
    fn vacant(&mut self, definition: Definition, inactive: bool) -> Result<Definition, Failure> {
        // One more than any id: made up, a UUID must not be that of another domain.
        let definition = definition.identified(&made_up(self.hypervisor.last_id.saturating_add(1)));
        let (name, uuid) = (definition.name.as_str(), definition.uuid.as_deref().unwrap_or_default());
        self.hypervisor.settle(self.now);
        if let Some(other) = self.hypervisor.domains.get(uuid).filter(|other| other.name != name) {
            return Err(operation_failed(format!("domain '{}' is already defined with uuid {uuid}", other.name)));
        }
        match self.hypervisor.domains.get(name) {
            Some(domain) if domain.uuid != uuid => {
                Err(operation_failed(format!("domain '{name}' already exists with uuid {}", domain.uuid)))
            }
            Some(domain) if inactive && domain.active() => {
                Err(operation_invalid(format!("domain '{name}' is already active")))
            }
            _ => Ok(definition),
        }
    }

    /// Fails where a disk's file is missing, if that is looked at.
    fn check_disks(&self, xml: &str) -> Result<(), Failure> {
        if !self.hypervisor.check_disks {
            return Ok(());
        }
        let document = crate::xml::parse("domain_definition", xml)?;
        disks(document.root_element())
            .iter()
            .filter_map(|disk| disk.source.as_deref())
            .try_for_each(|source| self.check_source(source))
    }

    pub(super) fn check_source(&self, source: &str) -> Result<(), Failure> {
        match self.has(source) || !self.hypervisor.check_disks {
            true => Ok(()),
            false => Err(system(format!("Cannot access storage file '{source}': No such file or directory"))),
        }
    }

    /// Whether there is a file or block device, behind whatever links.
    pub(super) fn has(&self, path: &str) -> bool {
        let place = self.files.place(None, path, Last::Follow);
        let entry = place.ok().and_then(|place| self.files.at(&place.names));
        matches!(entry, Some(Entry::File(_) | Entry::BlockDevice(_)))
    }

    pub fn define(&mut self, xml: &str) -> Result<Record, Failure> {
        let definition = self.vacant(Definition::read(xml)?, false)?;
        if let Some(domain) = self.hypervisor.domains.get_mut(&definition.name) {
            domain.config = Some(definition.xml);
            return Ok(domain.record());
        }
        // The number is for a UUID alone.
        let number = self.hypervisor.take_id();
        let domain = Domain::new(definition, State::ShutOff, number);
        let record = domain.record();
        self.hypervisor.domains.insert(domain).map_err(|error| internal(error.to_string()))?;
        Ok(record)
    }

    pub fn undefine(&mut self, reference: &str) -> Result<(), Failure> {
        let domain = self.domain(reference)?;
        if domain.config.is_none() {
            return Err(operation_invalid("cannot undefine transient domain"));
        }
        if domain.active() {
            domain.config = None;
            return Ok(());
        }
        // Where firmware's variables are to be kept, libvirt counts only checkpoints that have children.
        let has_children = |name: &&String| domain.checkpoints.values().any(|it| it.parent.as_ref() == Some(*name));
        let checkpoints = domain.checkpoints.keys().filter(has_children).count();
        for (count, what) in [(domain.snapshots.len(), "snapshots"), (checkpoints, "checkpoints")] {
            if count > 0 {
                return Err(operation_invalid(format!("cannot delete inactive domain with {count} {what}")));
            }
        }
        let name = domain.name.clone();
        self.hypervisor.domains.remove(&name);
        Ok(())
    }

    pub fn find(&mut self, reference: &str) -> Result<Record, Failure> {
        Ok(self.domain(reference)?.record())
    }

    pub fn domains(&mut self) -> Result<Vec<Record>, Failure> {
        for name in self.hypervisor.domains.names() {
            self.hypervisor.poll(&name, self.now);
        }
        let all = self.hypervisor.domains.iter();
        Ok(all.filter(|it| it.active() && self.allowed(&it.name).is_ok()).map(Domain::record).collect())
    }

    pub fn xml(&mut self, reference: &str) -> Result<String, Failure> {
        Ok(self.domain(reference)?.xml().to_owned())
    }

    pub fn shutdown(&mut self, reference: &str) -> Result<(), Failure> {
        let now = self.now;
        let domain = self.active(reference)?;
        if domain.state != State::Running {
            return Err(not_running());
        }
        let name = domain.name.clone();
        let wanted = self.hypervisor.guest(&name).power_button.begin(now);
        if let Some(domain) = self.hypervisor.domains.get_mut(&name) {
            domain.power_off = domain.power_off.or(wanted);
        }
        self.hypervisor.advance(&name, now);
        Ok(())
    }

    pub fn destroy(&mut self, reference: &str) -> Result<(), Failure> {
        let name = self.active(reference)?.name.clone();
        self.hypervisor.stop(&name);
        Ok(())
    }

    pub fn reboot(&mut self, reference: &str) -> Result<(), Failure> {
        let domain = self.active(reference)?;
        domain.reboots = domain.reboots.saturating_add(1);
        Ok(())
    }

    pub fn reset(&mut self, reference: &str) -> Result<(), Failure> {
        let domain = self.active(reference)?;
        domain.resets = domain.resets.saturating_add(1);
        // What the guest was about to do, it has forgotten.
        domain.power_off = None;
        Ok(())
    }

    /// Moves and saves are over here before anybody could end them.
    pub fn abort_job(&mut self, reference: &str) -> Result<(), Failure> {
        self.active(reference).map(|_| ())
    }

    pub fn suspend(&mut self, reference: &str) -> Result<(), Failure> {
        let domain = self.active(reference)?;
        match domain.state {
            State::Suspended => Err(operation_invalid("domain is pmsuspended")),
            _ => {
                domain.state = State::Paused;
                Ok(())
            }
        }
    }

    pub fn resume(&mut self, reference: &str) -> Result<(), Failure> {
        let domain = self.active(reference)?;
        match domain.state {
            State::Suspended => Err(operation_invalid("domain is pmsuspended")),
            State::Running => Err(operation_invalid("domain is already running")),
            _ => {
                domain.state = State::Running;
                Ok(())
            }
        }
    }

    pub fn wake_up(&mut self, reference: &str) -> Result<(), Failure> {
        let domain = self.active(reference)?;
        if domain.state != State::Suspended {
            let reason = "Unable to wake up: guest is not in suspended state";
            return Err(internal(format!("unable to execute QEMU command 'system_wakeup': {reason}")));
        }
        domain.state = State::Running;
        Ok(())
    }
}
