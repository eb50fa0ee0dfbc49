//! Unplugs a network interface or a device of the host and sees it gone.

use remotes_sdk::vm::Action;
use remotes_sdk::wait::retry_when;
use remotes_sdk::xml::{Document, Element};
use remotes_sdk::{Explain, Failure, FailureKind, info, settings};

use crate::device::live;
use crate::device::pci::Device;
use crate::device::unplug::unplug;
use crate::domain::passing;

pub fn run(id: &str, mac: &str, action: &str) -> Result<(), Failure> {
    let could_not = || format!("Could not detach device from {id}");
    let action = Action::parse(action).explain(could_not)?;
    match action.attached("PCI") {
        Some(pci) => device(id, pci).explain(could_not),
        None => interface(id, &action, mac).explain(|| match is_no_bridge_port(&action, mac) {
            true => could_not(),
            false => format!("Error detaching interface ({mac})"),
        }),
    }
}

/// Whether it is one of those that libvirt connects to no bridge.
fn is_no_bridge_port(action: &Action<'_>, mac: &str) -> bool {
    action.devices("NIC").into_iter().any(|nic| {
        let is = |key, value: &str| nic.text(key).is_some_and(|text| text.eq_ignore_ascii_case(value));
        is("MAC", mac) && (is("BRIDGE_TYPE", "openvswitch_dpdk") || is("NETWORK_MODE", "dummy"))
    })
}

fn device(id: &str, pci: Element<'_, '_>) -> Result<(), Failure> {
    let device = Device::of(pci)?;
    if !unplug(id, || device.find_in(&live::description(id)?))? {
        info!("the device is not attached");
    }
    Ok(())
}

fn interface(id: &str, action: &Action<'_>, mac: &str) -> Result<(), Failure> {
    if mac.is_empty() {
        return Err(Failure::invalid("the interface's MAC address is missing"));
    }
    let tries = settings::number("VIRSH_RETRIES", 3)?;
    let meant = retry_when(tries, 1, passing, || meant(&description(id)?, action, mac))?;
    let gone = match meant {
        None => false,
        Some(meant) => {
            let is_it = |device: Element<'_, '_>| live::has_mac(device, mac) && names(device) == meant;
            retry_when(tries, 1, passing, || unplug(id, || live::find(&description(id)?, "interface", is_it)))?
        }
    };
    if !gone {
        info!("no interface has the address {mac}");
    }
    Ok(())
}

/// The running domain's. This undoes what failed while the machine may have ended: a domain that is gone has no
/// interface.
fn description(id: &str) -> Result<String, Failure> {
    match live::description(id) {
        Err(failure) if failure.kind == FailureKind::NotFound => Ok("<domain/>".to_owned()),
        xml => xml,
    }
}

/// What libvirt and the host call an interface.
type Names = (Option<String>, Option<String>);

fn names(device: Element<'_, '_>) -> Names {
    let attribute = |child: &str, name| device.first(child).and_then(|child| child.attribute(name)).map(str::to_owned);
    (attribute("alias", "name"), attribute("target", "dev"))
}

/// The interface that is to go. Where several have the address, or one has it that is another of the machine's, the
/// document's TARGET decides.
fn meant(xml: &str, action: &Action<'_>, mac: &str) -> Result<Option<Names>, Failure> {
    let document = Document::parse(xml)?;
    let all =
        document.elements("devices/interface").into_iter().filter(|device| live::has_mac(*device, mac)).map(names);
    let has_mac = |nic: &Element<'_, '_>| nic.text("MAC").is_some_and(|text| text.eq_ignore_ascii_case(mac));
    let (mut target, mut others) = (None, Vec::new());
    for nic in action.devices("NIC").into_iter().filter(has_mac) {
        match nic.text("ATTACH") == Some("YES") {
            true => target = nic.text("TARGET"),
            false => others.extend(nic.text("TARGET")),
        }
    }
    if target.is_none() {
        others.clear();
    }
    let mut found: Vec<Names> =
        all.filter(|(_, dev)| dev.as_deref().is_none_or(|dev| !others.contains(&dev))).collect();
    if let Some(position) = target.and_then(|target| found.iter().position(|(_, dev)| dev.as_deref() == Some(target))) {
        return Ok(Some(found.swap_remove(position)));
    }
    match found.len() {
        0 | 1 => Ok(found.pop()),
        several => Err(Failure::invalid(format!(
            "{several} interfaces have the address {mac}, and none of them is called as the NIC's TARGET ({}); which is \
             meant?",
            target.unwrap_or("none")
        ))),
    }
}
