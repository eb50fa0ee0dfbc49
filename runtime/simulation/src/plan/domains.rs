//! Domains of a plan: read through to the real hypervisor until they are touched.

use std::collections::{BTreeMap, BTreeSet};

use remotes_effect::libvirt::{Domain as Record, Effect as On, State};
use remotes_effect::policy::is_uuid;
use remotes_effect::types::{Failure, FailureKind, Node, Place};
use remotes_effect::{Answer, Effect, Executor, libvirt};

use super::bring::of_the_path;
use super::{Plan, key};
use crate::files::{Entry, File, Last};
use crate::libvirt::{Agent, Checkpoint, Definition, Domain, Snapshot, disk_files, saved};

/// Names and UUIDs of which the overlay knows all there is to know, be it that there is no such domain.
pub(super) type Known = BTreeSet<String>;

impl<E: Executor> Plan<E> {
    fn known(&mut self, on: &Node) -> &mut Known {
        self.domains.entry(key(on)).or_default()
    }

    pub(super) fn libvirt(&mut self, effect: &Effect, on_domain: &On) -> Answer {
        let prepared = match on_domain {
            On::Domains { on } => return self.all(effect, on),
            On::SavedXml { on, path } => return self.saved_xml(effect, on, path),
            On::Create { on, xml, .. } | On::Define { on, xml } => return self.make(effect, on, xml),
            On::Restore { on, path, xml } => return self.restore(effect, on, path, xml.as_deref()),
            On::Save { on, domain, path } => return self.save(effect, on, domain, path),
            On::GuestAgent { on, domain, command, .. } => {
                self.teach(on, command);
                self.meet(on, domain)
            }
            On::Freeze { on, domain, .. } | On::Thaw { on, domain, .. } => {
                for command in ["guest-fsfreeze-freeze", "guest-fsfreeze-freeze-list", "guest-fsfreeze-thaw"] {
                    self.teach_command(on, command);
                }
                self.meet(on, domain)
            }
            On::Migrate { on, domain, how } => return self.migrate(effect, on, domain, &how.uri),
            On::BlockCopy { on, domain, target, .. } => {
                let file = Place { on: on.clone(), path: target.path.clone() };
                self.meet(on, domain).and_then(|()| {
                    self.adopt_disks(on, domain);
                    let names = self.found(&file, Last::Follow)?;
                    self.adopt(on, &names)
                })
            }
            On::ResizeBlock { on, domain, .. }
            | On::SnapshotCreate { on, domain, .. }
            | On::SnapshotDelete { on, domain, metadata_only: false, .. } => {
                self.meet(on, domain).map(|()| self.adopt_disks(on, domain))
            }
            other => match reference(other) {
                Some((on, domain)) if effect.changes() => self.meet(on, domain),
                Some((on, domain)) if !self.known(on).contains(&folded(domain)) => return self.real.look(effect),
                _ => Ok(()),
            },
        };
        self.pretend_after(effect, prepared)
    }

    pub(super) fn pretend_after(&mut self, effect: &Effect, prepared: Result<(), Failure>) -> Answer {
        match prepared {
            Ok(()) => self.pretend(effect),
            Err(failure) => effect.refuse(failure).unwrap_or_else(|| self.pretend(effect)),
        }
    }

    /// Copies a real domain into the overlay before it is touched for the first time.
    pub(super) fn meet(&mut self, on: &Node, reference: &str) -> Result<(), Failure> {
        if self.known(on).contains(&folded(reference)) {
            return Ok(());
        }
        match self.real.find(on, reference) {
            Ok(record) => self.import_domain(on, record)?,
            Err(failure) if failure.kind == FailureKind::NotFound => {}
            Err(failure) => return Err(failure),
        }
        self.known(on).insert(folded(reference));
        Ok(())
    }

    fn import_domain(&mut self, on: &Node, record: Record) -> Result<(), Failure> {
        let fresh = self.known(on).insert(record.name.clone());
        if !self.known(on).insert(folded(&record.uuid)) || !fresh {
            return Ok(());
        }
        let xml = self.real.xml(on, &record.uuid)?;
        let snapshots = self.snapshots_of(on, &record.uuid);
        let checkpoints = self.checkpoints_of(on, &record.uuid);
        // Without them a plan is still a plan.
        let current_snapshot = self.real.snapshot_current(on, &record.uuid).ok().flatten();
        let hypervisor = &mut self.machine(on).libvirt;
        hypervisor.last_id = hypervisor.last_id.max(record.id.unwrap_or(0));
        let active = record.id.is_some();
        let state = match record.state {
            _ if !active => State::ShutOff,
            State::ShutOff => State::NoState,
            state => state,
        };
        let domain = Domain {
            name: record.name,
            uuid: folded(&record.uuid),
            state,
            id: record.id,
            live: active.then(|| xml.clone()),
            config: (record.persistent || !active).then_some(xml),
            snapshots,
            current_snapshot,
            power_off: None,
            unplugs: Vec::new(),
            copies: BTreeMap::new(),
            checkpoints,
            reboots: 0,
            resets: 0,
        };
        hypervisor.domains.insert(domain).map_err(|error| Failure::failed(format!("plan: {error}")))
    }

