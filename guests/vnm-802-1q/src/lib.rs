//! The stock driver `802.1Q`: interfaces on bridges, whose uplinks are VLANs, with security groups.

mod vlan;

use remotes_sdk::network::Vm;
use remotes_sdk::{Failure, Vnm, locks};
use vnm_common::device::{self, Device};
use vnm_common::groups::{self, Mode, Scope};
use vnm_common::host::{Host, bridge_of};
use vnm_common::trunk::{self, Trunk};
use vnm_common::{bandwidth, functions, hooks, silent, then, update};

pub use vlan::Vlan;

impl Vnm for Vlan {
    const ACTIONS: &'static [&'static str] =
        &["pre", "post", "clean", "update_sg", "update_nic", "vnet_create", "vnet_delete"];

    fn pre(vm: String) -> Result<String, Failure> {
        device::pre::<Self>(&Vm::parse(&vm)?)?;
        silent(hooks::run("pre", &[], &vm))
    }

    fn post(vm: String, deploy_id: String, host: String) -> Result<String, Failure> {
        let machine = Vm::parse(&vm)?;
        let set_up = trunk::filter(&machine, Self::DRIVER, Self::LOCK, &deploy_id, Trunk::customers, device::name)
            .and_then(|()| functions::post(&machine, Self::DRIVER).map(drop));
        then(set_up, groups::activate(&machine, Self::DRIVER, Mode::Bridged, Scope::Attached, &deploy_id))?;
        silent(hooks::run("post", &[&deploy_id, &host], &vm))
    }

    fn clean(vm: String, host: String) -> Result<String, Failure> {
        let machine = Vm::parse(&vm)?;
        device::clean::<Self>(&machine)?;
        groups::deactivate(&machine, Self::DRIVER, Mode::Bridged)?;
        silent(hooks::run("clean", &[&host], &vm))
    }

    fn update_sg(vm: String, deploy_id: String) -> Result<String, Failure> {
        silent(groups::activate(&Vm::parse(&vm)?, Self::DRIVER, Mode::Bridged, Scope::All, &deploy_id))
    }

    fn update_nic(vm: String, deploy_id: String, network: u32) -> Result<String, Failure> {
        let machine = Vm::parse(&vm)?;
        device::update_nic::<Self>(&machine, network)?;
        customers_changed(&machine, network)?;
        bandwidth::update_nic(&machine, Self::DRIVER, &deploy_id, network)?;
        silent(functions::update_nic(&machine, Self::DRIVER, network, &[]).map(drop))
    }

    fn vnet_create(_id: u32, _network: String) -> Result<String, Failure> {
        Ok(String::new())
    }

    fn vnet_delete(_id: u32, _network: String) -> Result<String, Failure> {
        Ok(String::new())
    }
}

/// Puts the customers' VLANs on the bridges of a network again, where they or the VLAN around them changed.
fn customers_changed(vm: &Vm, network: u32) -> Result<(), Failure> {
    let old = update(vm)?;
    if !old.contains_key("VLAN_ID") && !old.contains_key("CVLANS") {
        return Ok(());
    }
    for nic in vm.nics_of(Vlan::DRIVER).filter(|nic| nic.network_id == Some(network)) {
        let trunk = Trunk::customers(nic)?;
        if let Some(bridge) = bridge_of(nic).filter(|_| !trunk.is_empty()) {
            locks::acquire(Vlan::LOCK)?;
            trunk.replace(&Host::look()?, bridge)?;
        }
    }
    Ok(())
}

remotes_sdk::export_vnm!(Vlan);
