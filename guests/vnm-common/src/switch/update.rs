//! Following a change of a network.

use std::collections::BTreeMap;

use remotes_sdk::network::{Nic, Vm};
use remotes_sdk::openvswitch::{Backing, Change, Column, PortColumns, PortName};
use remotes_sdk::{Failure, locks, openvswitch};

use super::{LOCK, Uplink, apply, ensure_port, functions, ports};
use crate::host::bridge_of;
use crate::settings::Settings;
use crate::taps::Taps;
use crate::{bandwidth, update};

const UPLINKS: [&str; 2] = ["PHYDEV", "OUTER_VLAN_ID"];

/// Brings ports, bandwidth and uplinks of a network's interfaces to what the network says now.
pub fn update_nic<U: Uplink>(vm: &Vm, deploy_id: &str, network: u32) -> Result<(), Failure> {
    let old = update(vm)?;
    let has = |keys: &[&str]| keys.iter().any(|key| old.contains_key(*key));
    let nics: Vec<&Nic> = vm.nics_of(U::DRIVER).filter(|nic| nic.network_id == Some(network)).collect();
    let settings = Settings::default();
    if has(&ports::VLANS) || has(&["MTU"]) {
        set_ports(vm, &nics, deploy_id, old, &settings)?;
    }
    bandwidth::update_nic(vm, U::DRIVER, deploy_id, network)?;
    if has(&UPLINKS) {
        locks::acquire(LOCK)?;
        nics.iter().try_for_each(|nic| exchange::<U>(nic, old, &settings))?;
    }
    match U::FUNCTIONS {
        true => functions::update(vm, U::DRIVER, network),
        false => Ok(()),
    }
}

fn set_ports(
    vm: &Vm,
    nics: &[&Nic],
    deploy_id: &str,
    old: &BTreeMap<String, String>,
    settings: &Settings,
) -> Result<(), Failure> {
    let taps = Taps::find(vm, deploy_id);
    let mut changes = Vec::new();
    for nic in nics {
        let Some(bridge) = bridge_of(nic) else { continue };
        let mut columns = Vec::new();
        if ports::VLANS.iter().any(|key| old.contains_key(*key)) {
            columns.extend(ports::changed(nic, settings)?);
        }
        if old.contains_key("MTU") {
            columns.push(Column::Mtu(nic.mtu()?));
        }
        changes.push(Change::SetPort(PortColumns { bridge: bridge.to_owned(), name: taps.require(nic)?, columns }));
    }
    apply(&changes, nics.iter().any(|nic| ports::is_tunnelled(nic)))
}

/// The network's way out in place of the one it had before.
fn exchange<U: Uplink>(nic: &Nic, old: &BTreeMap<String, String>, settings: &Settings) -> Result<(), Failure> {
    let Some(name) = bridge_of(nic) else { return Ok(()) };
    let before = |key: &str, now: &Option<String>| match old.get(key) {
        Some(value) => Some(value.clone()).filter(|value| !value.is_empty()),
        None => now.clone(),
    };
    let former = Nic {
        phydev: before("PHYDEV", &nic.phydev),
        outer_vlan_id: before("OUTER_VLAN_ID", &nic.outer_vlan_id),
        ..Nic::default()
    };
    let (former_uplink, uplink) = (U::name(&former), U::name(nic));
    let bridges = openvswitch::bridges()?;
    if former_uplink == uplink || !bridges.iter().any(|bridge| bridge.name == name) {
        return Ok(());
    }
    let is_port = |port: &String| {
        bridges.iter().any(|bridge| bridge.name == name && bridge.ports.iter().any(|other| other.name == *port))
    };
    let remove = |former: &String| Change::RemovePort(PortName { bridge: name.to_owned(), name: former.clone() });
    let mut changes: Vec<Change> = former_uplink.iter().filter(|former| is_port(former)).map(remove).collect();
    if U::OWN {
        // The kernel has no second device of the same identifier: the old one goes first. A killed action may have
        // left it outside of the bridge.
        apply(&changes, false)?;
        changes.clear();
        if let Some(name) = &former_uplink {
            U::remove(name, &former, &openvswitch::bridges()?)?;
        }
        if let Some(uplink) = &uplink {
            U::make(uplink, nic, settings)?;
        }
    }
    changes.extend(uplink.iter().map(|uplink| ensure_port(name, uplink, Backing::Link)));
    apply(&changes, false)
}
