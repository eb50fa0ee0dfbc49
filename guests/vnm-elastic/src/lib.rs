//! The host's side of the stock driver `elastic`: bridges, and interfaces that are routed to and have
//! security groups. Addresses are assigned by a provider's plug-in on the front-end, which is Ruby: the stock
//! actions `post` and `clean` see to that. They stay where they are when this driver is installed beside them,
//! and call `remote_post` and `remote_clean` here.

use remotes_sdk::network::Vm;
use remotes_sdk::{Failure, Vnm};
use vnm_common::groups::{self, Mode, Scope};
use vnm_common::{bridge, hooks, silent};

const DRIVER: &str = "elastic";

/// What is to be done where the front-end has no stock action.
fn of_the_front_end(action: &str) -> Failure {
    Failure::unsupported(format!(
        "elastic/{action}: assigning addresses is up to a provider's plug-in, which only OpenNebula's own \
         elastic/{action} can load; put that file into the front-end's tree, then run `remotes tree install` again, \
         which leaves it there"
    ))
}

/// The driver.
pub struct Elastic;

impl Vnm for Elastic {
    const ACTIONS: &'static [&'static str] =
        &["pre", "update_sg", "update_nic", "vnet_create", "vnet_delete", "remote_post", "remote_clean"];

    fn pre(vm: String) -> Result<String, Failure> {
        bridge::pre(&Vm::parse(&vm)?, DRIVER)?;
        silent(hooks::run("pre", &[], &vm))
    }

    // Neither is among ACTIONS, so that a stock file is not replaced by them.
    fn post(_vm: String, _deploy_id: String, _host: String) -> Result<String, Failure> {
        Err(of_the_front_end("post"))
    }

    fn clean(_vm: String, _host: String) -> Result<String, Failure> {
        Err(of_the_front_end("clean"))
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
