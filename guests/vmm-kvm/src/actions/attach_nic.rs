//! Plugs a network interface or a device of the host in.

use remotes_sdk::libvirt::{self, Scope};
use remotes_sdk::vm::Action;
use remotes_sdk::xml::{Document, Element, Tag};
use remotes_sdk::{Explain, Failure, here, info};

use crate::device::pci::{Device, guest_address};
use crate::device::{live, nic};

pub fn run(id: &str, action: &str) -> Result<(), Failure> {
    let could_not = || format!("Could not attach NIC to {id}");
    let action = Action::parse(action).explain(could_not)?;
    if let Some(pci) = action.attached("PCI") {
        let device = Device::of(pci).explain(could_not)?;
        let prepared = || {
            let virtual_function = device.is_virtual_function()?;
            let guest = guest_address(pci, &live::description(id)?)?;
            Ok(device.tag(virtual_function, guest))
        };
        let tag = prepared().explain(could_not)?;
        return attach(id, &tag, || device.is_in(&live::description(id)?)).explain(could_not);
    }
    let Some(element) = action.attached("NIC") else {
        return Err(Failure::invalid("no NIC or PCI device of the virtual machine has ATTACH=YES")).explain(could_not);
    };
    let tag = nic::tag(element, &action).explain(could_not)?;
    let is_attached = || {
        let text = tag.to_string();
        let wanted = Document::parse(&text)?;
        let same = |device: Element<'_, '_>| nic::is_same(wanted.root(), device);
        Ok(live::find(&live::description(id)?, "interface", same)?.is_some())
    };
    attach(id, &tag, is_attached).explain(could_not)
}

/// A repeat, or an answer that was lost, shows in what the domain has.
fn attach(id: &str, tag: &Tag, is_attached: impl Fn() -> Result<bool, Failure>) -> Result<(), Failure> {
    match libvirt::attach_device(&here(), id, &tag.to_string(), Scope::Live) {
        Err(_) if is_attached() == Ok(true) => {
            info!("it is attached already");
            Ok(())
        }
        attached => attached,
    }
}
