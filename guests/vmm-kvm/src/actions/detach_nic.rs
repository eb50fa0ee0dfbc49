//! Unplugs a network interface or a device of the host and sees it gone.

use remotes_sdk::libvirt::{self, Scope};
use remotes_sdk::vm::Action;
use remotes_sdk::wait::{retry_when, until};
use remotes_sdk::xml::Element;
use remotes_sdk::{Explain, Failure, here, info, settings};

use crate::device::live;
use crate::device::pci::Device;
use crate::domain::passing;

/// Seconds for the guest to let a device go, beyond those that libvirt waits by itself.
const LET_GO: u64 = 5;

pub fn run(id: &str, mac: &str, action: &str) -> Result<(), Failure> {
    let could_not = || format!("Could not detach device from {id}");
    let action = Action::parse(action).explain(could_not)?;
    match action.attached("PCI") {
        Some(pci) => device(id, pci).explain(could_not),
        None => interface(id, mac).explain(|| format!("Error detaching interface ({mac})")),
    }
}

/// Always in the form of `<hostdev>`, which is how libvirt finds a virtual function too.
fn device(id: &str, pci: Element<'_, '_>) -> Result<(), Failure> {
    let device = Device::of(pci)?;
    if !device.is_in(&live::description(id)?)? {
        info!("the device is not attached");
        return Ok(());
    }
    libvirt::detach_device(&here(), id, &device.tag(false, None).to_string(), Scope::Live)?;
    gone(|| Ok(!device.is_in(&live::description(id)?)?))
}

fn interface(id: &str, mac: &str) -> Result<(), Failure> {
    if mac.is_empty() {
        return Err(Failure::invalid("the interface's MAC address is missing"));
    }
    let there = || live::find(&live::description(id)?, "interface", |device| live::has_mac(device, mac));
    let tries = settings::number("VIRSH_RETRIES", 3)?;
    retry_when(tries, 1, passing, || {
        let Some(xml) = there()? else {
            info!("no interface has the address {mac}");
            return Ok(());
        };
        libvirt::detach_device(&here(), id, &xml, Scope::Live)?;
        gone(|| Ok(there()?.is_none()))
    })
}

fn gone(check: impl Fn() -> Result<bool, Failure>) -> Result<(), Failure> {
    match until(LET_GO, |_| check())? {
        true => Ok(()),
        false => Err(Failure::busy("the guest does not let the device go")),
    }
}