    fn snapshots_of(&mut self, on: &Node, domain: &str) -> BTreeMap<String, Snapshot> {
        let names = self.real.snapshots(on, domain).unwrap_or_default();
        let mut snapshots = BTreeMap::new();
        for name in names {
            let snapshot = self.real.snapshot_xml(on, domain, &name).ok().and_then(|xml| Snapshot::read(&xml).ok());
            snapshots.extend(snapshot.map(|snapshot| (name, snapshot)));
        }
        snapshots
    }

    fn checkpoints_of(&mut self, on: &Node, domain: &str) -> BTreeMap<String, Checkpoint> {
        let names = self.real.checkpoints(on, domain).unwrap_or_default();
        let mut checkpoints = BTreeMap::new();
        for name in names {
            let xml = self.real.checkpoint_xml(on, domain, &name);
            checkpoints.extend(xml.ok().and_then(|xml| Checkpoint::read(&xml).ok()).map(|it| (name, it)));
        }
        checkpoints
    }

    /// What a new domain could collide with, before it is made.
    pub(super) fn meet_definition(&mut self, on: &Node, xml: &str) -> Result<(), Failure> {
        // What cannot be read, the overlay refuses.
        let Ok(definition) = Definition::lenient(xml) else { return Ok(()) };
        self.meet(on, &definition.name)?;
        definition.uuid.map_or(Ok(()), |uuid| self.meet(on, &uuid))
    }

    fn make(&mut self, effect: &Effect, on: &Node, xml: &str) -> Answer {
        let prepared = self.meet_definition(on, xml);
        let answer = self.pretend_after(effect, prepared);
        if let Answer::Libvirt(libvirt::Answer::Create(Ok(record)) | libvirt::Answer::Define(Ok(record))) = &answer {
            let (name, uuid) = (record.name.clone(), record.uuid.clone());
            self.known(on).extend([name, uuid]);
        }
        answer
    }

    /// The active domains: the real ones that were not touched, and the overlay's.
    fn all(&mut self, effect: &Effect, on: &Node) -> Answer {
        if self.known(on).is_empty() {
            return self.real.look(effect);
        }
        let mut list = match self.real.domains(on) {
            Ok(list) => list,
            Err(failure) => return Answer::Libvirt(libvirt::Answer::Domains(Err(failure))),
        };
        let known = self.known(on);
        list.retain(|record| !known.contains(&record.name) && !known.contains(&folded(&record.uuid)));
        let mut answer = self.pretend(effect);
        if let Answer::Libvirt(libvirt::Answer::Domains(Ok(all))) = &mut answer {
            all.extend(list);
            all.sort_by(|a, b| a.name.cmp(&b.name));
        }
        answer
    }

    fn save(&mut self, effect: &Effect, on: &Node, domain: &str, path: &str) -> Answer {
        let file = Place { on: on.clone(), path: path.to_owned() };
        let prepared = self.meet(on, domain).and_then(|()| self.found(&file, Last::Follow).map(|_| ()));
        let answer = self.pretend_after(effect, prepared);
        if answer.failure().is_none() {
            let names = self.spot(&file, Last::Follow);
            self.shadow(on).change(&names);
        }
        answer
    }

    /// The path at which the real hypervisor finds a save file; none where the plan has made it.
    fn real_save(&mut self, on: &Node, path: &str) -> Option<String> {
        if self.shadow(on).is_untouched() {
            return Some(path.to_owned());
        }
        let names = match self.bring(&Place { on: on.clone(), path: path.to_owned() }, Last::Follow) {
            Ok(spot) => spot.names,
            Err(failure) if of_the_path(&failure) => return None,
            // The real one says best what it does not allow.
            Err(_) => return Some(path.to_owned()),
        };
        let shadow = self.shadow(on);
        match shadow.origin(&names) {
            Some(origin) if shadow.is_changed(&names) && origin.on == *on => Some(origin.path.clone()),
            _ if shadow.is_changed(&names) || shadow.hides(&names) => None,
            _ if shadow.links => Some(format!("/{}", names.join("/"))),
            _ => Some(path.to_owned()),
        }
    }

    fn saved_xml(&mut self, effect: &Effect, on: &Node, path: &str) -> Answer {
        match self.real_save(on, path) {
            Some(real) => Answer::Libvirt(libvirt::Answer::SavedXml(self.real.saved_xml(on, &real))),
            None => self.pretend(effect),
        }
    }

    fn restore(&mut self, effect: &Effect, on: &Node, path: &str, xml: Option<&str>) -> Answer {
        let prepared = self.bring_save(on, path).and_then(|saved| {
            self.meet_definition(on, &saved)?;
            xml.map_or(Ok(()), |xml| self.meet_definition(on, xml))
        });
        self.pretend_after(effect, prepared)
    }

