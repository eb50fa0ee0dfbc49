//! Virtual machines on KVM (or plain QEMU) through libvirt: the stock driver `kvm`, one module an
//! action. Domains are transient and called `one-ID`; a deploy id is the domain's UUID.

mod actions;
mod agent;
mod device;
mod disks;
mod domain;
mod firmware;
mod guest_clock;
mod hooks;
mod memory;
mod metadata;
mod migration;
mod relocation;
mod snapshots;
mod tool;
mod vgpu;
mod vtpm;

use remotes_sdk::{Failure, Vmm};

/// The driver.
pub struct Kvm;

impl Vmm for Kvm {
    const ACTIONS: &'static [&'static str] = &[
        "deploy",
        "shutdown",
        "cancel",
        "reboot",
        "reset",
        "save",
        "restore",
        "migrate",
        "migrate_local",
        "attach_disk",
        "detach_disk",
        "attach_nic",
        "detach_nic",
        "prereconfigure",
        "reconfigure",
        "snapshot_create",
        "snapshot_revert",
        "snapshot_delete",
        "resize",
        "resize_disk",
        "exec",
        "exec_cancel",
    ];

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

    fn migrate(id: String, destination: String, source: String, vm_id: u32, action: String) -> Result<(), Failure> {
        actions::migrate::run(&id, &destination, &source, vm_id, &action)
    }

    fn migrate_local(
        id: String,
        destination: String,
        source: String,
        vm_id: u32,
        action: String,
    ) -> Result<(), Failure> {
        actions::migrate_local::run(&id, &destination, &source, vm_id, &action)
    }

    fn attach_disk(id: String, path: String, target: String, _index: u32, action: String) -> Result<(), Failure> {
        actions::attach_disk::run(&id, &path, &target, &action)
    }

    fn detach_disk(id: String, _path: String, target: String, _index: u32, _action: String) -> Result<(), Failure> {
        actions::detach_disk::run(&id, &target)
    }

    // Address, bridge and so on are arguments for drivers that have no use for the document.
    fn attach_nic(
        id: String,
        _mac: String,
        _bridge: String,
        _model: String,
        _vn_mad: String,
        _target: String,
        action: String,
    ) -> Result<(), Failure> {
        actions::attach_nic::run(&id, &action)
    }

    fn detach_nic(id: String, mac: String, action: String) -> Result<(), Failure> {
        actions::detach_nic::run(&id, &mac, &action)
    }

    fn prereconfigure(id: String, target: String, _action: String) -> Result<(), Failure> {
        actions::prereconfigure::run(&id, &target)
    }

    fn reconfigure(id: String, target: String, iso: String, _action: String) -> Result<(), Failure> {
        actions::reconfigure::run(&id, &target, &iso)
    }

    fn snapshot_create(id: String, snapshot_id: u32, action: String) -> Result<String, Failure> {
        actions::snapshot_create::run(&id, snapshot_id, &action)
    }

    fn snapshot_revert(id: String, snapshot: String, _action: String) -> Result<(), Failure> {
        actions::snapshot_revert::run(&id, &snapshot)
    }

    fn snapshot_delete(id: String, snapshot: String, _action: String) -> Result<(), Failure> {
        actions::snapshot_delete::run(&id, &snapshot)
    }

    fn resize(id: String, action: String) -> Result<(), Failure> {
        actions::resize::run(&id, &action)
    }

    fn resize_disk(id: String, disk_id: u32, size: u64, action: String) -> Result<(), Failure> {
        actions::resize_disk::run(&id, disk_id, size, &action)
    }

    fn exec(vm_id: u32, _host: String, command: String, stdin: Vec<u8>) -> Result<(), Failure> {
        actions::exec::run(vm_id, &command, &stdin)
    }

    fn exec_cancel(vm_id: u32, _host: String) -> Result<(), Failure> {
        actions::exec_cancel::run(vm_id)
    }
}

remotes_sdk::export_vmm!(Kvm);
