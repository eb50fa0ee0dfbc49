//! Virtual machines on KVM (or plain QEMU) through libvirt: the stock driver `kvm`, one module an
//! action. Domains are transient and called `one-ID`; a deploy id is the domain's UUID.

mod actions;
mod disks;
mod domain;
mod firmware;
mod hooks;
mod memory;
mod relocation;
mod snapshots;
mod tool;
mod vgpu;
mod vtpm;

use remotes_sdk::{Failure, Vmm};

/// The driver.
pub struct Kvm;

impl Vmm for Kvm {
    const ACTIONS: &'static [&'static str] = &["deploy", "shutdown", "cancel", "reboot", "reset", "save", "restore"];

    fn deploy(deployment_file: String, domain: String, _host: String) -> Result<String, Failure> {
        actions::deploy::run(&deployment_file, &domain)
    }

    fn shutdown(deploy_id: String, _host: String, _action: String) -> Result<(), Failure> {
        actions::shutdown::run(&deploy_id)
    }

    fn cancel(deploy_id: String, _host: String, _action: String) -> Result<(), Failure> {
        actions::cancel::run(&deploy_id)
    }

    fn reboot(deploy_id: String, _host: String, _action: String) -> Result<(), Failure> {
        actions::reboot::run(&deploy_id)
    }

    fn reset(deploy_id: String, _host: String, _action: String) -> Result<(), Failure> {
        actions::reset::run(&deploy_id)
    }

    fn save(deploy_id: String, checkpoint: String, host: String, vm_id: u32, action: String) -> Result<(), Failure> {
        actions::save::run(&deploy_id, &checkpoint, &host, vm_id, &action)
    }

    fn restore(checkpoint: String, host: String, deploy_id: String, vm_id: u32, action: String) -> Result<(), Failure> {
        actions::restore::run(&checkpoint, &host, &deploy_id, vm_id, &action)
    }
}

remotes_sdk::export_vmm!(Kvm);
