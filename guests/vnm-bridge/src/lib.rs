//! The stock driver `bridge`: interfaces on bridges, whose uplinks are links of the host.

use remotes_sdk::network::Vm;
use remotes_sdk::{Failure, Vnm};
use vnm_common::trunk::{self, Trunk};
use vnm_common::{bridge, functions, hooks, silent};

const DRIVER: &str = "bridge";

/// The driver.
pub struct Bridge;

impl Vnm for Bridge {
    const ACTIONS: &'static [&'static str] =
        &["pre", "post", "clean", "update_sg", "update_nic", "vnet_create", "vnet_delete"];

    fn pre(vm: String) -> Result<String, Failure> {
        bridge::pre(&Vm::parse(&vm)?, DRIVER)?;
        silent(hooks::run("pre", &[], &vm))
    }

    fn post(vm: String, deploy_id: String, host: String) -> Result<String, Failure> {
        let machine = Vm::parse(&vm)?;
        trunk::filter(&machine, DRIVER, bridge::LOCK, &deploy_id, Trunk::tagged, |nic| nic.phydev.clone())?;
        functions::post(&machine, DRIVER)?;
        silent(hooks::run("post", &[&deploy_id, &host], &vm))
    }

    fn clean(vm: String, host: String) -> Result<String, Failure> {
        bridge::clean(&Vm::parse(&vm)?, DRIVER)?;
        silent(hooks::run("clean", &[&host], &vm))
    }

    fn update_sg(_vm: String, _deploy_id: String) -> Result<String, Failure> {
        Ok(String::new())
    }

    fn update_nic(vm: String, _deploy_id: String, network: u32) -> Result<String, Failure> {
        let machine = Vm::parse(&vm)?;
        bridge::update_nic(&machine, DRIVER, network)?;
        silent(functions::update_nic(&machine, DRIVER, network, &[]).map(drop))
    }

    fn vnet_create(_id: u32, _network: String) -> Result<String, Failure> {
        Ok(String::new())
    }

    fn vnet_delete(_id: u32, _network: String) -> Result<String, Failure> {
        Ok(String::new())
    }
}

remotes_sdk::export_vnm!(Bridge);
