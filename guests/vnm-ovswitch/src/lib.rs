//! The stock driver `ovswitch`: interfaces on bridges of Open vSwitch, whose uplinks are links of the host.

use remotes_sdk::network::{Nic, Vm};
use remotes_sdk::openvswitch::Bridge;
use remotes_sdk::{Failure, Vnm};
use vnm_common::settings::Settings;
use vnm_common::switch::{self, Uplink};
use vnm_common::{hooks, silent};

/// The driver.
pub struct Ovswitch;

impl Uplink for Ovswitch {
    const DRIVER: &'static str = "ovswitch";
    const FUNCTIONS: bool = true;
    const OWN: bool = false;

    fn name(nic: &Nic) -> Option<String> {
        nic.phydev.clone()
    }

    fn make(_name: &str, _nic: &Nic, _settings: &Settings) -> Result<(), Failure> {
        Ok(())
    }

    fn remove(_name: &str, _nic: &Nic, _bridges: &[Bridge]) -> Result<(), Failure> {
        Ok(())
    }
}

impl Vnm for Ovswitch {
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

remotes_sdk::export_vnm!(Ovswitch);
