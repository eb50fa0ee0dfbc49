//! The stock driver `ovswitch_vxlan`: the bridges of the driver `ovswitch`, on the VXLANs of the driver `vxlan`.

use remotes_sdk::links::Link;
use remotes_sdk::network::{Nic, Vm};
use remotes_sdk::openvswitch::Bridge;
use remotes_sdk::{Failure, Vnm, info, links};
use vnm_common::settings::Settings;
use vnm_common::switch::{self, Uplink};
use vnm_common::{hooks, silent, vxlan};

/// The driver.
pub struct OvswitchVxlan;

impl Uplink for OvswitchVxlan {
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

impl Vnm for OvswitchVxlan {
    const ACTIONS: &'static [&'static str] =
        &["pre", "post", "clean", "update_sg", "update_nic", "vnet_create", "vnet_delete"];

    fn pre(vm: String) -> Result<String, Failure> {
        switch::pre::<Self>(&Vm::parse(&vm)?)?;
        silent(hooks::run("pre", &[], &vm))
    }

    fn post(vm: String, deploy_id: String, host: String) -> Result<String, Failure> {
        switch::post::<Self>(&Vm::parse(&vm)?, &deploy_id)?;
        silent(hooks::run("post", &[&deploy_id, &host], &vm))
    }

    fn clean(vm: String, host: String) -> Result<String, Failure> {
        switch::clean::<Self>(&Vm::parse(&vm)?)?;
        silent(hooks::run("clean", &[&host], &vm))
    }

    fn update_sg(_vm: String, _deploy_id: String) -> Result<String, Failure> {
        Err(switch::no_groups())
    }

    fn update_nic(vm: String, deploy_id: String, network: u32) -> Result<String, Failure> {
        silent(switch::update_nic::<Self>(&Vm::parse(&vm)?, &deploy_id, network))
    }

    fn vnet_create(_id: u32, _network: String) -> Result<String, Failure> {
        Ok(String::new())
    }

    fn vnet_delete(_id: u32, _network: String) -> Result<String, Failure> {
        Ok(String::new())
    }
}

remotes_sdk::export_vnm!(OvswitchVxlan);
