//! Moving running domains between the machines of the data centre.

use remotes_effect::libvirt::{Migration, State};
use remotes_effect::types::{Failure, Node};

use super::copy::pour;
use super::definition::Definition;
use super::error::{internal, invalid_arg, migrate_unsafe, no_storage_pool, operation_invalid};
use super::parts::{Disk, disks};
use super::{Domain, Guest, Session};
use crate::Simulation;
use crate::files::{Entry, File, Last};
use crate::xml::{child, parse};

/// What leaves one machine for another.
struct Traveller {
    domain: Domain,
    definition: Definition,
    guest: Option<Guest>,
    /// Disks whose content goes along: where it belongs, and what is there now.
    disks: Vec<(String, Option<File>)>,
}

impl Simulation {
    /// virDomainMigrate3. What is refused has changed nothing.
    pub(super) fn move_domain(&mut self, on: &Node, reference: &str, how: &Migration) -> Result<(), Failure> {
        consistent(how)?;
        // Whose domain it is comes before any connection to another host.
        self.session(on)?.find(reference)?;
        let destination = self.behind(&how.uri)?;
        // Both daemons are connected to first.
        self.session(&destination)?;
        let shared = self.shared.clone();
        let traveller = self.session(on)?.leaving(reference, how, &shared)?;
        if destination == *on {
            let uuid = &traveller.domain.uuid;
            return Err(internal(format!("Attempt to migrate guest to the same host {uuid}")));
        }
        let name = traveller.domain.name.clone();
        self.session(&destination)?.arrive(traveller, how)?;
        self.session(on)?.left(&name);
        Ok(())
    }

    /// The machine whose daemon has this URI.
    fn behind(&self, uri: &str) -> Result<Node, Failure> {
        let host = host_of(uri).ok_or_else(|| invalid_arg(format!("cannot parse the URI {uri}")))?;
        match host {
            "" | "localhost" => Ok(Node::Here),
            host if self.hosts.contains_key(host) => Ok(Node::Host(host.to_owned())),
            host => Err(Failure::unavailable(format!(
                "Cannot recv data: ssh: Could not resolve hostname {host}: Name or service not known: Connection reset by peer"
            ))),
        }
    }
}

/// The host in a daemon's URI; empty for this machine's own.
pub(crate) fn host_of(uri: &str) -> Option<&str> {
    let rest = uri.split_once("://")?.1;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match host.strip_prefix('[') {
        Some(address) => address.split_once(']').map(|(address, _)| address),
        None => Some(host.split(':').next().unwrap_or_default()),
    }
}

/// Options that libvirt takes only together, or not together.
fn consistent(how: &Migration) -> Result<(), Failure> {
    if how.tunnelled && !how.peer_to_peer {
        return Err(operation_invalid("cannot perform tunnelled migration without using peer2peer flag"));
    }
    if how.tunnelled && how.post_copy {
        return Err(operation_invalid("post-copy is not supported with tunnelled migration"));
    }
    if !how.auto_converge && (how.auto_converge_initial.is_some() || how.auto_converge_increment.is_some()) {
        return Err(invalid_arg("Turn auto convergence on to tune it"));
    }
    Ok(())
}

