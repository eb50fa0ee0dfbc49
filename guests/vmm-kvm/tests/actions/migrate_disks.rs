//! migrate to another host that has storage of its own

use remotes_effect::libvirt::Effect as E;
use remotes_effect::{Effect, Executor, image};
use remotes_sdk::testing::{Call, Host, Image, Machine, Simulation, State};
use remotes_sdk::types::Node;
use remotes_sdk::{Failure, FailureKind};

use crate::fixture::{UUID, host};
use crate::migration::*;

#[test]
fn with_storage_of_their_own_disks_move_too() {
    let host = host(apart());
    let before = trees(&host).0;
    let call = to_host(&host, "NO");
    let how = how(&call);
    assert!(how.paused);
    assert_eq!(how.disks, ["vda", "vdb"]);
    call.value();
    assert_eq!(states(&host), (None, Some(State::Running)));
    // All that was here is there; what is left here is the transfer driver's to remove.
    assert_eq!(trees(&host), (before.clone(), before));
    let simulation = host.simulation();
    let there = &simulation.hosts["node2"];
    assert_eq!(there.text(&format!("{AT}/disk.2")), Some("the guest's own data"));
    assert_eq!(there.text(&format!("{AT}/disk.1")), Some("context"));
    assert!(there.libvirt.guests.contains_key("one-1"));
}

#[test]
fn what_belongs_to_the_machine_goes_along() {
    let nvram = format!("{FOLDER}/vm & co_VARS.fd").replace('&', "&amp;");
    let with_nvram = |simulation: Simulation| {
        simulation.change_xml(|xml| xml.replace("hvm</type></os>", &format!("hvm</type><nvram>{nvram}</nvram></os>")))
    };
    let world = apart()
        .file(&format!("{AT}/vm & co_VARS.fd"), "boot entries")
        .file(&format!("{AT}/tpm/tpm2-00.permall"), "keys")
        .file(&format!("{AT}/checkpoint"), "stale")
        .file(&format!("{AT}/snap-0.xml"), "<domainsnapshot/>");
    let host = host(with_nvram(world));
    to_host(&host, "NO").value();
    let simulation = host.simulation();
    let there = &simulation.hosts["node2"];
    assert_eq!(there.text(&format!("{AT}/vm & co_VARS.fd")), Some("boot entries"));
    assert_eq!(there.text(&format!("{AT}/tpm/tpm2-00.permall")), Some("keys"));
    assert!(there.exists(&format!("{AT}/snap-0.xml")) && !there.exists(&format!("{AT}/checkpoint")));
}

trait ChangeXml {
    fn change_xml(self, change: impl Fn(&str) -> String) -> Self;
}

impl ChangeXml for Simulation {
    /// The same domain with another description.
    fn change_xml(self, change: impl Fn(&str) -> String) -> Self {
        let xml = change(&description());
        let mut simulation = self;
        let destroy = E::Destroy { on: Node::Here, domain: UUID.into() };
        simulation.execute(&Effect::Libvirt(destroy));
        simulation.domain(&xml, State::Running)
    }
}

/// The transfer driver ssh lays a disk so whose changes are copied to a replica.
#[test]
fn a_disk_with_a_replica_moves() {
    let top = Image {
        backing_file: Some("disk.3.snap/base".into()),
        backing_format: Some("qcow2".into()),
        ..Image::new("qcow2", 1 << 26)
    };
    let world = apart().here(|machine| {
        machine
            .image(&format!("{AT}/disk.3.snap/base"), Image::new("qcow2", 1 << 26))
            .image(&format!("{AT}/disk.3.snap/base.1"), top.clone())
            .link(&format!("{AT}/disk.3.snap/disk.3.snap"), ".")
            .link(&format!("{AT}/disk.3"), "disk.3.snap/base.1")
    });
    let disk = format!(
        "<disk type='file' device='disk'><driver type='qcow2'/><source file='{FOLDER}/disk.3.snap/base.1'/>\
         <target dev='vdd'/></disk></devices>"
    );
    let host = host(world.change_xml(|xml| xml.replace("</devices>", &disk)));
    let before = trees(&host).0;
    let call = to_host(&host, "NO");
    assert_eq!(how(&call).disks, ["vda", "vdb", "vdd"]);
    call.value();
    assert_eq!(trees(&host), (before.clone(), before));
}

