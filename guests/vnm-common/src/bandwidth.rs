//! Limits of interfaces. Those of a new interface are in the domain's description; here is what changes
//! while it runs.

use remotes_sdk::libvirt::{self, Bandwidth};
use remotes_sdk::network::{self, Nic, Vm};
use remotes_sdk::{Failure, here, warning};

use crate::taps::Taps;
use crate::update;

const INBOUND: [&str; 3] = ["INBOUND_AVG_BW", "INBOUND_PEAK_BW", "INBOUND_PEAK_KB"];
const OUTBOUND: [&str; 3] = ["OUTBOUND_AVG_BW", "OUTBOUND_PEAK_BW", "OUTBOUND_PEAK_KB"];

/// Gives the interfaces of a network the limits that it has now, where those have changed.
pub fn update_nic(vm: &Vm, driver: &str, deploy_id: &str, network: u32) -> Result<(), Failure> {
    let old = update(vm)?;
    let mut nics = vm.nics_of(driver).filter(|nic| nic.network_id == Some(network)).peekable();
    let has_changed = INBOUND.iter().chain(&OUTBOUND).any(|key| old.contains_key(*key));
    if !has_changed || nics.peek().is_none() || vm.vm_mad == "lxc" {
        return Ok(());
    }
    let taps = Taps::ask(vm, deploy_id)?;
    let domain = Taps::domain(vm, deploy_id).unwrap_or_default();
    for nic in nics {
        let Some(target) = nic.target.as_deref().filter(|target| taps.has(target)) else {
            warning!("NIC {}: the machine has no interface {:?}; its limits stay", nic.id, nic.target);
            continue;
        };
        let (inbound, outbound) = (limits(nic, &nic.inbound, INBOUND)?, limits(nic, &nic.outbound, OUTBOUND)?);
        libvirt::set_bandwidth(&here(), domain, target, Some(inbound), Some(outbound))?;
    }
    Ok(())
}

/// A direction's limits as numbers; one that is not given is none.
fn limits(nic: &Nic, given: &network::Bandwidth, keys: [&str; 3]) -> Result<Bandwidth, Failure> {
    let values = [&given.average, &given.peak, &given.burst];
    let mut numbers = [0; 3];
    for ((number, value), key) in numbers.iter_mut().zip(values).zip(keys) {
        let Some(value) = value else { continue };
        *number = value
            .trim()
            .parse()
            .map_err(|_| Failure::invalid(format!("NIC {}: {key} is {value:?}, expected a number", nic.id)))?;
    }
    let [average, peak, burst] = numbers;
    Ok(Bandwidth { average, peak, burst })
}