    /// Sees to it that the overlay has a save file at this path; returns the XML in it.
    fn bring_save(&mut self, on: &Node, path: &str) -> Result<String, Failure> {
        let saved_xml = On::SavedXml { on: on.clone(), path: path.to_owned() };
        let Some(real) = self.real_save(on, path) else {
            return match self.pretend(&Effect::Libvirt(saved_xml)) {
                Answer::Libvirt(libvirt::Answer::SavedXml(result)) => result,
                _ => Err(Failure::failed("plan: the overlay answered something else than it was asked")),
            };
        };
        let xml = self.real.saved_xml(on, &real)?;
        let file = Place { on: on.clone(), path: path.to_owned() };
        self.found(&file, Last::Follow)?;
        let names = self.spot(&file, Last::Follow);
        if let Some(Entry::File(file)) = self.machine(on).files.at_mut(&names) {
            // Readers go to the real file all the same: its origin stays.
            *file = File { content: saved(&xml, true).into_bytes(), ..file.clone() };
        }
        Ok(xml)
    }

    /// Sees to it that the overlay has the images of a domain, before they change. Those that cannot be
    /// seen stay away: what becomes of them, nobody will see either.
    pub(super) fn adopt_disks(&mut self, on: &Node, domain: &str) {
        let xml = self.machine(on).find(domain).map(|domain| domain.xml().to_owned()).unwrap_or_default();
        for path in disk_files(&xml) {
            let file = Place { on: on.clone(), path };
            if let Ok(names) = self.found(&file, Last::Follow) {
                let _ = self.adopt(on, &names);
            }
        }
    }

    /// Agents in a plan know every command they are asked for.
    fn teach(&mut self, on: &Node, command: &str) {
        let command: Option<serde_json::Value> = serde_json::from_str(command).ok();
        let name = command.as_ref().and_then(|it| it.get("execute")).and_then(|name| name.as_str());
        if let Some(name) = name {
            self.teach_command(on, name);
        }
    }

    fn teach_command(&mut self, on: &Node, name: &str) {
        let answer = match name {
            "guest-fsfreeze-freeze" | "guest-fsfreeze-freeze-list" | "guest-fsfreeze-thaw" => serde_json::json!(0),
            "guest-exec" => serde_json::json!({ "pid": 1 }),
            "guest-exec-status" => serde_json::json!({ "exited": true, "exitcode": 0 }),
            _ => serde_json::json!({}),
        };
        if let Agent::Answers(answers) = &mut self.machine(on).libvirt.other_guests.agent {
            answers.insert(name.to_owned(), answer);
        }
    }
}

/// A UUID in lower case; a name as it is.
fn folded(reference: &str) -> String {
    if is_uuid(reference) { reference.to_ascii_lowercase() } else { reference.to_owned() }
}

/// The domain that an effect is about.
fn reference(effect: &On) -> Option<(&Node, &str)> {
    match effect {
        On::Create { .. } | On::Define { .. } | On::Domains { .. } | On::SavedXml { .. } | On::Restore { .. } => None,
        On::Undefine { on, domain }
        | On::Find { on, domain }
        | On::Xml { on, domain }
        | On::Shutdown { on, domain }
        | On::Destroy { on, domain }
        | On::Reboot { on, domain }
        | On::Reset { on, domain }
        | On::Suspend { on, domain }
        | On::Resume { on, domain }
        | On::WakeUp { on, domain }
        | On::SyncTime { on, domain }
        | On::Save { on, domain, .. }
        | On::AttachDevice { on, domain, .. }
        | On::DetachDevice { on, domain, .. }
        | On::UpdateDevice { on, domain, .. }
        | On::ResizeBlock { on, domain, .. }
        | On::SetVcpus { on, domain, .. }
        | On::SetMemory { on, domain, .. }
        | On::Metadata { on, domain, .. }
        | On::SetMetadata { on, domain, .. }
        | On::Snapshots { on, domain }
        | On::SnapshotCurrent { on, domain }
        | On::SnapshotXml { on, domain, .. }
        | On::SnapshotCreate { on, domain, .. }
        | On::SnapshotRedefine { on, domain, .. }
        | On::SnapshotRevert { on, domain, .. }
        | On::SnapshotDelete { on, domain, .. }
        | On::UnplugDevice { on, domain, .. }
        | On::Migrate { on, domain, .. }
        | On::AbortJob { on, domain }
        | On::BlockCopy { on, domain, .. }
        | On::BlockJob { on, domain, .. }
        | On::EndBlockJob { on, domain, .. }
        | On::Freeze { on, domain, .. }
        | On::Thaw { on, domain, .. }
        | On::Checkpoints { on, domain }
        | On::CheckpointXml { on, domain, .. }
        | On::CheckpointCreate { on, domain, .. }
        | On::CheckpointDelete { on, domain, .. }
        | On::SetBandwidth { on, domain, .. }
        | On::GuestAgent { on, domain, .. } => Some((on, domain)),
    }
}
