//! Devices, sizes, metadata, snapshots: what libvirt 9 answers, recorded from it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::virt::*;
use common::*;
use remotes_effect::libvirt::{Scope, State};
use remotes_effect::types::FailureKind::{self, *};
use remotes_simulation::{Guest, Image, Machine, Reaction, Simulation};

fn running() -> Simulation {
    Simulation::new().domain(&one_5(), State::Running)
}

fn shut_off() -> Simulation {
    Simulation::new().domain(&one_5(), State::ShutOff)
}

fn with(guest: Guest) -> Simulation {
    running().guest("one-5", guest)
}

#[track_caller]
fn says<T: std::fmt::Debug>(result: Result<T, remotes_effect::types::Failure>, kind: FailureKind, message: &str) {
    assert_eq!(refused(result), (kind, message.to_owned()));
}

#[test]
fn looks_for_disks_where_told_to() {
    let mut world = Simulation::new().directory("/var/lib/one/datastores/0/5").here(Machine::checked_disks);
    let message = |disk| {
        format!("Cannot access storage file '/var/lib/one//datastores/0/5/disk.{disk}': No such file or directory")
    };
    says(create(&mut world, &one_5(), false), Failed, &message(0));
    fs::create(&mut world, "/var/lib/one/datastores/0/5/disk.0", "qcow2", Some(1 << 20), None).unwrap();
    says(create(&mut world, &one_5(), false), Failed, &message(1));
    fs::create(&mut world, "/var/lib/one/datastores/0/5/disk.1", "raw", Some(1 << 20), None).unwrap();
    create(&mut world, &one_5(), false).unwrap();
}

#[test]
fn attaches_and_detaches_disks() {
    let mut world = running();
    let disk = "<disk type='file' device='disk'><source file='/e'/><target dev='vdb'/></disk>";
    says(detach(&mut world, UUID, disk, Scope::Live), NotFound, "device not found: disk vdb not found");
    attach(&mut world, UUID, disk, Scope::Live).unwrap();
    // With the alias that libvirt gives it.
    let there = disk.replace("</disk>", "<alias name='virtio-disk1'/></disk>");
    assert!(xml(&mut world, UUID).unwrap().contains(&there));
    let twice = "XML error: target 'vdb' duplicated for disk sources '/e' and '/e'";
    says(attach(&mut world, UUID, disk, Scope::Live), Invalid, twice);
    detach(&mut world, UUID, "<disk><target dev='vdb'/></disk>", Scope::Live).unwrap();
    assert!(!xml(&mut world, UUID).unwrap().contains("vdb"));
    let cd = "<disk device='cdrom'><target dev='sda'/></disk>";
    says(
        detach(&mut world, UUID, cd, Scope::Live),
        Unsupported,
        "Operation not supported: disk device type 'cdrom' cannot be detached",
    );
    says(
        attach(&mut world, UUID, "<foo/>", Scope::Live),
        Unsupported,
        "unsupported configuration: unknown device type 'foo'",
    );
    let nowhere = "<disk type='file'><source file='/nope'/></disk>";
    says(attach(&mut world, UUID, nowhere, Scope::Live), Invalid, "missing target information for device /nope");
    assert_eq!(refused(attach(&mut world, UUID, "<disk", Scope::Live)).0, Invalid);
}

#[test]
fn the_guest_takes_its_time_with_devices() {
    let mut world = with(Guest { unplug: Reaction::AfterPolls(1), ..Guest::default() });
    let disk = "<disk><target dev='vda'/></disk>";
    detach(&mut world, UUID, disk, Scope::Live).unwrap();
    assert!(xml(&mut world, UUID).unwrap().contains("vda"));
    assert!(!xml(&mut world, UUID).unwrap().contains("vda"));
    let mut world = with(Guest { unplug: Reaction::Ignores, ..Guest::default() });
    detach(&mut world, UUID, disk, Scope::Live).unwrap();
    sleep(&mut world, 1_000_000);
    assert!(xml(&mut world, UUID).unwrap().contains("vda"));
}

