//! migrate to another datastore of the same host

use remotes_effect::libvirt::{CopyTarget, Effect as E};
use remotes_effect::{Effect, Executor};
use remotes_sdk::testing::{Call, Host, Image, Machine, Simulation, State};
use remotes_sdk::types::Node;
use remotes_sdk::{Failure, FailureKind, Vmm};
use remotes_simulation::{Copying, Entry};
use vmm_kvm::Kvm;

use crate::fixture::{POLICY, UUID, host};
use crate::migration::*;

/// Where the running machine has its disks.
fn places(host: &Host) -> Vec<(String, String)> {
    sources(host.simulation().here.find(UUID).unwrap().xml())
}

/// Disks in a folder.
fn in_folder(folder: &str) -> Vec<(String, String)> {
    [("vda", "disk.0.snap/1"), ("vdb", "disk.2"), ("sda", "disk.1")]
        .map(|(target, name)| (target.to_owned(), format!("{folder}/{name}")))
        .to_vec()
}

fn noted(host: &Host) -> String {
    let simulation = host.simulation();
    let xml = simulation.here.find(UUID).unwrap().xml().to_owned();
    let folder = remotes_sdk::xml::Document::parse(&xml).unwrap();
    remotes_sdk::clean(folder.text("metadata/vm/system_datastore").unwrap())
}

fn no_copies(host: &Host) {
    assert!(host.simulation().here.find(UUID).unwrap().copies.is_empty());
}

#[test]
fn disks_move_under_the_running_machine() {
    let host = host(apart());
    let before = tree(&host.simulation().here, AT);
    let call = to_datastore(&host);
    let copies: Vec<_> = call
        .done
        .iter()
        .filter_map(|(effect, _)| match effect {
            Effect::Libvirt(E::BlockCopy { disk, target, shallow, .. }) => Some((&**disk, target.clone(), *shallow)),
            _ => None,
        })
        .collect();
    let file =
        |name: &str, format: &str| CopyTarget { path: format!("{OTHER}/{name}"), format: format.into(), block: false };
    assert_eq!(copies, [("vda", file("disk.0.snap/1", "qcow2"), true), ("vdb", file("disk.2", "raw"), false)]);
    // The machine goes over to the copies when nothing else can fail any more.
    let names: Vec<_> = call.names().into_iter().filter(|name| name.starts_with("libvirt.")).collect();
    let last: Vec<_> = names.iter().rev().take(5).rev().copied().collect();
    assert_eq!(
        last,
        [
            "libvirt.update-device",
            "libvirt.set-metadata",
            "libvirt.end-block-job",
            "libvirt.end-block-job",
            "libvirt.xml"
        ]
    );
    assert_eq!(call.count("libvirt.sync-time"), 0);
    call.value();
    assert_eq!(places(&host), in_folder(OTHER));
    assert_eq!(noted(&host), OTHER);
    no_copies(&host);
    let simulation = host.simulation();
    assert_eq!(simulation.here.text(&format!("{OTHER}/disk.2")), Some("the guest's own data"));
    let moved: Vec<_> = tree(&simulation.here, OTHER).iter().map(|line| line.replace("/102/1", "/101/1")).collect();
    assert_eq!(moved, before.iter().cloned().collect::<Vec<_>>());
    // The repeat has nothing left to do, also when the old folder is gone.
    host.change(|mut simulation| {
        let remove = remotes_effect::filesystem::Effect::Remove { at: remotes_sdk::at(AT), recursive: true };
        simulation.execute(&Effect::Filesystem(remove));
        simulation
    });
    to_datastore(&host).value();
    assert_eq!(places(&host), in_folder(OTHER));
}

/// The header of an image in the machine's folder, and what is in there besides.
fn based(host: &Host, folder: &str, name: &str) -> Option<String> {
    host.simulation().here.files.file(&format!("{folder}/{name}")).unwrap().header().backing_file
}

