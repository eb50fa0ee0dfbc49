//! resize and resize_disk

use remotes_sdk::testing::{Call, Guest, Host, Image, Reaction, Simulation};
use remotes_sdk::{Failure, FailureKind, Vmm};
use vmm_kvm::Kvm;

use crate::fixture::*;

const DISK: &str = "/var/lib/one/datastores/101/1/disk.0";

fn world() -> Simulation {
    let description = domain(&format!(
        "<vcpu current='1'>4</vcpu>{OS}<cpu><numa><cell id='0' cpus='0-3' memory='65536'/></numa></cpu><devices>\
         <disk type='file' device='disk'><source file='{DISK}'/><target dev='vda'/></disk></devices>"
    ));
    running(&description).here(|machine| machine.image(DISK, Image::new("raw", 1 << 26)))
}

fn template(memory: u64, vcpu: u64, inside: &str) -> String {
    format!("<MEMORY>{memory}</MEMORY><VCPU>{vcpu}</VCPU><RESIZE><MEMORY>64</MEMORY><VCPU>1</VCPU></RESIZE>{inside}")
}

fn resize(host: &Host, template: &str) -> Call<()> {
    let action = action(template, "qcow2");
    host.call(|| Kvm::resize(UUID.into(), action))
}

fn live(host: &Host) -> String {
    host.simulation().here.find(UUID).unwrap().xml().to_owned()
}

#[test]
fn memory_is_ballooned_and_cpus_are_set() {
    let host = host(world());
    resize(&host, &template(48, 3, "")).value();
    assert!(live(&host).contains("<currentMemory unit='KiB'>49152</currentMemory>"));
    assert!(live(&host).contains("<vcpu current='3'>4</vcpu>"));
}

#[test]
fn only_what_differs_is_changed() {
    for (template, effects) in [
        (template(64, 1, ""), &[][..]),
        (template(64, 2, ""), &["libvirt.set-vcpus"]),
        ("<MEMORY>32</MEMORY><VCPU>2</VCPU>".to_owned(), &[]),
        (String::new(), &[]),
    ] {
        let call = resize(&host(world()), &template);
        assert_eq!(call.names(), effects, "{template}");
        call.value();
    }
    let host = host(world());
    assert!(host.call(|| Kvm::resize(UUID.into(), String::new())).done.is_empty());
}

#[test]
fn memory_is_plugged_in_and_out_where_the_machine_has_it_so() {
    let host = host(world());
    let hotplug = "<MEMORY_RESIZE_MODE>HOTPLUG</MEMORY_RESIZE_MODE>";
    let call = resize(&host, &template(96, 1, hotplug));
    assert_eq!(
        crate::disk::given(&call),
        "<memory model='dimm'><target><size unit='MiB'>32</size><node>0</node></target></memory>"
    );
    call.value();
    // A repeat plugs in nothing more.
    let call = resize(&host, &template(96, 1, hotplug));
    assert_eq!(call.count("libvirt.attach-device"), 0);
    call.value();
    assert!(live(&host).contains("<memory>98304</memory>"));

    let back = "<MEMORY>64</MEMORY><RESIZE><MEMORY>96</MEMORY></RESIZE>";
    resize(&host, &format!("{back}{hotplug}")).value();
    assert!(live(&host).contains("<memory>65536</memory>"));
}

#[test]
fn a_guest_that_holds_its_memory_fails_it() {
    let hotplug = "<MEMORY_RESIZE_MODE>HOTPLUG</MEMORY_RESIZE_MODE>";
    let world = world().guest("one-1", Guest { unplug: Reaction::Ignores, ..Guest::default() });
    let host = host(world);
    resize(&host, &template(96, 1, hotplug)).value();
    let call = resize(&host, &format!("<MEMORY>64</MEMORY><RESIZE><MEMORY>96</MEMORY></RESIZE>{hotplug}"));
    assert_eq!(call.failure(), &Failure::busy(format!("Failed to resize memory to 64 MiB on {UUID}")));
}

#[test]
fn a_failure_of_memory_ends_it() {
    let call = resize(&host(world()), &template(128, 3, ""));
    assert_eq!(call.failure().message, format!("Failed to resize memory to 128 MiB on {UUID}"));
    assert_eq!(call.count("libvirt.set-vcpus"), 0);
    let call = resize(&host(world()), &template(64, 9, ""));
    assert_eq!(call.failure().message, format!("Failed to resize VCPU to 9 on {UUID}"));
}

#[test]
fn numbers_are_numbers() {
    for bad in ["-1", "x", "1.5", "99999999999999999999"] {
        let call = resize(&host(world()), &template(64, 1, "").replace("<VCPU>1", &format!("<VCPU>{bad}")));
        assert_eq!(call.failure().kind, FailureKind::Invalid, "{bad}");
    }
    let call = resize(&host(world()), &template(u64::MAX, 1, ""));
    assert_eq!(call.failure().kind, FailureKind::Invalid);
}

#[test]
fn memory_is_compacted_around_it() {
    let wanted = |world: Simulation| {
        world
            .configuration("CLEANUP_MEMORY_ON_START", "yes")
            .configuration("CLEANUP_MEMORY_ON_STOP", "yes")
            .tool("sysctl")
    };
    let host1 = host(wanted(world()));
    resize(&host1, &template(48, 1, "")).value();
    assert_eq!(runs(&host1, "sysctl").len(), 2);
    let host2 = host(wanted(world()));
    resize(&host2, &template(64, 2, "")).value();
    assert_eq!(runs(&host2, "sysctl").len(), 0);
}

fn resize_disk(host: &Host, id: u32, mib: u64) -> Call<()> {
    let template =
        "<DISK><DISK_ID>7</DISK_ID><TARGET>vdb</TARGET></DISK><DISK><DISK_ID>0</DISK_ID><TARGET>vda</TARGET></DISK>";
    let action = action(template, "qcow2");
    host.call(|| Kvm::resize_disk(UUID.into(), id, mib, action))
}

#[test]
fn a_disk_grows() {
    let host = host(world());
    resize_disk(&host, 0, 96).value();
    assert_eq!(host.simulation().here.files.file(DISK).unwrap().header().virtual_size, 96 << 20);
}

#[test]
fn a_disk_in_use_is_waited_for() {
    let held = |times| {
        (1..=times).fold(world(), |world, nth| {
            world.failing("libvirt.resize-block", nth, Failure::failed("Node 'x' is in use"))
        })
    };
    let call = resize_disk(&host(held(2)), 0, 96);
    assert_eq!(call.paused(), 10_000);
    call.value();
    let call = resize_disk(&host(held(3)), 0, 96);
    assert_eq!(call.failure(), &Failure::failed(format!("Failed to resize disk 0 on {UUID}")));
}

#[test]
fn a_disk_that_is_none_is_told() {
    assert_eq!(resize_disk(&host(world()), 3, 96).failure().kind, FailureKind::NotFound);
    assert_eq!(resize_disk(&host(world()), 0, u64::MAX).failure().kind, FailureKind::Invalid);
}
