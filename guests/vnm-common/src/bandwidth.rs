//! Limits of running machines' interfaces. Those that a machine is started with are libvirt's own business.

use remotes_sdk::network::{Bandwidth, Nic, Vm};
use remotes_sdk::{Failure, here, libvirt, warning};

use crate::taps::Taps;
use crate::update;

/// What a network has of them.
const KEYS: [&str; 6] =
    ["INBOUND_AVG_BW", "INBOUND_PEAK_BW", "INBOUND_PEAK_KB", "OUTBOUND_AVG_BW", "OUTBOUND_PEAK_BW", "OUTBOUND_PEAK_KB"];

/// Follows a change of a network's limits: every interface of the network gets those that it has now.
pub fn update_nic(vm: &Vm, driver: &str, deploy_id: &str, network: u32) -> Result<(), Failure> {
    let old = update(vm)?;
    // A container has no limits to change.
    if !KEYS.iter().any(|key| old.contains_key(*key)) || vm.vm_mad == "lxc" {
        return Ok(());
    }
    let Some(domain) = Taps::domain(vm, deploy_id) else {
        warning!("the machine is not known to a hypervisor: its interfaces get their limits when it starts");
        return Ok(());
    };
    let taps = Taps::ask(vm, deploy_id)?;
    for nic in vm.nics_of(driver).filter(|nic| nic.network_id == Some(network)) {
        let Some(tap) = taps.of(nic) else {
            warning!("NIC {}: {domain} has no interface with the address {}: its limits stay", nic.id, nic.mac);
            continue;
        };
        let (inbound, outbound) = (limits(nic, &nic.inbound)?, limits(nic, &nic.outbound)?);
        libvirt::set_bandwidth(&here(), domain, &tap, Some(inbound), Some(outbound))?;
    }
    Ok(())
}

/// What is not given is not limited.
fn limits(nic: &Nic, given: &Bandwidth) -> Result<libvirt::Bandwidth, Failure> {
    let number = |value: &Option<String>| match value.as_deref().map_or("", str::trim) {
        "" => Ok(0),
        text => text.parse().map_err(|_| {
            Failure::invalid(format!("NIC {}: a limit of its bandwidth is {text:?}, expected a number", nic.id))
        }),
    };
    Ok(libvirt::Bandwidth {
        average: number(&given.average)?,
        peak: number(&given.peak)?,
        burst: number(&given.burst)?,
    })
}
