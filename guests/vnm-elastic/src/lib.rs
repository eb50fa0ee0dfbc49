//! The host's side of the stock driver `elastic`: bridges, and interfaces that are routed to and have
//! security groups. Addresses are assigned by a provider's plug-in on the front-end, which the stock
//! actions `post` and `clean` see to; they call `remote_post` and `remote_clean` here.

use remotes_sdk::network::Vm;
use remotes_sdk::{Failure, Vnm};
use vnm_common::groups::{self, Mode, Scope};
use vnm_common::{bridge, hooks, silent};

const DRIVER: &str = "elastic";

/// The driver.
pub struct Elastic;

impl Vnm for Elastic {
    const ACTIONS: &'static [&'static str] =
        &["pre", "update_sg", "update_nic", "vnet_create", "vnet_delete", "remote_post", "remote_clean"];

    fn pre(vm: String) -> Result<String, Failure> {
        bridge::pre(&Vm::parse(&vm)?, DRIVER)?;
        silent(hooks::run("pre", &[], &vm))
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

    fn remote_post(vm: String, deploy_id: String, _host: String) -> Result<String, Failure> {
        silent(groups::activate(&Vm::parse(&vm)?, DRIVER, Mode::Routed, Scope::Attached, &deploy_id))
    }

    fn remote_clean(vm: String, _host: String) -> Result<String, Failure> {
        silent(groups::deactivate(&Vm::parse(&vm)?, DRIVER, Mode::Routed))
    }
}

remotes_sdk::export_vnm!(Elastic);
