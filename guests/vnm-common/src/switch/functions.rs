//! Virtual functions whose packets the card and Open vSwitch handle together: both have to know their VLANs.

use remotes_sdk::Failure;
use remotes_sdk::network::Vm;
use remotes_sdk::openvswitch::{Backing, Change, Column, PortColumns};

use super::{apply, ensure_port, new_bridge, ports};
use crate::functions::{self, Found};
use crate::host::bridge_of;
use crate::settings::Settings;

/// Sets the functions up, and plugs those that have representors in.
pub fn post(vm: &Vm, driver: &str) -> Result<(), Failure> {
    let settings = Settings::default();
    for Found { device, function } in functions::post(vm, driver)? {
        let (Some(bridge), Some(representor)) = (bridge_of(device), &function.representor) else { continue };
        let mut changes = vec![Change::EnsureBridge(new_bridge(bridge, device, &settings)?)];
        changes.extend([&function.physical, representor].map(|link| ensure_port(bridge, link, Backing::Link)));
        // A representor outlives its machines: what the last one's network had goes.
        changes.push(columns(bridge, representor, ports::changed(device, &settings)?));
        apply(&changes, ports::is_tunnelled(device))?;
    }
    Ok(())
}

/// Brings the functions of a network, and their representors, to what the network says now.
pub fn update(vm: &Vm, driver: &str, network: u32) -> Result<(), Failure> {
    let settings = Settings::default();
    for Found { device, function } in functions::update_nic(vm, driver, network, &ports::VLANS)? {
        if let (Some(bridge), Some(name)) = (bridge_of(device), &function.representor) {
            let changes = [columns(bridge, name, ports::changed(device, &settings)?)];
            apply(&changes, ports::is_tunnelled(device))?;
        }
    }
    Ok(())
}

fn columns(bridge: &str, name: &str, columns: Vec<Column>) -> Change {
    Change::SetPort(PortColumns { bridge: bridge.to_owned(), name: name.to_owned(), columns })
}