#[test]
fn attaches_and_detaches_other_devices() {
    let mut world = running();
    let nic = "<interface type='bridge'><mac address='02:00:0A:32:00:0B'/><source bridge='b'/></interface>";
    let missing = "device not found: no device found at address '(<null>)' matching MAC address '02:00:0A:32:00:0B' and alias '(<null>)'";
    says(detach(&mut world, UUID, nic, Scope::Live), NotFound, missing);
    attach(&mut world, UUID, nic, Scope::Live).unwrap();
    detach(&mut world, UUID, &nic.to_lowercase(), Scope::Live).unwrap();
    says(detach(&mut world, UUID, nic, Scope::Live), NotFound, missing);
    attach(&mut world, UUID, "<interface type='user'/>", Scope::Live).unwrap();
    assert!(xml(&mut world, UUID).unwrap().contains("<interface type='user'><mac address='52:54:00:00:00:"));

    let pci = |bus| {
        format!(
            "<hostdev mode='subsystem' type='pci'><source><address domain='0x0000' bus='{bus}' slot='0x01' function='0x0'/></source></hostdev>"
        )
    };
    says(
        detach(&mut world, UUID, &pci("9"), Scope::Live),
        NotFound,
        "device not found: host pci device 0000:09:01.0 not found",
    );
    attach(&mut world, UUID, &pci("0x09"), Scope::Live).unwrap();
    let used = "Requested operation is not valid: PCI device 0000:09:01.0 is in use by driver QEMU, domain one-5";
    says(attach(&mut world, UUID, &pci("9"), Scope::Live), Busy, used);
    detach(&mut world, UUID, &pci("9"), Scope::Live).unwrap();

    let dimm = "<memory model='dimm'><target><size unit='MiB'>64</size><node>0</node></target></memory>";
    let none = "device not found: model 'dimm' memory device not present in the domain configuration";
    says(detach(&mut world, UUID, dimm, Scope::Live), NotFound, none);
    says(
        attach(&mut world, UUID, dimm, Scope::Live),
        Failed,
        "can't add memory backend as guest has no NUMA nodes configured",
    );
    let numa =
        one_5().replace("<features>", "<cpu><numa><cell id='0' cpus='0' memory='65536'/></numa></cpu><features>");
    let mut world = Simulation::new().domain(&numa, State::Running);
    attach(&mut world, UUID, dimm, Scope::Live).unwrap();
    assert!(xml(&mut world, UUID).unwrap().contains("<memory>131072</memory>"));
    detach(&mut world, UUID, dimm, Scope::Live).unwrap();
    assert!(xml(&mut world, UUID).unwrap().contains("<memory>65536</memory>"));
}

#[test]
fn swaps_media() {
    let mut world = running();
    let cd = |source: &str| format!("<disk type='file' device='cdrom'>{source}<target dev='sda'/><readonly/></disk>");
    update(&mut world, UUID, &cd(""), Scope::Live, true).unwrap();
    assert!(!xml(&mut world, UUID).unwrap().contains("disk.1"));
    update(&mut world, UUID, &cd("<source file='/new.iso'/>"), Scope::Live, false).unwrap();
    assert!(xml(&mut world, UUID).unwrap().contains("/new.iso"));
    let other = cd("").replace("sda", "sdz");
    says(update(&mut world, UUID, &other, Scope::Live, false), Failed, "internal error: disk 'sdz' not found");
    let fixed = "<disk type='file' device='disk'><source file='/x'/><target dev='vda'/></disk>";
    let message = "unsupported configuration: disk source can be changed only in removable drives";
    says(update(&mut world, UUID, fixed, Scope::Live, true), Unsupported, message);
    let message = "unsupported configuration: live update of device 'hostdev' is not supported";
    says(update(&mut world, UUID, "<hostdev/>", Scope::Live, true), Unsupported, message);

    let mut world = with(Guest { tray_locked: true, ..Guest::default() });
    assert_eq!(refused(update(&mut world, UUID, &cd(""), Scope::Live, false)).0, Failed);
    update(&mut world, UUID, &cd(""), Scope::Live, true).unwrap();
}

#[test]
fn tunes() {
    let mut world =
        running().here(|machine| machine.image("/var/lib/one/datastores/0/5/disk.0", Image::new("qcow2", 1 << 20)));
    set_vcpus(&mut world, UUID, 3, Scope::Live, true).unwrap();
    assert!(xml(&mut world, UUID).unwrap().contains("<vcpu current='3'>"));
    let most = "invalid argument: requested vcpus is greater than max allowable vcpus for the live domain: 5 > 4";
    says(set_vcpus(&mut world, UUID, 5, Scope::Live, true), Invalid, most);
    set_memory(&mut world, UUID, 32_768, Scope::Live).unwrap();
    set_memory(&mut world, UUID, 16_384, Scope::Live).unwrap();
    let text = xml(&mut world, UUID).unwrap();
    assert_eq!(text.matches("currentMemory unit='KiB'>16384<").count(), 1, "{text}");
    let most = "invalid argument: cannot set memory higher than max memory";
    says(set_memory(&mut world, UUID, 65_537, Scope::Live), Invalid, most);
    resize_block(&mut world, UUID, "vda", 4 << 20).unwrap();
    let info = fs::inspect(&mut world, "/var/lib/one/datastores/0/5/disk.0").unwrap();
    assert_eq!((info.format.as_str(), info.virtual_size), ("qcow2", 4 << 20));
    says(
        resize_block(&mut world, UUID, "vdz", 1),
        Invalid,
        "invalid argument: disk 'vdz' was not found in the domain config",
    );
    says(
        resize_block(&mut world, UUID, "sda", 1),
        Unsupported,
        "Operation not supported: can't resize empty or readonly disk 'sda'",
    );
}