/// A guest may write what looks like the header of another format, and names a file of the host.
#[test]
fn a_raw_disk_is_raw_whatever_its_guest_has_written() {
    let hostile = Image {
        backing_file: Some("/var/lib/one/datastores/101/2/disk.0".into()),
        backing_format: Some("raw".into()),
        snapshots: vec!["snap-0".into()],
        ..Image::new("qcow2", 512)
    };
    let world = || {
        let base =
            Image { backing_format: Some("raw".into()), backing_file: Some("0".into()), ..Image::new("qcow2", 512) };
        apart().here(|machine| {
            machine
                .image(&format!("{AT}/disk.2"), hostile.clone())
                .image(&format!("{AT}/disk.1"), hostile.clone())
                .image(&format!("{AT}/disk.0.snap/1"), base)
                .image(&format!("{AT}/disk.0.snap/0"), hostile.clone())
        })
    };
    let looks =
        [format!("{AT}/disk.2"), format!("{AT}/disk.1"), format!("{AT}/disk.0.snap/0"), format!("{OTHER}/disk.2")];
    let size = world().here.files.file(&looks[0]).unwrap().size;
    let made = |call: &Call<()>, folder: &str| {
        let inspected = call.done.iter().filter_map(|(effect, _)| match effect {
            Effect::Image(image::Effect::Inspect { at }) => Some(&at.path),
            _ => None,
        });
        assert_eq!(inspected.filter(|path| looks.contains(path)).count(), 0, "{:?}", call.names());
        let path = format!("{folder}/disk.2");
        let made = call.done.iter().find_map(|(effect, _)| match effect {
            Effect::Image(image::Effect::Create { at, format, size, based_on }) if at.path == path => {
                Some((format.clone(), size.unwrap(), based_on.clone()))
            }
            _ => None,
        });
        assert_eq!(made, Some(("raw".to_owned(), size, None)));
    };
    let host1 = host(world());
    let call = to_host(&host1, "NO");
    made(&call, AT);
    call.value();
    let host2 = host(world());
    let call = to_datastore(&host2);
    made(&call, OTHER);
    call.value();
    // Nor on the way back: both have gone over when the end is not seen.
    let lost = to_datastore(&host(world())).count("libvirt.xml");
    let broken = (0..3).fold(world(), |world, more| {
        world.failing("libvirt.xml", u64::try_from(lost + more).unwrap(), Failure::failed("no"))
    });
    let host3 = host(broken);
    let call = to_datastore(&host3);
    made(&call, OTHER);
    assert!(call.log().contains(&format!("info: vdb is copied back to {AT}/disk.2")), "{:?}", call.log());
    let formats = call.done.iter().filter_map(|(effect, _)| match effect {
        Effect::Libvirt(E::BlockCopy { disk, target, .. }) if disk == "vdb" => Some(&*target.format),
        _ => None,
    });
    assert_eq!(formats.collect::<Vec<_>>(), ["raw", "raw"]);
}

/// Nor is one without a context.
#[test]
fn a_folder_without_descriptions_is_no_reason_to_fail() {
    let mut world = apart();
    for name in ["vm.xml", "ds.xml", "disk.1"] {
        let at = remotes_sdk::at(format!("{AT}/{name}"));
        let remove = remotes_effect::filesystem::Effect::Remove { at, recursive: false };
        world.execute(&Effect::Filesystem(remove));
    }
    let drive = format!("<source file='{FOLDER}/disk.1'/>");
    let host = host(world.change_xml(|xml| xml.replace(&drive, "")));
    to_host(&host, "NO").value();
    assert_eq!(states(&host), (None, Some(State::Running)));
}

/// What a transfer driver has brought of the machine's own files is renewed, and not taken away.
#[test]
fn copies_that_are_there_already_are_renewed() {
    let there =
        || Machine::new().checked_disks().file(&format!("{AT}/disk.1"), "old").file(&format!("{AT}/vm.xml"), "old");
    let host1 = host(apart().host("node2", there()));
    to_host(&host1, "NO").value();
    assert_eq!(host1.simulation().hosts["node2"].text(&format!("{AT}/disk.1")), Some("context"));
    let host2 = host(apart().host("node2", there()).failing("libvirt.migrate", 1, Failure::failed("no")));
    let before = trees(&host2).1.len();
    to_host(&host2, "NO").failure();
    assert_eq!(trees(&host2).1.len(), before);
}

/// A note in the machine's folder is no way to have others' files removed.
#[test]
fn a_note_that_was_tampered_with_removes_nothing() {
    let victim = "/var/lib/one/datastores/101/2/disk.0";
    let note = format!(
        "{{\"goal\":\"node2:{AT}\",\"made\":[\"{victim}\",\"/etc/passwd\"],\"folders\":[\"/var/lib/one/datastores/101/2\"]}}"
    );
    for note in [note.as_str(), "", "[]", "{\"goal\":7}", "\u{1}"] {
        let there = Machine::new().checked_disks().file(victim, "another machine's");
        let host = host(apart().file(&format!("{AT}/.migration"), note).host("node2", there));
        to_host(&host, "NO").value();
        assert_eq!(host.simulation().hosts["node2"].text(victim), Some("another machine's"));
    }
}

