//! prereconfigure and reconfigure

use remotes_sdk::testing::{Call, Guest, Host, Simulation};
use remotes_sdk::{Failure, FailureKind, Vmm};
use vmm_kvm::Kvm;

use crate::fixture::*;

const ISO: &str = "/var/lib/one//datastores/101/1/disk.1";

fn drive(source: &str) -> String {
    // `sdaa` comes first: a target is not found by its beginning.
    domain(&format!(
        "{OS}<devices><disk type='file' device='disk'><source file='/a'/><target dev='sdaa' bus='scsi'/></disk>\
         <disk type='file' device='cdrom'>{source}<target dev='sda' bus='sata'/><readonly/></disk></devices>"
    ))
}

fn full() -> String {
    drive(&format!("<source file='{ISO}'/>"))
}

fn eject(host: &Host, target: &str) -> Call<()> {
    host.call(|| Kvm::prereconfigure(UUID.into(), target.into(), action("", "qcow2")))
}

fn insert(host: &Host, target: &str, iso: &str) -> Call<()> {
    host.call(|| Kvm::reconfigure(UUID.into(), target.into(), iso.into(), action("", "qcow2")))
}

fn live(host: &Host) -> String {
    host.simulation().here.find(UUID).unwrap().xml().to_owned()
}

#[test]
fn the_medium_is_swapped() {
    let host = host(running(&full()).file("/var/lib/one/datastores/101/1/disk.1", "iso"));
    eject(&host, "sda").value();
    assert!(!live(&host).contains(ISO));
    assert!(live(&host).contains("<source file='/a'/>"));
    let call = eject(&host, "sda");
    assert_eq!(call.log(), ["debug: CDROM already ejected"]);
    assert_eq!(call.count("libvirt.update-device"), 0);
    call.value();
    insert(&host, "sda", ISO).value();
    assert!(live(&host).contains(&format!("<disk type='file' device='cdrom'><source file='{ISO}'/><target dev='sda'")));
    let call = insert(&host, "sda", "/var/lib/one/datastores/101/1/disk.1");
    assert_eq!(call.count("libvirt.update-device"), 0);
    call.value();
}

#[test]
fn a_drive_held_closed_is_opened() {
    let host = host(running(&full()).guest("one-1", Guest { tray_locked: true, ..Guest::default() }));
    eject(&host, "sda").value();
    assert!(!live(&host).contains(ISO));
}

#[test]
fn without_a_machine_there_is_nothing_to_do() {
    let host = host(running(&full()));
    let call = host.call(|| Kvm::prereconfigure(String::new(), "sda".into(), action("", "qcow2")));
    assert!(call.done.is_empty());
    call.value();
    let call = host.call(|| Kvm::reconfigure(String::new(), "sda".into(), ISO.into(), action("", "qcow2")));
    assert!(call.done.is_empty());
    call.value();
}

#[test]
fn without_a_drive_there_is_nothing_to_do() {
    let host = host(empty());
    for call in [eject(&host, ""), insert(&host, "", ISO), insert(&host, "sda", "")] {
        assert!(call.done.is_empty());
        call.value();
    }
}

#[test]
fn a_block_device_is_one_also_behind_a_link() {
    let device = |simulation: Simulation| {
        let host = host(simulation);
        insert(&host, "sda", ISO).value();
        live(&host).contains(&format!("<disk type='block' device='cdrom'><source dev='{ISO}'/>"))
    };
    let plain = "/var/lib/one/datastores/101/1/disk.1";
    assert!(device(running(&drive("")).link(plain, "/dev/vg-one-0/lv-one-1-1")));
    assert!(device(
        running(&drive("")).here(|machine| machine.entry(plain, remotes_simulation::Entry::BlockDevice(1 << 20)))
    ));
    assert!(!device(running(&drive("")).link(plain, "/var/lib/one/datastores/100/x")));
}

#[test]
fn failures_name_drive_and_medium() {
    let host1 = host(running(&full()));
    let call = eject(&host1, "sdb");
    assert_eq!(call.failure(), &Failure::not_found("Could not eject CDROM sdb"));
    let call = insert(&host1, "sda", "/var/lib/one/datastores/101/1/other");
    assert_eq!(call.failure().kind, FailureKind::Exists);
    assert_eq!(call.failure().message, "Could not insert CDROM /var/lib/one/datastores/101/1/other to sda");

    let stuck =
        (1..=3).fold(running(&full()), |world, nth| world.failing("libvirt.update-device", nth, Failure::failed("no")));
    let call = eject(&host(stuck), "sda");
    assert_eq!((call.failure(), call.paused()), (&Failure::failed("Could not eject CDROM sda"), 2000));
}