/// However an image names what it is based on, it does so by a name that means the same wherever its folder is: the
/// machine moves on, running or powered off.
#[test]
fn the_folder_can_be_moved_again() {
    let on = |base: &str| Image {
        backing_file: Some(base.to_owned()),
        backing_format: Some("qcow2".into()),
        ..Image::new("qcow2", 1 << 26)
    };
    for (first, top, written) in [
        // The transfer drivers qcow2 and ssh, local, and what is left of a move by absolute names.
        ("disk.0.snap/0", "disk.0.snap/x", "disk.0.snap/x"),
        ("0", "x", "x"),
        ("0", &*format!("{AT}/disk.0.snap/x"), "disk.0.snap/x"),
        ("0", &*format!("{FOLDER}/disk.0.snap/disk.0.snap/x"), "disk.0.snap/x"),
        ("0", "disk.0.snap/disk.0.snap//x", "disk.0.snap/disk.0.snap//x"),
    ] {
        let host = host(apart().here(|machine| {
            machine.image(&format!("{AT}/disk.0.snap/x"), on(first)).image(&format!("{AT}/disk.0.snap/1"), on(top))
        }));
        let before = tree(&host.simulation().here, AT);
        to_datastore(&host).value();
        assert_eq!(based(&host, OTHER, "disk.0.snap/1").as_deref(), Some(written), "{top}");
        assert_eq!(based(&host, OTHER, "disk.0.snap/x").as_deref(), Some(first), "{top}");
        let paths = |tree: &std::collections::BTreeSet<String>, at: &str| -> Vec<_> {
            tree.iter().map(|line| line.split(" Image").next().unwrap().replace(at, "")).collect()
        };
        assert_eq!(paths(&tree(&host.simulation().here, OTHER), OTHER), paths(&before, AT), "{top}");
        // And back again.
        host.change(|mut world| {
            let at = remotes_sdk::at(AT);
            world.execute(&Effect::Filesystem(remotes_effect::filesystem::Effect::Remove { at, recursive: true }));
            world
        });
        let back = data("YES", "/var/lib/one//datastores/101/1", "").replace("datastores/101]]", "datastores/102]]");
        host.call(|| Kvm::migrate(UUID.into(), "node1".into(), "node1".into(), 1, back)).value();
        assert_eq!(places(&host), in_folder(AT));
        assert_eq!(based(&host, AT, "disk.0.snap/1").as_deref(), Some(written), "{top}");
    }
}

/// Without the folder's link to itself a snapshot is named from within.
#[test]
fn a_folder_of_snapshots_without_the_link_to_itself() {
    let absolute = Image {
        backing_file: Some(format!("{AT}/disk.0.snap/0")),
        backing_format: Some("qcow2".into()),
        ..Image::new("qcow2", 1 << 26)
    };
    let mut world = apart().here(|machine| machine.image(&format!("{AT}/disk.0.snap/1"), absolute));
    let at = remotes_sdk::at(format!("{AT}/disk.0.snap/disk.0.snap"));
    world.execute(&Effect::Filesystem(remotes_effect::filesystem::Effect::Remove { at, recursive: false }));
    let host = host(world);
    to_datastore(&host).value();
    assert_eq!(based(&host, OTHER, "disk.0.snap/1").as_deref(), Some("0"));
    assert!(!host.simulation().here.exists(&format!("{OTHER}/disk.0.snap/disk.0.snap")));
}

