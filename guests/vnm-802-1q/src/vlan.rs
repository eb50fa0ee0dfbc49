//! The device below a bridge.

use remotes_sdk::Failure;
use remotes_sdk::links;
use remotes_sdk::network::Nic;
use vnm_common::device::Device;
use vnm_common::settings::Settings;

/// The driver, and its kind of device.
pub struct Vlan;

impl Device for Vlan {
    const DRIVER: &'static str = "802.1Q";
    const KIND: &'static str = "vlan";
    const LOCK: &'static str = "vlantagdriver";

    fn make(name: &str, nic: &Nic, settings: &Settings) -> Result<bool, Failure> {
        let given = nic.vlan_id.as_deref().unwrap_or_default();
        let id = given.trim().parse().ok().filter(|id| *id < 4096).ok_or_else(|| {
            Failure::invalid(format!("NIC {}: VLAN_ID is {given:?}, expected a VLAN up to 4095", nic.id))
        })?;
        let mtu = match (nic.mtu()?, settings.file("vlan_mtu")?) {
            (Some(mtu), _) => Some(mtu),
            // The file's alone: networks say MTU.
            (None, Some(mtu)) => Some(
                mtu.trim().parse().map_err(|_| Failure::invalid(format!("vlan_mtu is {mtu:?}, expected a number")))?,
            ),
            (None, None) => None,
        };
        let lower = nic.phydev.clone().unwrap_or_default();
        links::make_vlan(&links::Vlan { name: name.to_owned(), lower, id, mtu, settings: settings.link(nic)? })
    }
}
