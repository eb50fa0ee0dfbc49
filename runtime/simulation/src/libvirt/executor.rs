//! The capability `libvirt`.

use remotes_effect::libvirt::{Bandwidth, BlockProgress, CopyTarget, Domain, Executor, Migration, Scope};
use remotes_effect::types::{Failure, Node};

use crate::Simulation;

/// Every function but two is the one of the same name of the session with the node's hypervisor.
macro_rules! delegate {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        impl Executor for Simulation {
            $(
                fn $name(&mut self, on: &Node, $($argument: $type),*) -> Result<$answer, Failure> {
                    self.session(on)?.$name($($argument),*)
                }
            )*

            fn unplug_device(&mut self, on: &Node, domain: &str, alias: &str, seconds: u32) -> Result<bool, Failure> {
                self.unplug(on, domain, alias, seconds)
            }

            fn migrate(&mut self, on: &Node, domain: &str, how: &Migration) -> Result<(), Failure> {
                self.move_domain(on, domain, how)
            }
        }
    };
}

delegate! {
    create(xml: &str, paused: bool) -> Domain;
    define(xml: &str) -> Domain;
    undefine(domain: &str) -> ();
    find(domain: &str) -> Domain;
    domains() -> Vec<Domain>;
    xml(domain: &str) -> String;
    shutdown(domain: &str) -> ();
    destroy(domain: &str) -> ();
    reboot(domain: &str) -> ();
    reset(domain: &str) -> ();
    suspend(domain: &str) -> ();
    resume(domain: &str) -> ();
    wake_up(domain: &str) -> ();
    sync_time(domain: &str) -> ();
    save(domain: &str, path: &str) -> ();
    saved_xml(path: &str) -> String;
    restore(path: &str, xml: Option<&str>) -> ();
    attach_device(domain: &str, xml: &str, scope: Scope) -> ();
    detach_device(domain: &str, xml: &str, scope: Scope) -> ();
    update_device(domain: &str, xml: &str, scope: Scope, force: bool) -> ();
    resize_block(domain: &str, device: &str, bytes: u64) -> ();
    set_vcpus(domain: &str, count: u32, scope: Scope, hotpluggable: bool) -> ();
    set_memory(domain: &str, kib: u64, scope: Scope) -> ();
    metadata(domain: &str, uri: &str) -> String;
    set_metadata(domain: &str, uri: &str, key: &str, xml: &str, scope: Scope) -> ();
    snapshots(domain: &str) -> Vec<String>;
    snapshot_current(domain: &str) -> Option<String>;
    snapshot_xml(domain: &str, snapshot: &str) -> String;
    snapshot_create(domain: &str, xml: &str) -> String;
    snapshot_redefine(domain: &str, xml: &str, current: bool) -> ();
    snapshot_revert(domain: &str, snapshot: &str, force: bool) -> ();
    snapshot_delete(domain: &str, snapshot: &str, metadata_only: bool) -> ();
    guest_agent(domain: &str, command: &str, seconds: u32) -> String;
    abort_job(domain: &str) -> ();
    block_copy(domain: &str, disk: &str, target: &CopyTarget, shallow: bool) -> ();
    block_job(domain: &str, disk: &str) -> Option<BlockProgress>;
    end_block_job(domain: &str, disk: &str, pivot: bool) -> ();
    freeze(domain: &str, mount_points: &[String]) -> u32;
    thaw(domain: &str, mount_points: &[String]) -> u32;
    checkpoints(domain: &str) -> Vec<String>;
    checkpoint_xml(domain: &str, checkpoint: &str) -> String;
    checkpoint_create(domain: &str, xml: &str, redefine: bool) -> String;
    checkpoint_delete(domain: &str, checkpoint: &str, metadata_only: bool) -> ();
    set_bandwidth(domain: &str, interface: &str, inbound: Option<Bandwidth>, outbound: Option<Bandwidth>) -> ();
}
