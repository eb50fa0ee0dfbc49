//! The stock driver `dummy`: it changes nothing itself, and runs the operator's hooks.

use remotes_sdk::{Failure, Vnm};
use vnm_common::hooks;

/// The driver.
pub struct Dummy;

impl Vnm for Dummy {
    const ACTIONS: &'static [&'static str] =
        &["pre", "post", "clean", "update_sg", "update_nic", "vnet_create", "vnet_delete"];

    fn pre(vm: String) -> Result<String, Failure> {
        hooks::run_alone("pre", &[], &vm)
    }

    fn post(vm: String, deploy_id: String, host: String) -> Result<String, Failure> {
        hooks::run_alone("post", &[&deploy_id, &host], &vm)
    }

    fn clean(vm: String, host: String) -> Result<String, Failure> {
        hooks::run_alone("clean", &[&host], &vm)
    }

    fn update_sg(_vm: String, _deploy_id: String) -> Result<String, Failure> {
        Ok(String::new())
    }

    fn update_nic(_vm: String, _deploy_id: String, _network: u32) -> Result<String, Failure> {
        Ok(String::new())
    }

    fn vnet_create(_id: u32, _network: String) -> Result<String, Failure> {
        Ok(String::new())
    }

    fn vnet_delete(_id: u32, _network: String) -> Result<String, Failure> {
        Ok(String::new())
    }
}

remotes_sdk::export_vnm!(Dummy);