#[test]
fn volumes_and_linked_media_move_too() {
    let policy = POLICY.replace("[paths]\n", "[paths]\n\"/dev\" = \"rw\"\n");
    let more = format!(
        "<disk type='block' device='disk'><driver type='raw' cache='none'/><source dev='{FOLDER}/disk.3'/><target dev='vdd'/></disk>\
         <disk type='file' device='cdrom'><source file='{FOLDER}/disk.4'/><target dev='sdc'/><readonly/></disk>\
         <disk type='file' device='disk'><driver type='raw'/><source file='{FOLDER}/disk.6'/><target dev='vdf'/><readonly/></disk>"
    );
    let description = description().replace("</devices>", &format!("{more}</devices>"));
    let mut world = apart();
    world.execute(&Effect::Libvirt(E::Destroy { on: Node::Here, domain: UUID.into() }));
    let world = world
        .here(|machine: Machine| {
            machine
                .entry("/dev/vg-one-101/lv-one-1-3", Entry::BlockDevice(1 << 20))
                .entry("/dev/vg-one-102/lv-one-1-3", Entry::BlockDevice(1 << 20))
                .link(&format!("{AT}/disk.3"), "/dev/vg-one-101/lv-one-1-3")
                // The transfer driver fs_lvm_ssh brings the folder as it is.
                .link(&format!("{OTHER}/disk.3"), "/dev/vg-one-101/lv-one-1-3")
                .link(&format!("{AT}/disk.4"), "/var/lib/one/datastores/100/iso")
                .file("/var/lib/one/datastores/100/iso", "iso")
                .file(&format!("{AT}/disk.6"), "read only")
        })
        .domain(&description, State::Running);
    let host = Host::new(world, &policy);
    to_datastore(&host).value();
    let places = places(&host);
    for (target, name) in [("vdd", "disk.3"), ("sdc", "disk.4"), ("vdf", "disk.6")] {
        assert!(places.contains(&(target.into(), format!("{OTHER}/{name}"))), "{places:?}");
    }
    let tree = tree(&host.simulation().here, OTHER);
    assert!(tree.contains(&format!("{OTHER}/disk.3 -> /dev/vg-one-102/lv-one-1-3")), "{tree:#?}");
    assert!(tree.contains(&format!("{OTHER}/disk.4 -> /var/lib/one/datastores/100/iso")), "{tree:#?}");
}

#[test]
fn every_phase_may_fail_and_the_machine_runs_where_it_was() {
    let whole = host(apart());
    let call = to_datastore(&whole);
    let asked: Vec<_> = call.done.iter().map(|(effect, _)| effect.name()).collect();
    call.value();
    let begins = asked.iter().position(|name| *name == "libvirt.xml").unwrap();
    let ends = asked.iter().rposition(|name| *name == "libvirt.xml").unwrap();
    let mut seen = std::collections::BTreeMap::<&str, u64>::new();
    for name in &asked[..begins] {
        *seen.entry(name).or_default() += 1;
    }
    let mut failed = 0;
    for name in &asked[begins..=ends] {
        let nth = seen.entry(name).or_default();
        *nth += 1;
        // Failures of what asks only are lived through in part.
        let world = (0..3).fold(apart(), |world, more| world.failing(name, *nth + more, Failure::failed("it broke")));
        let host = host(world);
        let before = tree(&host.simulation().here, "/var/lib/one/datastores");
        let call = to_datastore(&host);
        match call.result.as_ref().unwrap() {
            Ok(()) => assert_eq!(places(&host), in_folder(OTHER), "{name} {nth}"),
            Err(failure) => {
                failed += 1;
                assert!(failure.message.contains("it broke"), "{name} {nth}: {}", failure.message);
                if call.log().iter().any(|line| line.contains("nothing is removed")) {
                    // The way back was barred as well: then nothing is taken away.
                    assert!(before.is_subset(&tree(&host.simulation().here, "/var/lib/one/datastores")));
                } else {
                    assert_eq!(places(&host), in_folder(AT), "{name} {nth}: {:?}", call.log());
                    assert_eq!(noted(&host), AT, "{name} {nth}");
                    assert_eq!(tree(&host.simulation().here, "/var/lib/one/datastores"), before, "{name} {nth}");
                    no_copies(&host);
                }
            }
        }
        assert_eq!(host.simulation().here.find(UUID).unwrap().state, State::Running);
        host.change(|mut simulation| {
            simulation.failures.clear();
            simulation
        });
        to_datastore(&host).value();
        assert_eq!(places(&host), in_folder(OTHER), "{name} {nth}");
        assert_eq!(trees(&host), trees(&whole), "{name} {nth}");
    }
    assert!(failed > 20, "{failed}");
}