impl Session<'_> {
    /// What leaves, where it may.
    fn leaving(&mut self, reference: &str, how: &Migration, shared: &[String]) -> Result<Traveller, Failure> {
        let checked = self.hypervisor.check_disks;
        let domain = self.active(reference)?.clone();
        movable(&domain)?;
        let document = parse("domain_definition", domain.xml())?;
        let all = disks(document.root_element());
        if let Some(unknown) = how.disks.iter().find(|name| all.iter().all(|disk| disk.target != **name)) {
            return Err(invalid_arg(format!("disk name '{unknown}' not found")));
        }
        let goes_along = |disk: &&Disk| how.disks.contains(&disk.target);
        if checked && !how.allow_unsafe {
            all.iter().filter(|disk| !goes_along(disk)).try_for_each(|disk| safe(disk, shared))?;
        }
        let paths = all.iter().filter(goes_along).filter_map(|disk| disk.source.clone());
        let disks = paths.map(|path| (path.clone(), self.files.file(&path).cloned())).collect();
        let guest = self.hypervisor.guests.get(&domain.name).cloned();
        let definition = Definition::lenient(domain.xml())?;
        Ok(Traveller { domain, definition, guest, disks })
    }

    /// The other machine takes it in.
    fn arrive(&mut self, traveller: Traveller, how: &Migration) -> Result<(), Failure> {
        let Traveller { domain, definition, guest, disks } = traveller;
        self.allowed(&domain.name)?;
        if let Some((path, _)) = disks.iter().find(|(path, _)| self.hypervisor.check_disks && !self.has(path)) {
            let folder = path.rsplit_once('/').map_or("/", |(folder, _)| folder);
            return Err(no_storage_pool(format!("no storage pool with matching target path '{folder}'")));
        }
        let state = match domain.state {
            State::Running | State::Blocked if how.paused => State::Paused,
            state => state,
        };
        self.start(definition, state)?;
        for (path, content) in disks {
            let place = self.files.place(None, &path, Last::Follow);
            if let (Ok(place), Some(content)) = (place, content)
                && let Some(Entry::File(file)) = self.files.at_mut(&place.names)
            {
                pour(&content, file, true);
            }
        }
        self.hypervisor.guests.extend(guest.map(|guest| (domain.name.clone(), guest)));
        // Its memory goes along: what the guest was about to do, it still is.
        if let Some(arrived) = self.hypervisor.domains.get_mut(&domain.name) {
            (arrived.power_off, arrived.unplugs) = (domain.power_off, domain.unplugs);
            (arrived.reboots, arrived.resets) = (domain.reboots, domain.resets);
        }
        Ok(())
    }

    fn left(&mut self, name: &str) {
        self.hypervisor.stop(name);
        self.hypervisor.guests.remove(name);
    }
}

/// Whether the domain is one that can move at all.
fn movable(domain: &Domain) -> Result<(), Failure> {
    if !domain.snapshots.is_empty() {
        return Err(operation_invalid(format!("cannot migrate domain with {} snapshots", domain.snapshots.len())));
    }
    Session::no_copies(domain)?;
    let document = parse("domain_definition", domain.xml())?;
    for device in super::parts::devices(document.root_element()) {
        match (device.tag_name().name(), device.attribute("type")) {
            ("hostdev", kind @ Some("pci" | "mdev")) => {
                let kind = kind.unwrap_or_default();
                let what = format!("cannot migrate a domain with <hostdev mode='subsystem' type='{kind}'>");
                return Err(operation_invalid(what));
            }
            ("interface", Some("hostdev")) => {
                return Err(operation_invalid("cannot migrate a domain with <interface type='hostdev'>"));
            }
            ("filesystem", _) if child(device, "driver").and_then(|it| it.attribute("type")) == Some("virtiofs") => {
                return Err(operation_invalid("migration with virtiofs device is not supported"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether both machines would write to one file, and only one of them at a time.
fn safe(disk: &Disk, shared: &[String]) -> Result<(), Failure> {
    let Some(source) = disk.source.as_deref().filter(|_| !disk.read_only) else { return Ok(()) };
    let Ok(names) = remotes_effect::policy::normalized(source) else { return Ok(()) };
    let holds = |folder: &String| remotes_effect::policy::normalized(folder).is_ok_and(|it| names.starts_with(&it));
    if !shared.iter().any(holds) {
        return Err(migrate_unsafe("Migration without shared storage is unsafe"));
    }
    match disk.cache.as_deref() {
        Some("none" | "directsync") => Ok(()),
        _ => Err(migrate_unsafe(
            "Migration may lead to data corruption if disks use cache other than none or directsync",
        )),
    }
}
