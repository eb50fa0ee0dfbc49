//! What the drivers of these bridges do at each action, whatever their bridges' way out is.

use std::marker::PhantomData;

use remotes_sdk::network::Vm;
use remotes_sdk::{Failure, Vnm};

use super::Uplink;
use crate::{hooks, silent};

/// The driver of bridges with such a way out.
pub struct Driver<U>(PhantomData<U>);

impl<U: Uplink> Vnm for Driver<U> {
    const ACTIONS: &'static [&'static str] =
        &["pre", "post", "clean", "update_sg", "update_nic", "vnet_create", "vnet_delete"];

    fn pre(vm: String) -> Result<String, Failure> {
        super::pre::<U>(&Vm::parse(&vm)?)?;
        silent(hooks::run("pre", &[], &vm))
    }

    fn post(vm: String, deploy_id: String, host: String) -> Result<String, Failure> {
        super::post::<U>(&Vm::parse(&vm)?, &deploy_id)?;
        silent(hooks::run("post", &[&deploy_id, &host], &vm))
    }

    fn clean(vm: String, host: String) -> Result<String, Failure> {
        super::clean::<U>(&Vm::parse(&vm)?)?;
        silent(hooks::run("clean", &[&host], &vm))
    }

    fn update_sg(_vm: String, _deploy_id: String) -> Result<String, Failure> {
        Err(super::no_groups())
    }

    fn update_nic(vm: String, deploy_id: String, network: u32) -> Result<String, Failure> {
        silent(super::update_nic::<U>(&Vm::parse(&vm)?, &deploy_id, network))
    }

    fn vnet_create(_id: u32, _network: String) -> Result<String, Failure> {
        Ok(String::new())
    }

    fn vnet_delete(_id: u32, _network: String) -> Result<String, Failure> {
        Ok(String::new())
    }
}