#[test]
fn a_disk_that_does_not_go_over_brings_the_others_back() {
    let broken = |world: Simulation| {
        (2..=4).fold(world, |world, nth| world.failing("libvirt.end-block-job", nth, Failure::failed("no")))
    };
    let host = host(broken(apart()));
    let before = tree(&host.simulation().here, "/var/lib/one/datastores");
    let call = to_datastore(&host);
    assert_eq!(call.failure(), &Failure::failed(format!("Error migrating VM {UUID}: no")));
    assert!(call.log().contains(&format!("info: vda is copied back to {AT}/disk.0.snap/1")), "{:?}", call.log());
    assert_eq!(places(&host), in_folder(AT));
    assert_eq!(tree(&host.simulation().here, "/var/lib/one/datastores"), before);
}

/// What it has left behind is removed when it has ended well: an answer is not enough.
#[test]
fn where_the_disks_are_in_the_end_decides() {
    let host = host(apart().here(|mut machine| {
        machine.libvirt.copying = Copying::TurnsBack;
        machine
    }));
    let before = tree(&host.simulation().here, "/var/lib/one/datastores");
    let call = to_datastore(&host);
    let says = format!("vda was moved to {OTHER}/disk.0.snap/1, but the domain has it in {AT}/disk.0.snap/1");
    assert!(call.failure().message.ends_with(&says), "{:?}", call.failure());
    assert_eq!(places(&host), in_folder(AT));
    assert_eq!(tree(&host.simulation().here, "/var/lib/one/datastores"), before);
}

#[test]
fn a_copy_that_ends_by_itself_or_never_ends_the_move() {
    let with = |copying| {
        apart().here(|mut machine| {
            machine.libvirt.copying = copying;
            machine
        })
    };
    let host1 = host(with(Copying::Breaks(2)));
    let before = tree(&host1.simulation().here, "/var/lib/one/datastores");
    let call = to_datastore(&host1);
    assert!(call.failure().message.contains("is there room for it?"), "{:?}", call.failure());
    assert_eq!(tree(&host1.simulation().here, "/var/lib/one/datastores"), before);

    let host2 = host(with(Copying::FallsBehind).deadline(3_600_000));
    let call = to_datastore(&host2);
    assert_eq!(call.failure().kind, FailureKind::Timeout);
    assert_eq!(places(&host2), in_folder(AT));
    no_copies(&host2);
}

#[test]
fn an_answer_that_is_lost_is_looked_up() {
    for name in ["libvirt.block-copy", "libvirt.end-block-job"] {
        let host = host(apart().losing(name, 1, Failure::unknown("the connection was lost")));
        to_datastore(&host).value();
        assert_eq!(places(&host), in_folder(OTHER), "{name}");
    }
}

#[test]
fn somebody_elses_block_job_is_left_alone() {
    let mut world = apart().here(|machine| machine.image("/backup", Image::new("raw", 1 << 27)));
    let target = CopyTarget { path: "/backup".into(), format: "raw".into(), block: false };
    let copy = E::BlockCopy { on: Node::Here, domain: UUID.into(), disk: "vda".into(), target, shallow: false };
    assert_eq!(world.execute(&Effect::Libvirt(copy)).failure(), None);
    let host = host(world);
    let call = to_datastore(&host);
    assert!(call.failure().message.contains("active block job"), "{:?}", call.failure());
    assert_eq!((call.count("libvirt.block-copy"), call.paused()), (3, 10_000));
    assert!(host.simulation().here.find(UUID).unwrap().copies.contains_key("vda"));
}

#[test]
fn images_that_cannot_move_are_refused_before_anything_is_changed() {
    let base = |backing: Option<String>| Image { backing_file: backing, ..Image::new("qcow2", 1 << 26) };
    let with_snapshot = Image { snapshots: vec!["snap-0".into()], ..base(None) };
    for (path, image, says) in [
        (format!("{AT}/disk.0.snap/1"), with_snapshot, "holds system snapshots"),
        (format!("{AT}/disk.0.snap/0"), base(Some(format!("{AT}/disk.0.snap/x"))), "by its path in this datastore"),
    ] {
        let host = host(apart().here(|machine| machine.image(&path, image)));
        let call = to_datastore(&host);
        assert_eq!(call.failure().kind, FailureKind::Unsupported);
        assert!(call.failure().message.contains(says), "{:?}", call.failure());
        untouched(&call);
    }
}

