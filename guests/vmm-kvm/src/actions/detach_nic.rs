//! Unplugs a network interface or a device of the host and sees it gone.

use remotes_sdk::vm::Action;
use remotes_sdk::wait::retry_when;
use remotes_sdk::xml::Element;
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
        None => interface(id, mac).explain(|| match is_no_bridge_port(&action, mac) {
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

fn interface(id: &str, mac: &str) -> Result<(), Failure> {
    if mac.is_empty() {
        return Err(Failure::invalid("the interface's MAC address is missing"));
    }
    // This undoes what failed while the machine may have ended: a domain that is gone has no interface.
    let there = || match live::description(id) {
        Ok(xml) => live::find(&xml, "interface", |device| live::has_mac(device, mac)),
        Err(failure) if failure.kind == FailureKind::NotFound => Ok(None),
        Err(failure) => Err(failure),
    };
    let tries = settings::number("VIRSH_RETRIES", 3)?;
    if !retry_when(tries, 1, passing, || unplug(id, there))? {
        info!("no interface has the address {mac}");
    }
    Ok(())
}
