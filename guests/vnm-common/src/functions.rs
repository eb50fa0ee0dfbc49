//! Interfaces that are virtual functions of network cards (SR-IOV): what their card makes of their packets.

use remotes_sdk::network::{Nic, Vm};
use remotes_sdk::sriov::{Function, Settings};
use remotes_sdk::{Failure, FailureKind, sriov, warning};

use crate::update;

/// Values of a network that functions depend on.
const KEYS: [&str; 3] = ["VLAN_ID", "SPOOFCHK", "TRUST"];

/// A device of the virtual machine, and the function that it is.
pub struct Found<'a> {
    /// the device
    pub device: &'a Nic,
    /// where it is
    pub function: Function,
}

/// Sets the functions of a driver up, or the one that is being attached.
pub fn post<'a>(vm: &'a Vm, driver: &str) -> Result<Vec<Found<'a>>, Failure> {
    let attached = vm.pcis.iter().any(|device| device.attach);
    let devices = vm.pcis.iter().filter(|device| device.vn_mad == driver && (device.attach || !attached));
    configure(devices)
}

/// Sets the functions of a network up again, where what they depend on has changed. Where only some of
/// `others` have, values that something else of the functions depends on, they are found and left as they are.
pub fn update_nic<'a>(vm: &'a Vm, driver: &str, network: u32, others: &[&str]) -> Result<Vec<Found<'a>>, Failure> {
    let old = update(vm)?;
    let has = |keys: &[&str]| keys.iter().any(|key| old.contains_key(*key));
    let devices = vm.pcis.iter().filter(|device| device.vn_mad == driver && device.network_id == Some(network));
    match (has(&KEYS), has(others)) {
        (true, _) => configure(devices),
        (false, true) => find(devices),
        (false, false) => Ok(Vec::new()),
    }
}

fn configure<'a>(devices: impl Iterator<Item = &'a Nic>) -> Result<Vec<Found<'a>>, Failure> {
    let found = find(devices)?;
    for Found { device, function } in &found {
        let is_switched = function.representor.is_some();
        if is_switched {
            sriov::offload(function)?;
        }
        sriov::configure(function, &settings(device, is_switched)?)?;
    }
    Ok(found)
}

/// The functions that devices are. One whose card cannot be told is left alone, and the log says so.
fn find<'a>(devices: impl Iterator<Item = &'a Nic>) -> Result<Vec<Found<'a>>, Failure> {
    let mut found = Vec::new();
    for device in devices {
        let Some(address) = address(device) else { continue };
        match sriov::find(&address) {
            Ok(function) => found.extend(function.map(|function| Found { device, function })),
            Err(failure) if failure.kind == FailureKind::Unsupported => {
                warning!("PCI device {} is not set up: {}", device.id, failure.message);
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(found)
}

fn address(device: &Nic) -> Option<String> {
    let short = device.short_address.as_deref()?;
    Some(device.pci_domain.as_ref().map_or_else(|| short.to_owned(), |domain| format!("{domain}:{short}")))
}

/// Where the host's switch handles its packets, VLAN and trust are the switch's.
fn settings(device: &Nic, is_switched: bool) -> Result<Settings, Failure> {
    let mac = Some(device.mac.clone()).filter(|mac| !mac.is_empty());
    if is_switched {
        return Ok(Settings { mac, vlan: None, spoof_check: None, trust: None });
    }
    let vlan = match device.vlan_id.as_deref() {
        None => 0,
        Some(given) => given.trim().parse().ok().filter(|id| *id < 4095).ok_or_else(|| {
            Failure::invalid(format!("PCI device {}: VLAN_ID is {given:?}, expected a VLAN up to 4094", device.id))
        })?,
    };
    Ok(Settings { mac, vlan: Some(vlan), spoof_check: device.spoof_check, trust: device.trust })
}
