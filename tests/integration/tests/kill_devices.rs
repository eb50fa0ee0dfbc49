//! `kill -9` at every effect of what changes a running machine. The action again, or its undo, ends in the
//! right state.
//!
//! Not here, but against the simulation in the driver's own tests: what a daemon of an unprivileged user and a
//! guest of one boot sector cannot have, which is taps (`attach_nic`) and a guest agent (`exec`, `exec_cancel`).
#![allow(clippy::unwrap_used, clippy::expect_used)]

use remotes_integration::calls::MAC;
use remotes_integration::{Interruptions, Scene};
use remotes_test_support::Guest;

const PROGRAM: &str = env!("CARGO_BIN_EXE_interrupted");

fn disks(scene: &Scene, guest: &Guest) -> Vec<String> {
    let mut targets: Vec<_> = scene.list("domblklist", guest).into_iter().map(|(target, _)| target).collect();
    targets.sort();
    targets
}

/// The medium in the drive; `-` for none.
fn medium(scene: &Scene, guest: &Guest) -> String {
    let disks = scene.list("domblklist", guest);
    disks.into_iter().find(|(target, _)| target == "sda").unwrap().1
}

fn has_nic(scene: &Scene, guest: &Guest) -> bool {
    scene.virsh(&["domiflist", &guest.name]).stdout.contains(MAC)
}

fn snapshots(scene: &Scene, guest: &Guest) -> Vec<String> {
    let outcome = scene.virsh(&["snapshot-list", "--name", &guest.name]);
    outcome.stdout.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

fn kept(guest: &Guest) -> bool {
    guest.folder.join("snap-0.xml").exists()
}

/// Does it again after each kill, and undoes it; in a second run undoes it at once. `done` is what the state is
/// when the action has succeeded.
fn repeated_and_undone(action: &str, undo: &str, done: bool, state: impl Fn(&Scene, &Guest) -> bool) {
    for again in [true, false] {
        let mut all = Interruptions::equipped(PROGRAM);
        if state(&all.scene, &all.guest) == done {
            all.scene.does(undo, &all.guest);
        }
        all.everywhere(action, nothing, |scene, guest, place| {
            scene.until_quiet();
            if again {
                scene.does(action, guest);
                assert_eq!(state(scene, guest), done, "{place}, again");
            }
            scene.does(undo, guest);
            assert_eq!(state(scene, guest), !done, "{place}, undone");
        });
    }
}

fn nothing(_: &Scene, _: &Guest) {}

#[test]
fn a_disk_that_is_plugged_in() {
    repeated_and_undone("attach_disk", "detach_disk", true, |scene, guest| {
        disks(scene, guest) == ["sda", "vda", "vdb"]
    });
}

#[test]
fn a_disk_that_is_unplugged() {
    repeated_and_undone("detach_disk", "attach_disk", false, |scene, guest| {
        disks(scene, guest) == ["sda", "vda", "vdb"]
    });
}

#[test]
fn a_medium_that_is_ejected() {
    let file = |guest: &Guest| guest.folder.join("disk.1").display().to_string().replace("//", "/");
    repeated_and_undone("prereconfigure", "reconfigure", false, |scene, guest| {
        medium(scene, guest).replace("//", "/") == file(guest)
    });
}

#[test]
fn a_medium_that_is_inserted() {
    for again in [true, false] {
        let mut all = Interruptions::equipped(PROGRAM);
        let empty = |scene: &Scene, guest: &Guest| {
            scene.does("prereconfigure", guest);
            assert_eq!(medium(scene, guest), "-");
        };
        all.everywhere("reconfigure", empty, |scene, guest, place| {
            scene.until_quiet();
            if again {
                scene.does("reconfigure", guest);
                assert!(medium(scene, guest).ends_with("disk.1"), "{place}");
            }
            empty(scene, guest);
        });
    }
}

/// The undo is the network driver's and oned's: the machine gets another interface.
#[test]
fn an_interface_that_is_unplugged() {
    let mut all = Interruptions::equipped(PROGRAM);
    let plugged = |scene: &Scene, guest: &Guest| {
        if !has_nic(scene, guest) {
            let file = scene.text("nic.xml");
            let nic = format!("<interface type='user'><mac address='{MAC}'/><model type='virtio'/></interface>");
            std::fs::write(&file, nic).unwrap();
            assert_eq!(scene.virsh(&["attach-device", &guest.name, &file, "--live"]).code, 0);
        }
        assert!(has_nic(scene, guest));
    };
    all.everywhere("detach_nic", plugged, |scene, guest, place| {
        scene.until_quiet();
        scene.does("detach_nic", guest);
        assert!(!has_nic(scene, guest), "{place}");
    });
}

#[test]
fn a_snapshot_that_is_made() {
    for again in [true, false] {
        let mut all = Interruptions::equipped(PROGRAM);
        all.everywhere("snapshot_create", nothing, |scene, guest, place| {
            scene.until_quiet();
            if again {
                scene.act("snapshot_create", guest).succeeded("snap-0\n");
                assert_eq!((snapshots(scene, guest), kept(guest)), (vec!["snap-0".to_owned()], true), "{place}");
            }
            scene.does("snapshot_delete", guest);
            assert_eq!((snapshots(scene, guest), kept(guest)), (vec![], false), "{place}");
        });
    }
}

#[test]
fn a_snapshot_that_is_deleted() {
    let mut all = Interruptions::equipped(PROGRAM);
    let made = |scene: &Scene, guest: &Guest| {
        scene.act("snapshot_create", guest).succeeded("snap-0\n");
    };
    all.everywhere("snapshot_delete", made, |scene, guest, place| {
        scene.until_quiet();
        scene.does("snapshot_delete", guest);
        assert_eq!((snapshots(scene, guest), kept(guest)), (vec![], false), "{place}");
    });
}

#[test]
fn a_machine_that_goes_back_to_a_snapshot() {
    let mut all = Interruptions::equipped(PROGRAM);
    all.scene.act("snapshot_create", &all.guest).succeeded("snap-0\n");
    all.everywhere("snapshot_revert", nothing, |scene, guest, place| {
        scene.until_quiet();
        scene.does("snapshot_revert", guest);
        assert_eq!(scene.state(guest).as_deref(), Some("running"), "{place}");
        assert_eq!(snapshots(scene, guest), ["snap-0"], "{place}");
    });
}

#[test]
fn sizes_that_change() {
    let mut all = Interruptions::equipped(PROGRAM);
    let count =
        |scene: &Scene, guest: &Guest| scene.virsh(&["vcpucount", &guest.name, "--live"]).stdout.trim().to_owned();
    // A guest of one boot sector does not give a CPU back: one that came stays, and the repeat finds it.
    all.everywhere("resize", nothing, |scene, guest, place| {
        scene.until_quiet();
        scene.does("resize", guest);
        assert_eq!(count(scene, guest), "2", "{place}");
    });
    let mut all = Interruptions::equipped(PROGRAM);
    all.everywhere("resize_disk", nothing, |scene, guest, place| {
        scene.until_quiet();
        scene.does("resize_disk", guest);
        let capacity = scene.virsh(&["domblkinfo", &guest.name, "vda"]).stdout;
        assert!(capacity.lines().next().unwrap().ends_with(&(2 << 20).to_string()), "{place}: {capacity}");
    });
}