/// Before which effect one disk has gone over, and the other one has not.
fn last_pivot(call: &Call<()>) -> usize {
    call.done.iter().rposition(|(effect, _)| effect.name() == "libvirt.end-block-job").unwrap()
}

/// A move has come to its end and its answer was lost; then the machine is to move to a third datastore, from where it no
/// longer is.
#[test]
fn a_machine_that_is_in_a_third_datastore_is_not_moved() {
    let third = "/var/lib/one//datastores/103/1";
    // As a whole, and killed when one disk of it had gone over.
    for disks in [2, 1] {
        let host = host(apart());
        if disks == 1 {
            host.stop_before(last_pivot(&to_datastore(&self::host(apart()))));
        }
        to_datastore(&host);
        let before = (places(&host), trees(&host).0);
        let call = migrate(&host, third, "node1", "YES", "");
        assert_eq!(call.failure().kind, FailureKind::Invalid);
        let says = format!("vda is in {OTHER}, where an earlier migration has moved it");
        assert!(call.failure().message.contains(&says), "{:?}", call.failure());
        untouched(&call);
        assert_eq!((places(&host), trees(&host).0), before);
        // To where it is it moves still, and from there on.
        to_datastore(&host).value();
        assert_eq!(places(&host), in_folder(OTHER));
        let on = data("YES", third, "").replace("datastores/101]]", "datastores/102]]");
        host.call(|| Kvm::migrate(UUID.into(), "node1".into(), "node1".into(), 1, on)).value();
        assert_eq!(places(&host), in_folder("/var/lib/one/datastores/103/1"));
    }
    // Nor to another host.
    let host = host(apart());
    to_datastore(&host).value();
    let call = to_host(&host, "NO");
    assert!(call.failure().message.contains(&format!("is in {OTHER}")), "{:?}", call.failure());
    untouched(&call);
}

/// The note of a move tells as well, wherever that led to.
#[test]
fn a_disk_where_an_earlier_move_was_to_is_not_left_behind() {
    let elsewhere = "/var/lib/one/datastores/other/machine";
    let host = host(apart());
    host.stop_before(last_pivot(&migrate(&self::host(apart()), elsewhere, "node1", "YES", "")));
    migrate(&host, elsewhere, "node1", "YES", "");
    let call = to_datastore(&host);
    assert!(call.failure().message.contains(&format!("vda is in {elsewhere}")), "{:?}", call.failure());
    untouched(&call);
}

/// Nor are copies to there forgotten that still run.
#[test]
fn a_copy_of_an_earlier_move_elsewhere_is_that_moves_to_end() {
    let third = |host: &Host| migrate(host, "/var/lib/one//datastores/103/1", "node1", "YES", "");
    let host = host(apart());
    let first = third(&self::host(apart())).names().iter().position(|name| *name == "libvirt.end-block-job").unwrap();
    third(host.stop_before(first));
    assert!(!host.simulation().here.find(UUID).unwrap().copies.is_empty());
    let call = to_datastore(&host);
    assert_eq!(call.failure().kind, FailureKind::Busy);
    assert!(call.failure().message.contains("an interrupted migration to /var/lib/one/datastores/103/1"));
    untouched(&call);
    third(&host).value();
    assert_eq!(places(&host), in_folder("/var/lib/one/datastores/103/1"));
}

#[test]
fn what_is_there_and_was_not_made_by_it_is_in_the_way() {
    let host = host(apart().file(&format!("{OTHER}/disk.2"), "somebody's"));
    let call = to_datastore(&host);
    assert_eq!(call.failure().kind, FailureKind::Exists);
    let simulation = host.simulation();
    assert_eq!(simulation.here.text(&format!("{OTHER}/disk.2")), Some("somebody's"));
    assert_eq!(tree(&simulation.here, OTHER).len(), 2);
    assert_eq!(places(&host), in_folder(AT));
}
