//! Bridges whose uplink is a device made for the network: the drivers 802.1Q and vxlan.

use remotes_sdk::links::Link;
use remotes_sdk::network::{Nic, Vm};
use remotes_sdk::{Failure, error, info, links, locks};

use crate::host::{Host, bridge_of, proxy_port, required_bridge};
use crate::proxies::Proxies;
use crate::settings::Settings;
use crate::{concerned, concerns_no_link, update};

/// What is special about a kind of device.
pub trait Device {
    /// the driver's name
    const DRIVER: &'static str;
    /// the kernel's name of the kind
    const KIND: &'static str;
    /// the lock of drivers of this kind
    const LOCK: &'static str;

    /// Makes the device of an interface and brings it up; false where there was one.
    fn make(name: &str, nic: &Nic, settings: &Settings) -> Result<bool, Failure>;
}

/// The name of an interface's device; none where its network has no link below or no id.
pub fn name(nic: &Nic) -> Option<String> {
    Some(format!("{}.{}", nic.phydev.as_deref()?, nic.vlan_id.as_deref()?))
}

/// What a network does not say that has to be known to connect its bridge. A machine on it would be cut off.
pub(crate) fn leads_nowhere(nic: &Nic, bridge: &str, key: &str) -> Failure {
    Failure::invalid(format!(
        "NIC {}: its network has no {key}: bridge {bridge} leads nowhere; set it in the network",
        nic.id
    ))
}

/// Bridge and device of an interface.
fn both(nic: &Nic) -> Option<(&str, String)> {
    Some((bridge_of(nic)?, name(nic)?))
}

/// Makes bridges, their transparent proxies and devices that are missing, and the devices ports of the bridges.
pub fn pre<D: Device>(vm: &Vm) -> Result<(), Failure> {
    locks::acquire(D::LOCK)?;
    let (mut host, settings) = (Host::look()?, Settings::default());
    let mut proxies = Proxies::read(&settings)?;
    for nic in vm.nics_of(D::DRIVER) {
        // Without a link below there is nothing to make: whoever runs the host sees to the bridge.
        if nic.phydev.is_none() {
            continue;
        }
        let bridge = required_bridge(nic)?;
        host.ensure_bridge(bridge, &settings)?;
        proxies.up(nic, bridge)?;
        let device = name(nic).ok_or_else(|| leads_nowhere(nic, bridge, "VLAN_ID"))?;
        if settings.is(nic, "validate_vlan_id")? {
            validate::<D>(&host, nic, bridge)?;
        }
        connect::<D>(&mut host, nic, &settings, bridge, &device)?;
    }
    Ok(())
}

fn connect<D: Device>(
    host: &mut Host,
    nic: &Nic,
    settings: &Settings,
    bridge: &str,
    device: &str,
) -> Result<(), Failure> {
    if host.is_port(device, bridge) {
        return Ok(());
    }
    if D::make(device, nic, settings)? {
        info!("{} {device} was made", D::KIND);
    }
    host.ensure_port(device, bridge)
}

fn validate<D: Device>(host: &Host, nic: &Nic, bridge: &str) -> Result<(), Failure> {
    let given = nic.vlan_id.as_deref().unwrap_or_default();
    let wanted: Option<u32> = given.trim().parse().ok();
    let mut devices =
        host.ports(bridge).filter(|port| port.kind == D::KIND).filter_map(|port| Some((port, port.vlan?)));
    match devices.find(|(_, vlan)| Some(*vlan) != wanted) {
        None => Ok(()),
        Some((port, vlan)) => {
            error!(
                "The interface {} has vlan_id = {vlan} but the network is configured with vlan_id = {given}",
                port.name
            );
            Err(Failure::busy("Interface with an incorrect vlan_id is already in the bridge"))
        }
    }
}

/// Removes the proxies, devices and bridges that no guest uses any more.
pub fn clean<D: Device>(vm: &Vm) -> Result<(), Failure> {
    if concerns_no_link(vm) {
        return Ok(());
    }
    locks::acquire(D::LOCK)?;
    let (mut host, settings) = (Host::look()?, Settings::default());
    let proxies = Proxies::read(&settings)?;
    for nic in concerned(vm, D::DRIVER) {
        let Some((bridge, device)) = both(nic) else { continue };
        let keep = settings.is(nic, "keep_empty_bridge")?;
        if !host.has_bridge(bridge) {
            if !keep {
                remove_left::<D>(&host, nic, &device)?;
            }
            continue;
        }
        let uplinks: Vec<String> = nic.phydev.iter().cloned().chain([device.clone(), proxy_port(bridge)]).collect();
        // A bridge that is kept has a proxy only while there is somebody to use it.
        proxies.down(&mut host, nic, bridge, &uplinks)?;
        if keep {
            continue;
        }
        // The bridge goes first: as long as it is there, the device may get a guest.
        let is_removed = host.remove_unused(bridge, uplinks)?;
        // Another network of the same device may have it on its bridge.
        let is_elsewhere = host.link(&device).and_then(|link| link.master.as_deref()).is_some_and(|it| it != bridge);
        if is_removed && !is_elsewhere && nic.phydev.as_deref() != Some(&device) {
            links::remove(&device)?;
        }
    }
    Ok(())
}

/// Removes the device that an action left which was killed when the bridge had gone.
fn remove_left<D: Device>(host: &Host, nic: &Nic, device: &str) -> Result<(), Failure> {
    let below = |link: &Link| link.lower.is_none() || link.lower == nic.phydev;
    let left = |link: &Link| link.kind == D::KIND && link.master.is_none() && below(link);
    match host.link(device).filter(|link| left(link)) {
        Some(_) => links::remove(device),
        None => Ok(()),
    }
}

/// Follows a change of the network: another VLAN, link below, or size of packets.
pub fn update_nic<D: Device>(vm: &Vm, network: u32) -> Result<(), Failure> {
    let old = update(vm)?;
    let Some(nic) = vm.nics_of(D::DRIVER).find(|nic| nic.network_id == Some(network)) else { return Ok(()) };
    if !["VLAN_ID", "MTU", "PHYDEV"].iter().any(|key| old.contains_key(*key)) {
        return Ok(());
    }
    let Some((bridge, device)) = both(nic) else { return Ok(()) };
    locks::acquire(D::LOCK)?;
    let mut host = Host::look()?;
    if !host.has_bridge(bridge) {
        return Ok(());
    }
    if old.contains_key("VLAN_ID") || old.contains_key("PHYDEV") {
        let value = |key: &str| old.get(key).cloned();
        let before = Nic {
            phydev: value("PHYDEV").or_else(|| nic.phydev.clone()),
            vlan_id: value("VLAN_ID").or_else(|| nic.vlan_id.clone()),
            ..Nic::default()
        };
        if let Some(before) = name(&before).filter(|before| *before != device && host.is_port(before, bridge)) {
            links::remove(&before)?;
        }
        return connect::<D>(&mut host, nic, &Settings::default(), bridge, &device);
    }
    match nic.mtu()? {
        Some(mtu) => links::set_mtu(&device, mtu),
        None => Err(Failure::invalid(format!("NIC {}: its network has no MTU any more; set one", nic.id))),
    }
}