#[test]
fn metadata_is_by_namespace() {
    let mut world = running();
    let got = metadata(&mut world, UUID, ONE).unwrap();
    assert_eq!(got, "<vm><system_datastore>/var/lib/one//datastores/0/5</system_datastore><uid>0</uid></vm>");
    says(
        metadata(&mut world, UUID, "http://x"),
        NotFound,
        "metadata not found: Requested metadata element is not present",
    );
    set_metadata(&mut world, UUID, "http://x", "two", "<b a='1'><c xmlns='y'/>&lt;t</b>", Scope::Live).unwrap();
    let text = xml(&mut world, UUID).unwrap();
    assert!(text.contains("<two:b xmlns:two=\"http://x\" a=\"1\"><c xmlns=\"y\"/>&lt;t</two:b>"), "{text}");
    assert_eq!(metadata(&mut world, UUID, "http://x").unwrap(), "<b a=\"1\"><c xmlns=\"y\"/>&lt;t</b>");
    set_metadata(&mut world, UUID, ONE, "one", "<vm><system_datastore>/ds</system_datastore></vm>", Scope::Live)
        .unwrap();
    assert_eq!(metadata(&mut world, UUID, ONE).unwrap(), "<vm><system_datastore>/ds</system_datastore></vm>");
    for key in ["", "a:b", "1", "xml", "a b", "a='"] {
        assert_eq!(refused(set_metadata(&mut world, UUID, ONE, key, "<a/>", Scope::Live)).0, Invalid);
    }
    assert_eq!(refused(set_metadata(&mut world, UUID, ONE, "one", "<a", Scope::Live)).0, Invalid);
}

#[test]
fn snapshots_form_a_tree() {
    let mut world =
        running().here(|machine| machine.image("/var/lib/one/datastores/0/5/disk.0", Image::new("qcow2", 1 << 20)));
    let world = &mut world;
    let named = |name: &str| format!("<domainsnapshot><name>{name}</name></domainsnapshot>");
    assert_eq!(snapshot_current(world, UUID).unwrap(), None);
    for name in ["z", "m", "a"] {
        assert_eq!(snapshot_create(world, UUID, &named(name)).unwrap(), name);
    }
    says(snapshot_create(world, UUID, &named("m")), Exists, "operation failed: domain moment m already exists");
    assert_eq!(snapshots(world, UUID).unwrap(), ["z", "m", "a"]);
    assert_eq!(snapshot_current(world, UUID).unwrap().as_deref(), Some("a"));
    let info = fs::inspect(world, "/var/lib/one/datastores/0/5/disk.0").unwrap();
    assert_eq!(info.snapshots, ["z", "m", "a"]);
    let kept = snapshot_xml(world, UUID, "a").unwrap();
    snapshot_delete(world, UUID, "m", false).unwrap();
    assert_eq!(snapshots(world, UUID).unwrap(), ["z", "a"]);
    assert!(snapshot_xml(world, UUID, "a").unwrap().contains("<parent><name>z</name></parent>"));
    snapshot_delete(world, UUID, "a", true).unwrap();
    assert_eq!(snapshot_current(world, UUID).unwrap().as_deref(), Some("z"));
    let info = fs::inspect(world, "/var/lib/one/datastores/0/5/disk.0").unwrap();
    assert_eq!(info.snapshots, ["z", "a"]);
    says(snapshot_redefine(world, UUID, &kept, true), Invalid, "invalid argument: parent m for moment a not found");
    let kept = kept.replace("<name>m</name>", "<name>z</name>");
    snapshot_redefine(world, UUID, &kept, false).unwrap();
    assert_eq!(snapshot_current(world, UUID).unwrap().as_deref(), Some("z"));
    snapshot_redefine(world, UUID, &kept, true).unwrap();
    assert_eq!(snapshot_current(world, UUID).unwrap().as_deref(), Some("a"));
    let foreign = kept.replace(UUID, OTHER_UUID);
    let message = format!("invalid argument: definition for snapshot a must use uuid {UUID}");
    says(snapshot_redefine(world, UUID, &foreign, false), Invalid, &message);
    says(
        snapshot_redefine(world, UUID, &named("x"), false),
        Failed,
        "internal error: missing creationTime from existing snapshot",
    );
    let foreign = kept.replace("one-5", "one-6");
    let message = "snapshot XML: describes another domain than the one it is given to";
    says(snapshot_redefine(world, UUID, &foreign, false), Denied, message);
    set_vcpus(world, UUID, 4, Scope::Live, false).unwrap();
    snapshot_revert(world, UUID, "z", true).unwrap();
    assert!(xml(world, UUID).unwrap().contains("<vcpu current='1'>"));
    let absent = "Domain snapshot not found: no domain snapshot with matching name 'q'";
    says(snapshot_revert(world, UUID, "q", true), NotFound, absent);
    says(snapshot_delete(world, UUID, "q", true), NotFound, absent);
    let raw = one_5().replace("qcow2", "raw");
    let mut world = Simulation::new().domain(&raw, State::Running);
    let message = "unsupported configuration: internal snapshot for disk vda unsupported for storage type raw";
    says(snapshot_create(&mut world, UUID, &named("x")), Unsupported, message);
}

#[test]
fn snapshots_of_what_is_shut_off() {
    let mut world = shut_off();
    assert_eq!(snapshot_create(&mut world, UUID, "<domainsnapshot/>").unwrap(), now(&mut world).to_string());
    let message = "Requested operation is not valid: cannot delete inactive domain with 1 snapshots";
    says(undefine(&mut world, UUID), Failed, message);
}
