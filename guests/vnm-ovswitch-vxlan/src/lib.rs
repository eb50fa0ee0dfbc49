//! The stock driver `ovswitch_vxlan`: the bridges of the driver `ovswitch`, on the VXLANs of the driver `vxlan`.

use remotes_sdk::links::Link;
use remotes_sdk::network::Nic;
use remotes_sdk::openvswitch::Bridge;
use remotes_sdk::{Failure, info, links};
use vnm_common::settings::Settings;
use vnm_common::switch::{Driver, Uplink};
use vnm_common::vxlan;

/// Bridges lead out by VXLANs.
pub struct Vxlans;

impl Uplink for Vxlans {
    const DRIVER: &'static str = "ovswitch_vxlan";
    const FUNCTIONS: bool = false;
    const OWN: bool = true;

    fn name(nic: &Nic) -> Option<String> {
        Some(format!("{}.{}", nic.phydev.as_deref()?, nic.outer_vlan_id.as_deref()?))
    }

    fn missing(nic: &Nic) -> Option<&'static str> {
        match (&nic.phydev, &nic.outer_vlan_id) {
            (None, _) => Some("PHYDEV"),
            (_, None) => Some("OUTER_VLAN_ID"),
            _ => None,
        }
    }

    fn make(name: &str, nic: &Nic, settings: &Settings) -> Result<(), Failure> {
        // One that is there but down, and no port yet, is brought up by what makes it.
        let is_ready = |link: &Link| link.kind == "vxlan" && (link.up || link.master.is_some());
        if !links::find(name)?.is_some_and(|link| is_ready(&link))
            && vxlan::make(name, "OUTER_VLAN_ID", nic.outer_vlan_id.as_deref(), nic, settings)?
        {
            info!("vxlan {name} was made");
        }
        Ok(())
    }

    fn remove(name: &str, nic: &Nic, bridges: &[Bridge]) -> Result<(), Failure> {
        let is_used = bridges.iter().flat_map(|bridge| &bridge.ports).any(|port| port.name == name);
        let is_below = |link: &Link| link.lower.is_none() || link.lower == nic.phydev;
        // One below a bridge of the kernel's is another driver's.
        let is_free = |link: &Link| link.master.as_deref().is_none_or(|master| master == "ovs-system");
        let is_ours = |link: &Link| link.kind == "vxlan" && is_below(link) && is_free(link);
        match links::find(name)?.is_some_and(|link| is_ours(&link)) && !is_used {
            true => links::remove(name),
            false => Ok(()),
        }
    }
}

/// The driver.
pub type OvswitchVxlan = Driver<Vxlans>;

remotes_sdk::export_vnm!(OvswitchVxlan);