#[test]
fn links_lead_where_they_led() {
    // A disk of a shared image datastore, and one on LVM, which its transfer driver has prepared there.
    let policy = crate::fixture::POLICY.replace("[paths]\n", "[paths]\n\"/dev\" = \"rw\"\n");
    let image = "/var/lib/one/datastores/100/abc.snap/0";
    let disks = |xml: &str| {
        let more = format!(
            "<disk type='block' device='disk'><driver cache='none'/><source dev='{FOLDER}/disk.3'/><target dev='vdd'/></disk>\
             <disk type='file' device='cdrom'><source file='{FOLDER}/disk.4'/><target dev='sdc'/><readonly/></disk>\
             <disk type='file' device='disk'><driver type='qcow2' cache='none'/><source file='{image}'/><target dev='vde'/></disk>"
        );
        xml.replace("</devices>", &format!("{more}</devices>"))
    };
    let device =
        |machine: Machine| machine.entry("/dev/vg-one-101/lv-one-1-3", remotes_simulation::Entry::BlockDevice(1 << 20));
    let world = apart()
        .here(|machine| {
            device(machine)
                .link(&format!("{AT}/disk.3"), "/dev/vg-one-101/lv-one-1-3")
                .link(&format!("{AT}/disk.4"), "/var/lib/one/datastores/100/iso")
                .link(&format!("{AT}/disk.5"), image)
                .file("/var/lib/one/datastores/100/iso", "iso")
                .image(image, Image::new("qcow2", 1 << 20))
        })
        .host("node2", device(Machine::new().checked_disks().file("/var/lib/one/datastores/100/iso", "iso")))
        .shared("/var/lib/one/datastores/100");
    let host = Host::new(world.change_xml(disks), &policy);
    let call = to_host(&host, "NO");
    assert_eq!(how(&call).disks, ["vda", "vdb", "vdd"]);
    call.value();
    let simulation = host.simulation();
    let there = tree(&simulation.hosts["node2"], AT);
    for link in ["disk.3 -> /dev/vg-one-101/lv-one-1-3", "disk.4 -> /var/lib/one/datastores/100/iso"] {
        assert!(there.contains(&format!("{AT}/{link}")), "{there:#?}");
    }
    assert!(there.contains(&format!("{AT}/disk.5 -> {image}")), "{there:#?}");
}

#[test]
fn system_snapshots_keep_disks_from_moving_and_nothing_is_changed() {
    let host = host(with_snapshots(apart()));
    let before = trees(&host);
    let call = to_host(&host, "NO");
    assert_eq!(call.failure().kind, FailureKind::Unsupported);
    assert!(call.failure().message.contains("holds system snapshots (snap-0, snap-1)"), "{:?}", call.failure());
    untouched(&call);
    assert_eq!(trees(&host), before);
    assert_eq!(snapshots(&host, false).0, ["snap-0", "snap-1"]);
}

#[test]
fn every_phase_may_fail_and_leaves_no_trace() {
    let whole = host(apart());
    let call = to_host(&whole, "NO");
    let changing: Vec<_> =
        call.done.iter().filter(|(effect, _)| effect.changes()).map(|(effect, _)| effect.name()).collect();
    let mut seen = std::collections::BTreeMap::<&str, u64>::new();
    let migrated = changing.iter().position(|name| *name == "libvirt.migrate").unwrap();
    for name in &changing[..=migrated] {
        let nth = seen.entry(name).or_default();
        *nth += 1;
        let host = host(apart().failing(name, *nth, Failure::failed("it broke")));
        let before = trees(&host);
        let call = to_host(&host, "NO");
        assert_eq!(call.failure(), &Failure::failed(format!("Error migrating VM {UUID}: it broke")), "{name} {nth}");
        assert_eq!(trees(&host), before, "{name} {nth}");
        assert_eq!(states(&host), (Some(State::Running), None), "{name} {nth}");
        // What stood in the way is gone: it goes.
        to_host(&host, "NO").value();
        assert_eq!(trees(&host), trees(&whole), "{name} {nth}");
    }
    assert!(seen.len() >= 5, "{seen:?}");
}

#[test]
fn what_fails_after_the_move_is_no_failure_of_it() {
    let world = ["libvirt.snapshot-redefine", "libvirt.sync-time", "filesystem.remove"]
        .iter()
        .fold(apart(), |world, name| (1..4).fold(world, |world, nth| world.failing(name, nth, Failure::failed("no"))));
    let host1 = host(world);
    to_host(&host1, "NO").value();
    assert_eq!(states(&host1), (None, Some(State::Running)));

    // It cannot be had back, and its disks must not be taken from under it.
    let world = (1..=3).fold(apart(), |world, nth| world.failing("libvirt.resume", nth, Failure::failed("no")));
    let host2 = host(world);
    let call = to_host(&host2, "NO");
    assert!(
        call.log().iter().any(|line| line.starts_with("error") && line.contains("is paused there")),
        "{:?}",
        call.log()
    );
    call.value();
    assert_eq!(states(&host2), (None, Some(State::Paused)));
}
