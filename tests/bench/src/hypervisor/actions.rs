//! What is measured: each action, what virsh does in its place, and from which state.

use anyhow::Result;
use remotes_integration::calls::{MAC, file};
use remotes_integration::hosts::FROM;
use remotes_test_support::until;

use super::host::Host;

/// One of the actions.
pub struct Measured {
    pub action: &'static str,
    /// brings the machine to where the action begins
    pub before: fn(&Host) -> Result<()>,
    /// the same by virsh
    pub by_hand: fn(&Host) -> Result<()>,
}

const fn measured(action: &'static str, before: fn(&Host) -> Result<()>, by_hand: fn(&Host) -> Result<()>) -> Measured {
    Measured { action, before, by_hand }
}

/// Those of interfaces, on a host that has a bridge.
pub const INTERFACES: &[Measured] = &[
    measured("attach_nic", without_interface, attach_interface),
    measured("detach_nic", with_interface, detach_interface),
];

/// Those of a machine with an agent.
pub const AGENT: &[Measured] = &[
    measured("exec", |_| Ok(()), |host| agent(host, "/bin/sh", &["-c", ":"])),
    measured("exec_cancel", goes_on, |host| agent(host, "/bin/sh", &["-c", "kill $(pidof sleep)"])),
];

fn agent(host: &Host, path: &str, arguments: &[&str]) -> Result<()> {
    let command = serde_json::json!({ "execute": "guest-exec", "arguments": { "path": path, "arg": arguments } });
    host.does(host.virsh(&["qemu-agent-command", &command.to_string()]))
}

/// A command that goes on in the guest.
fn goes_on(host: &Host) -> Result<()> {
    let id = &host.guest.name["one-".len()..];
    host.does(host.scene.called(host.scene.tree.stub("exec"), [id, FROM, "/bin/sleep 1000"]))
}

/// All others, on any host.
pub const ACTIONS: &[Measured] = &[
    measured("deploy", Host::stop, |host| host.does(host.virsh_without(&["create", &deployment(host)]))),
    measured("cancel", Host::start, |host| host.does(host.virsh(&["destroy"]))),
    measured("reset", Host::start, |host| host.does(host.virsh(&["reset"]))),
    measured("shutdown", Host::start, |host| {
        host.does(host.virsh(&["shutdown"]))?;
        host.until_gone()
    }),
    // It leaves a machine that has grown behind, which the next one replaces: QEMU does not load its states again.
    measured("resize", Host::start, |host| host.does(host.virsh(&["setvcpus", "2", "--live"]))),
    measured("save", Host::start, |host| host.does(host.virsh(&["save", &checkpoint(host)]))),
    measured("restore", saved, |host| host.does(host.virsh_without(&["restore", &checkpoint(host)]))),
    measured("resize_disk", running, |host| host.does(host.virsh(&["blockresize", "vda", "2M"]))),
    measured("attach_disk", unplugged, plug),
    measured("detach_disk", plugged, |host| host.does(host.virsh(&["detach-disk", "vdb", "--live"]))),
    measured("prereconfigure", inserted, eject),
    measured("reconfigure", ejected, insert),
    measured("snapshot_create", without_snapshot, snapshot),
    measured("snapshot_revert", with_snapshot, |host| host.does(host.virsh(&["snapshot-revert", "snap-0"]))),
    measured("snapshot_delete", with_snapshot, |host| host.does(host.virsh(&["snapshot-delete", "snap-0"]))),
];

fn deployment(host: &Host) -> String {
    file(&host.guest, "deployment")
}

fn checkpoint(host: &Host) -> String {
    file(&host.guest, "checkpoint")
}

fn running(host: &Host) -> Result<()> {
    if host.tries(host.virsh(&["dominfo"]))? { Ok(()) } else { host.start() }
}

fn saved(host: &Host) -> Result<()> {
    host.start()?;
    host.does(host.virsh(&["save", &checkpoint(host)]))
}

fn plug(host: &Host) -> Result<()> {
    let disk = file(&host.guest, "disk.2");
    host.does(host.virsh(&["attach-disk", &disk, "vdb", "--subdriver", "raw", "--live"]))
}

fn plugged(host: &Host) -> Result<()> {
    running(host)?;
    if host.has_disk("vdb")? { Ok(()) } else { plug(host) }
}

fn unplugged(host: &Host) -> Result<()> {
    plugged(host)?;
    host.does(host.virsh(&["detach-disk", "vdb", "--live"]))
}

fn attach_interface(host: &Host) -> Result<()> {
    let path = host.scene.path("nic.xml");
    let nic = "<target dev='one-7-1'/><model type='virtio'/></interface>";
    std::fs::write(&path, format!("<interface type='bridge'><source bridge='br0'/><mac address='{MAC}'/>{nic}"))?;
    host.does(host.virsh(&["attach-device", &path.display().to_string(), "--live"]))
}

fn detach_interface(host: &Host) -> Result<()> {
    host.does(host.virsh(&["detach-interface", "bridge", "--mac", MAC, "--live"]))
}

fn with_interface(host: &Host) -> Result<()> {
    without_interface(host)?;
    attach_interface(host)
}

/// The guest lets it go a moment after it was asked to.
fn without_interface(host: &Host) -> Result<()> {
    running(host)?;
    host.tries(host.virsh(&["detach-interface", "bridge", "--mac", MAC, "--live"]))?;
    let is_there = || host.scene.virsh(&["domiflist", &host.guest.name]).stdout.contains(MAC);
    Ok(until("the end of an interface", || Ok((!is_there()).then_some(())))?)
}

fn eject(host: &Host) -> Result<()> {
    host.does(host.virsh(&["change-media", "sda", "--eject", "--force", "--live"]))
}

fn insert(host: &Host) -> Result<()> {
    host.does(host.virsh(&["change-media", "sda", &file(&host.guest, "disk.1"), "--insert", "--live"]))
}

fn inserted(host: &Host) -> Result<()> {
    ejected(host)?;
    insert(host)
}

fn ejected(host: &Host) -> Result<()> {
    running(host)?;
    host.tries(host.virsh(&["change-media", "sda", "--eject", "--force", "--live"])).map(drop)
}

fn snapshot(host: &Host) -> Result<()> {
    host.does(host.virsh(&["snapshot-create-as", "--name", "snap-0"]))
}

fn without_snapshot(host: &Host) -> Result<()> {
    running(host)?;
    host.tries(host.virsh(&["snapshot-delete", "snap-0"])).map(drop)
}

fn with_snapshot(host: &Host) -> Result<()> {
    without_snapshot(host)?;
    snapshot(host)
}
