//! Plugging devices in and out, and changing them.

use remotes_effect::libvirt::Scope;
use remotes_effect::types::Failure;
use roxmltree::Node;

use super::device::{find, inserted, memory, missing, read, resized, without};
use super::error::{config_unsupported, internal, not_running, operation_invalid, operation_unsupported};
use super::error::{system, xml_error};
use super::parts::{Disk, devices, disk, disks};
use super::{Domain, Session, alias};
use crate::xml::edit::{append, replace, source};
use crate::xml::{child, children, parse};

impl Session<'_> {
    /// Makes a change to the descriptions that the scope names: to all of them or to none.
    pub(super) fn edit(
        &mut self,
        reference: &str,
        scope: Scope,
        change: impl Fn(&str) -> Result<String, Failure>,
    ) -> Result<(), Failure> {
        let domain = self.scoped(reference, scope)?;
        let changed = |wanted: bool, xml: &Option<String>| match xml {
            Some(xml) if wanted => change(xml).map(Some),
            xml => Ok(xml.clone()),
        };
        let live = changed(scope != Scope::Config, &domain.live)?;
        let config = changed(scope != Scope::Live, &domain.config)?;
        let live = live.map(|live| alias::assigned(&live));
        (domain.live, domain.config) = (live, config);
        Ok(())
    }

    /// The domain, where it has the descriptions that the scope names.
    pub(super) fn scoped(&mut self, reference: &str, scope: Scope) -> Result<&mut Domain, Failure> {
        let domain = self.domain(reference)?;
        if scope != Scope::Config && !domain.active() {
            return Err(not_running());
        }
        if scope != Scope::Live && domain.config.is_none() {
            return Err(operation_invalid("transient domains do not have any persistent config"));
        }
        Ok(domain)
    }

    pub fn attach_device(&mut self, reference: &str, xml: &str, scope: Scope) -> Result<(), Failure> {
        let name = self.scoped(reference, scope)?.name.clone();
        let document = read(xml)?;
        let device = document.root_element();
        if device.tag_name().name() == "disk"
            && let Some(source) = disk(device).source
        {
            self.check_source(&source)?;
        }
        self.edit(&name, scope, |xml| attached(xml, device, &name))
    }

    pub fn detach_device(&mut self, reference: &str, xml: &str, scope: Scope) -> Result<(), Failure> {
        let now = self.now;
        let name = self.scoped(reference, scope)?.name.clone();
        let document = read(xml)?;
        let device = document.root_element();
        let reaction = self.hypervisor.guest(&name).unplug.begin(now);
        let domain = self.scoped(reference, scope)?;
        if let Some(live) = domain.live.as_deref().filter(|_| scope != Scope::Config) {
            detachable(live, device)?;
        }
        if let Some(config) = domain.config.as_deref().filter(|_| scope != Scope::Live) {
            domain.config = Some(without(config, xml)?.ok_or_else(|| missing(device))?);
        }
        if scope != Scope::Config
            && let Some(countdown) = reaction
        {
            let asked = source(device).to_owned();
            // Asked twice, the guest lets it go once.
            if domain.unplugs.iter().all(|(pending, _)| *pending != asked) {
                domain.unplugs.push((asked, countdown));
            }
            super::device::let_go(domain, now);
        }
        Ok(())
    }

    pub fn update_device(&mut self, reference: &str, xml: &str, scope: Scope, force: bool) -> Result<(), Failure> {
        let name = self.scoped(reference, scope)?.name.clone();
        let document = read(xml)?;
        let device = document.root_element();
        let locked = self.hypervisor.guest(&name).tray_locked && !force && scope != Scope::Config;
        if device.tag_name().name() == "disk"
            && let Some(source) = disk(device).source
        {
            self.check_source(&source)?;
        }
        self.edit(&name, scope, |xml| updated(xml, device, locked))
    }
}

