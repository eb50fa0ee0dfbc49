//! Bridges whose uplink is a link of the host: the drivers bridge, fw, elastic and nodeport.

use remotes_sdk::network::{Nic, Vm};
use remotes_sdk::{Failure, links, locks};

use crate::host::{Host, bridge_of, proxy_port, required_bridge};
use crate::proxies::Proxies;
use crate::settings::Settings;
use crate::trunk::Trunk;
use crate::{concerned, concerns_no_link, update};

/// The lock that these drivers share.
pub const LOCK: &str = "vnmmad::novlandriver";

/// Makes the bridges that are missing, their transparent proxies, and their uplinks ports of them.
pub fn pre(vm: &Vm, driver: &str) -> Result<(), Failure> {
    locks::acquire(LOCK)?;
    let (mut host, settings) = (Host::look()?, Settings::default());
    let mut proxies = Proxies::read(&settings)?;
    for nic in vm.nics_of(driver) {
        let bridge = required_bridge(nic)?;
        host.ensure_bridge(bridge, &settings)?;
        proxies.up(nic, bridge)?;
        if let Some(phydev) = &nic.phydev {
            host.ensure_port(phydev, bridge)?;
        }
    }
    Ok(())
}

/// Removes the proxies and bridges that no guest uses any more.
pub fn clean(vm: &Vm, driver: &str) -> Result<(), Failure> {
    if concerns_no_link(vm) {
        return Ok(());
    }
    locks::acquire(LOCK)?;
    let (mut host, settings) = (Host::look()?, Settings::default());
    let proxies = Proxies::read(&settings)?;
    for nic in concerned(vm, driver) {
        let Some(bridge) = bridge_of(nic).filter(|bridge| host.has_bridge(bridge)) else { continue };
        let uplinks = uplinks(nic, bridge);
        // A bridge that is kept has a proxy only while there is somebody to use it.
        proxies.down(&mut host, nic, bridge, &uplinks)?;
        if settings.is(nic, "keep_empty_bridge")? {
            continue;
        }
        host.remove_unused(bridge, uplinks)?;
    }
    Ok(())
}

fn uplinks(nic: &Nic, bridge: &str) -> Vec<String> {
    nic.phydev.iter().cloned().chain([proxy_port(bridge)]).collect()
}

/// Follows a change of the network: another uplink, other VLANs on the trunk.
pub fn update_nic(vm: &Vm, driver: &str, network: u32) -> Result<(), Failure> {
    let old = update(vm)?;
    let Some(nic) = vm.nics_of(driver).find(|nic| nic.network_id == Some(network)) else { return Ok(()) };
    let Some(bridge) = bridge_of(nic) else { return Ok(()) };
    if !old.contains_key("PHYDEV") && !old.contains_key("VLAN_TAGGED_ID") {
        return Ok(());
    }
    locks::acquire(LOCK)?;
    let mut host = Host::look()?;
    if let Some(before) = old.get("PHYDEV") {
        if host.is_port(before, bridge) && nic.phydev.as_deref() != Some(before) {
            links::set_master(before, None)?;
        }
        if let Some(phydev) = &nic.phydev {
            host.ensure_port(phydev, bridge)?;
        }
    }
    if old.contains_key("VLAN_TAGGED_ID") {
        Trunk::tagged(nic)?.replace(&Host::look()?, bridge)?;
    }
    Ok(())
}
