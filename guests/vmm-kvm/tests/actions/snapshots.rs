//! snapshot_create, snapshot_revert and snapshot_delete

use remotes_sdk::testing::{Call, Host, Image, Simulation};
use remotes_sdk::{Failure, FailureKind, Vmm};
use vmm_kvm::Kvm;

use crate::fixture::*;

const DISK: &str = "/var/lib/one/datastores/101/1/disk.0";

fn world() -> Simulation {
    let disk = format!(
        "<disk type='file' device='disk'><driver type='qcow2'/><source file='{DISK}'/><target dev='vda'/></disk>"
    );
    running(&domain(&format!("{OS}<devices>{disk}</devices>")))
        .here(|machine| machine.image(DISK, Image::new("qcow2", 1 << 26)))
}

fn create_as(host: &Host, id: u32, template: &str) -> Call<String> {
    let action = action(template, "qcow2");
    host.call(|| Kvm::snapshot_create(UUID.into(), id, action))
}

fn create(host: &Host, id: u32) -> Call<String> {
    create_as(
        host,
        id,
        &format!("<SNAPSHOT><ACTION>CREATE</ACTION><HYPERVISOR_ID/><SNAPSHOT_ID>{id}</SNAPSHOT_ID></SNAPSHOT>"),
    )
}

fn delete(host: &Host, name: &str) -> Call<()> {
    host.call(|| Kvm::snapshot_delete(UUID.into(), name.into(), action("", "qcow2")))
}

fn revert(host: &Host, name: &str) -> Call<()> {
    host.call(|| Kvm::snapshot_revert(UUID.into(), name.into(), action("", "qcow2")))
}

/// The snapshots that libvirt knows, that the disk holds, and whose descriptions are kept.
fn all(host: &Host) -> [Vec<String>; 3] {
    let simulation = host.simulation();
    let known = simulation.here.find(UUID).unwrap().snapshots.keys().cloned().collect();
    let held = simulation.here.files.file(DISK).unwrap().header().snapshots;
    let kept = (0..9).map(|id| format!("snap-{id}")).filter(|n| simulation.here.exists(&format!("{FOLDER}/{n}.xml")));
    [known, held, kept.collect()]
}

fn names(names: &[&str]) -> [Vec<String>; 3] {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    [names.clone(), names.clone(), names]
}

#[test]
fn snapshots_come_and_go() {
    let host = host(world());
    for id in 0..3 {
        assert_eq!(create(&host, id).value(), format!("snap-{id}"));
    }
    assert_eq!(all(&host), names(&["snap-0", "snap-1", "snap-2"]));
    revert(&host, "snap-1").value();
    delete(&host, "snap-1").value();
    assert_eq!(all(&host), names(&["snap-0", "snap-2"]));
    let simulation = host.simulation();
    let child = simulation.here.text(&format!("{FOLDER}/snap-2.xml")).unwrap();
    assert!(child.contains("<parent><name>snap-0</name></parent>"), "{child}");
    // Twice is fine.
    delete(&host, "snap-1").value();
}

#[test]
fn a_block_job_is_waited_for() {
    let busy = |effect: &str| world().failing(effect, 1, Failure::busy("domain has active block job"));
    let host1 = host(busy("libvirt.snapshot-create"));
    let call = create(&host1, 0);
    assert_eq!(call.paused(), 5000);
    call.value();

    let host2 = host(busy("libvirt.snapshot-revert"));
    create(&host2, 0).value();
    assert_eq!(revert(&host2, "snap-0").paused(), 5000);
}

#[test]
fn failures_name_the_snapshot() {
    let host1 = host(world().failing("libvirt.snapshot-create", 1, Failure::unsupported("raw disk")));
    let call = create(&host1, 4);
    assert_eq!(call.failure(), &Failure::unsupported(format!("Could not create snapshot snap-4 for domain {UUID}.")));
    assert_eq!(call.log(), ["error: raw disk"]);

    let host2 = host(world().failing("libvirt.snapshot-delete", 1, Failure::failed("no")));
    create(&host2, 0).value();
    let call = delete(&host2, "snap-0");
    assert_eq!(call.failure().message, format!("Could not delete snapshot snap-0 for domain {UUID}."));
    // It comes back with the next start.
    assert_eq!(all(&host2), names(&["snap-0"]));
    let call = revert(&host2, "snap-7");
    assert_eq!(call.failure().message, format!("Could not revert to snapshot snap-7 for domain {UUID}."));
    assert_eq!(revert(&host(empty()), "snap-0").failure().kind, FailureKind::NotFound);
}

#[test]
fn without_a_folder_the_snapshot_is_only_not_kept() {
    let nowhere = running(&plain().replace("system_datastore", "elsewhere"));
    let (gone, host) = (host(empty()), host(nowhere));
    let call = create(&host, 0);
    assert_eq!(call.count("filesystem.write"), 0);
    call.value();
    let call = delete(&host, "snap-0");
    assert_eq!(call.failure().message, format!("Cannot read 'system_datastore' from domain {UUID}"));
    let call = delete(&gone, "snap-0");
    assert_eq!(call.failure().message, format!("Cannot read 'system_datastore' from domain {UUID}"));
}

#[test]
fn a_name_is_no_path() {
    for name in ["", "../../5/disk", "a/b"] {
        let call = delete(&host(world()), name);
        assert_eq!(call.failure().kind, FailureKind::Invalid);
        assert_eq!(call.names(), Vec::<&str>::new());
    }
}

#[test]
fn what_an_interrupted_action_left_is_replaced() {
    let host1 = host(world());
    create(&host1, 0).value();
    let before = host1.simulation().here.find(UUID).unwrap().snapshots["snap-0"].created;
    host1.change(|mut simulation| {
        simulation.clock.milliseconds += 60_000;
        simulation
    });
    let call = create(&host1, 0);
    assert!(call.log()[0].starts_with("warning: snap-0 is there and unknown"), "{:?}", call.log());
    call.value();
    assert!(host1.simulation().here.find(UUID).unwrap().snapshots["snap-0"].created > before);

    // One that OpenNebula knows is not.
    let call = create_as(&host1, 0, "<SNAPSHOT><HYPERVISOR_ID>snap-0</HYPERVISOR_ID></SNAPSHOT>");
    assert_eq!(call.failure().message, format!("Could not create snapshot snap-0 for domain {UUID}."));
    assert_eq!(call.count("libvirt.snapshot-delete"), 0);

    // One whose answer was lost is the one that was asked for.
    let host2 = host(world().losing("libvirt.snapshot-create", 1, Failure::unknown("lost")));
    let call = create(&host2, 0);
    assert_eq!((call.count("libvirt.snapshot-create"), call.count("libvirt.snapshot-delete")), (1, 0));
    call.value();
}

#[test]
fn each_can_be_interrupted_and_repeated() {
    let start = host(world());
    create(&start, 0).value();
    create(&start, 1).value();
    let start = start.simulation();
    for index in 0..20 {
        let host = host(start.clone());
        if create(host.stop_before(index), 2).result.is_some() {
            assert!(index > 2);
            break;
        }
        create(&host, 2).value();
        assert_eq!(all(&host), names(&["snap-0", "snap-1", "snap-2"]), "stopped before effect {index}");
    }
    for index in 0..20 {
        let host = host(start.clone());
        if delete(host.stop_before(index), "snap-0").result.is_some() {
            assert!(index > 2);
            break;
        }
        delete(&host, "snap-0").value();
        assert_eq!(all(&host), names(&["snap-1"]), "stopped before effect {index}");
    }
}