/// A description with one device more.
fn attached(xml: &str, device: Node<'_, '_>, domain: &str) -> Result<String, Failure> {
    let document = parse("domain_definition", xml)?;
    let root = document.root_element();
    match device.tag_name().name() {
        "disk" => new_target(root, &disk(device))?,
        "interface" => new_link(root, device)?,
        "hostdev" if find(root, device)?.is_some() => {
            let address = match super::device::host_address(device) {
                Some(super::device::Host::Pci(address)) => format!("PCI device {address}"),
                Some(super::device::Host::Mdev(uuid)) => format!("mediated device {uuid}"),
                None => "host device".to_owned(),
            };
            return Err(operation_invalid(format!("{address} is in use by driver QEMU, domain {domain}")));
        }
        "memory" if child(root, "cpu").and_then(|cpu| child(cpu, "numa")).is_none() => {
            return Err(system("can't add memory backend as guest has no NUMA nodes configured"));
        }
        _ => {}
    }
    let text = inserted(device, devices(root).count());
    let with = match children(root, "devices").next() {
        Some(devices) => append(devices, &text).apply(xml),
        None => append(root, &format!("<devices>{text}</devices>")).apply(xml),
    };
    match device.tag_name().name() {
        "memory" => resized(&with, i128::from(memory(device)?.1)),
        _ => Ok(with),
    }
}

fn new_target(root: Node<'_, '_>, new: &Disk) -> Result<(), Failure> {
    let none = "(null)";
    match disks(root).iter().find(|there| there.target == new.target) {
        None => Ok(()),
        Some(there) => Err(xml_error(format!(
            "target '{}' duplicated for disk sources '{}' and '{}'",
            new.target,
            there.source.as_deref().unwrap_or(none),
            new.source.as_deref().unwrap_or(none),
        ))),
    }
}

/// The kernel has one link of a name.
fn new_link(root: Node<'_, '_>, new: Node<'_, '_>) -> Result<(), Failure> {
    let link = |interface| child(interface, "target").and_then(|target| target.attribute("dev"));
    let Some(name) = link(new) else { return Ok(()) };
    match devices(root).any(|there| there.has_tag_name("interface") && link(there) == Some(name)) {
        true => Err(system(format!("Unable to create tap device {name}: Device or resource busy"))),
        false => Ok(()),
    }
}

/// Fails where the device is not there, or is none that can be unplugged.
pub(super) fn detachable(xml: &str, device: Node<'_, '_>) -> Result<(), Failure> {
    let document = parse("domain_definition", xml)?;
    let there = find(document.root_element(), device)?.ok_or_else(|| missing(device))?;
    match disk(there).device.as_str() {
        kind @ ("cdrom" | "floppy") if there.has_tag_name("disk") => {
            Err(operation_unsupported(format!("disk device type '{kind}' cannot be detached")))
        }
        _ => Ok(()),
    }
}

/// A description in which this device looks like that.
fn updated(xml: &str, device: Node<'_, '_>, locked: bool) -> Result<String, Failure> {
    let kind = device.tag_name().name();
    if !matches!(kind, "disk" | "interface" | "graphics") {
        return Err(config_unsupported(format!("live update of device '{kind}' is not supported")));
    }
    let document = parse("domain_definition", xml)?;
    let there = find(document.root_element(), device)?.ok_or_else(|| match kind {
        "disk" => internal(format!("disk '{}' not found", disk(device).target)),
        _ => missing(device),
    })?;
    if kind == "disk" {
        let (old, new) = (disk(there), disk(device));
        if old.device != new.device {
            return Err(operation_unsupported("cannot modify field 'device' of the disk"));
        }
        let removable = matches!(old.device.as_str(), "cdrom" | "floppy");
        if old.source != new.source && !removable {
            return Err(config_unsupported("disk source can be changed only in removable drives"));
        }
        if old.source != new.source && old.source.is_some() && locked {
            return Err(internal(format!(
                "unable to execute QEMU command 'eject': Device '{}' is locked and force was not specified, wait for tray to open and try again",
                old.target
            )));
        }
    }
    Ok(replace(there, source(device)).apply(xml))
}
