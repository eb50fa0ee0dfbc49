//! The stock driver `nodeport`: ports of the host lead to interfaces, which are routed to and have
//! security groups.

mod forward;
mod guests;

use remotes_sdk::network::Vm;
use remotes_sdk::{Failure, Vnm};
use vnm_common::groups::{self, Mode, Scope};
use vnm_common::{bridge, hooks, silent};

const DRIVER: &str = "nodeport";

/// The driver.
pub struct Nodeport;

impl Vnm for Nodeport {
    const ACTIONS: &'static [&'static str] =
        &["pre", "post", "clean", "update_sg", "update_nic", "vnet_create", "vnet_delete"];

    fn pre(vm: String) -> Result<String, Failure> {
        bridge::pre(&Vm::parse(&vm)?, DRIVER)?;
        silent(hooks::run("pre", &[], &vm))
    }

    fn post(vm: String, deploy_id: String, _host: String) -> Result<String, Failure> {
        let machine = Vm::parse(&vm)?;
        // The rules come first: what is forwarded must meet them.
        groups::activate(&machine, DRIVER, Mode::Routed, Scope::All, &deploy_id)?;
        silent(forward::open(&machine, DRIVER))
    }

    fn clean(vm: String, _host: String) -> Result<String, Failure> {
        let machine = Vm::parse(&vm)?;
        forward::close(&machine, DRIVER);
        silent(groups::deactivate(&machine, DRIVER, Mode::Routed))
    }

    fn update_sg(vm: String, deploy_id: String) -> Result<String, Failure> {
        silent(groups::activate(&Vm::parse(&vm)?, DRIVER, Mode::Routed, Scope::All, &deploy_id))
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

remotes_sdk::export_vnm!(Nodeport);
