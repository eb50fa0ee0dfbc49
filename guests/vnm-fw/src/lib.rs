//! The stock driver `fw`: the bridges of the driver `bridge`, with security groups.

use remotes_sdk::network::Vm;
use remotes_sdk::{Failure, Vnm};
use vnm_common::groups::{self, Mode, Scope};
use vnm_common::{bandwidth, bridge, functions, hooks, silent, then};

const DRIVER: &str = "fw";

/// The driver.
pub struct Fw;

impl Vnm for Fw {
    const ACTIONS: &'static [&'static str] =
        &["pre", "post", "clean", "update_sg", "update_nic", "vnet_create", "vnet_delete"];

    fn pre(vm: String) -> Result<String, Failure> {
        bridge::pre(&Vm::parse(&vm)?, DRIVER)?;
        silent(hooks::run("pre", &[], &vm))
    }

    fn post(vm: String, deploy_id: String, host: String) -> Result<String, Failure> {
        let machine = Vm::parse(&vm)?;
        let set_up = functions::post(&machine, DRIVER).map(drop);
        then(set_up, groups::activate(&machine, DRIVER, Mode::Bridged, Scope::Attached, &deploy_id))?;
        silent(hooks::run("post", &[&deploy_id, &host], &vm))
    }

    fn clean(vm: String, host: String) -> Result<String, Failure> {
        let machine = Vm::parse(&vm)?;
        bridge::clean(&machine, DRIVER)?;
        groups::deactivate(&machine, DRIVER, Mode::Bridged)?;
        silent(hooks::run("clean", &[&host], &vm))
    }

    fn update_sg(vm: String, deploy_id: String) -> Result<String, Failure> {
        silent(groups::activate(&Vm::parse(&vm)?, DRIVER, Mode::Bridged, Scope::All, &deploy_id))
    }

    fn update_nic(vm: String, deploy_id: String, network: u32) -> Result<String, Failure> {
        let machine = Vm::parse(&vm)?;
        bridge::update_nic(&machine, DRIVER, network)?;
        bandwidth::update_nic(&machine, DRIVER, &deploy_id, network)?;
        silent(functions::update_nic(&machine, DRIVER, network, &[]).map(drop))
    }

    fn vnet_create(_id: u32, _network: String) -> Result<String, Failure> {
        Ok(String::new())
    }

    fn vnet_delete(_id: u32, _network: String) -> Result<String, Failure> {
        Ok(String::new())
    }
}

remotes_sdk::export_vnm!(Fw);
