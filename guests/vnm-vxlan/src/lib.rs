//! The stock driver `vxlan`: interfaces on bridges, whose uplinks are VXLANs, with security groups.

mod vxlan;

use remotes_sdk::network::Vm;
use remotes_sdk::{Failure, Vnm};
use vnm_common::device::{self, Device};
use vnm_common::groups::{self, Mode, Scope};
use vnm_common::{bandwidth, hooks, silent};

pub use vxlan::Vxlan;

impl Vnm for Vxlan {
    const ACTIONS: &'static [&'static str] =
        &["pre", "post", "clean", "update_sg", "update_nic", "vnet_create", "vnet_delete"];

    fn pre(vm: String) -> Result<String, Failure> {
        device::pre::<Self>(&Vm::parse(&vm)?)?;
        silent(hooks::run("pre", &[], &vm))
    }

    fn post(vm: String, deploy_id: String, host: String) -> Result<String, Failure> {
        groups::activate(&Vm::parse(&vm)?, Self::DRIVER, Mode::Bridged, Scope::Attached, &deploy_id)?;
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
        silent(bandwidth::update_nic(&machine, Self::DRIVER, &deploy_id, network))
    }

    fn vnet_create(_id: u32, _network: String) -> Result<String, Failure> {
        Ok(String::new())
    }

    fn vnet_delete(_id: u32, _network: String) -> Result<String, Failure> {
        Ok(String::new())
    }
}

remotes_sdk::export_vnm!(Vxlan);
