//! What the drivers of virtual networks share. A driver says what is special about it, mostly how its
//! device below the bridge is made; everything else is here once.

pub mod bandwidth;
pub mod bridge;
pub mod device;
pub mod functions;
pub mod groups;
pub mod hooks;
pub mod host;
pub mod names;
pub mod proxies;
pub mod settings;
pub mod switch;
pub mod taps;
pub mod trunk;
pub mod vlans;
pub mod vxlan;

use remotes_sdk::network::{Attached, Nic, Vm};
use remotes_sdk::{Failure, error};

/// The interfaces of a driver that an action is about: all of them, or the one that is being attached or
/// detached; none where that is something else.
pub fn concerned<'a>(vm: &'a Vm, driver: &'a str) -> impl Iterator<Item = &'a Nic> {
    let attached = vm.attached();
    vm.nics_of(driver).filter(move |nic| match attached {
        None => true,
        Some(Attached::Nic(id)) => nic.id == id,
        Some(Attached::Alias(_) | Attached::Pci(_)) => false,
    })
}

/// Whether an action is about an alias or a PCI device, which have no link of their own on the host.
pub fn concerns_no_link(vm: &Vm) -> bool {
    vm.aliases.iter().chain(&vm.pcis).any(|device| device.attach)
}

/// The values from before a change of a network; a failure where the document says of none.
pub fn update(vm: &Vm) -> Result<&std::collections::BTreeMap<String, String>, Failure> {
    vm.update.as_ref().ok_or_else(|| {
        Failure::invalid("the document of the virtual machine has no TEMPLATE/VNET_UPDATE: what changed is not known")
    })
}

/// What an action has done before it made rules, and what became of these: they are made whatever failed before.
pub fn then(before: Result<(), Failure>, rules: Result<(), Failure>) -> Result<(), Failure> {
    if let (Err(_), Err(failure)) = (&before, &rules) {
        error!("{}", failure.message);
    }
    before.and(rules)
}

/// The answer of an action that has nothing to say.
pub fn silent(result: Result<(), Failure>) -> Result<String, Failure> {
    result.map(|()| String::new())
}
