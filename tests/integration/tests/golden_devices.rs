//! Recorded calls that change a running machine, made again on real ones. `golden.rs` says what is rewritten.
//!
//! `attach_nic` is in `host.rs`: its taps and bridges are root's.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;

use remotes_integration::recorded::{Recorded, call, placed, recorded, running};
use remotes_integration::{Outcome, Scene};
use remotes_test_support::Guest;

fn again(scene: &Scene, recorded: &Recorded) -> Outcome {
    call(scene, recorded, &placed(scene, &recorded.stdin))
}

/// The source of the disk of this name; none where there is no such disk.
fn source(scene: &Scene, guest: &Guest, target: &str) -> Option<String> {
    scene.list("domblklist", guest).into_iter().find(|(name, _)| name == target).map(|(_, source)| source)
}

fn virsh(scene: &Scene, arguments: &[&str]) -> String {
    let outcome = scene.virsh(arguments);
    assert_eq!(outcome.code, 0, "{arguments:?}: {outcome:?}");
    outcome.stdout
}

#[test]
fn disks() {
    let scene = Scene::new();
    for recorded in recorded(&["attach_disk", "detach_disk"]) {
        let guest = running(&scene, &recorded);
        let file = placed(&scene, &recorded.argv[1]);
        if recorded.action() == "attach_disk" {
            again(&scene, &recorded);
            assert_eq!(source(&scene, &guest, &recorded.argv[2]).as_deref(), Some(file.as_str()), "{}", recorded.file);
        } else {
            let format = recorded.format(2).unwrap();
            virsh(&scene, &["attach-disk", &guest.name, &file, &recorded.argv[2], "--subdriver", format, "--live"]);
            again(&scene, &recorded);
            assert_eq!(source(&scene, &guest, &recorded.argv[2]), None, "{}", recorded.file);
        }
        scene.destroy(&guest);
    }
}

#[test]
fn interfaces() {
    let scene = Scene::new();
    for recorded in recorded(&["detach_nic"]) {
        let guest = running(&scene, &recorded);
        let (mac, file) = (&recorded.argv[1], scene.text("nic.xml"));
        fs::write(&file, format!("<interface type='user'><mac address='{mac}'/><model type='virtio'/></interface>"))
            .unwrap();
        virsh(&scene, &["attach-device", &guest.name, &file, "--live"]);
        assert!(virsh(&scene, &["domiflist", &guest.name]).contains(mac));
        again(&scene, &recorded);
        assert!(!virsh(&scene, &["domiflist", &guest.name]).contains(mac), "{}", recorded.file);
        scene.destroy(&guest);
    }
}

#[test]
fn media() {
    let scene = Scene::new();
    for recorded in recorded(&["prereconfigure", "reconfigure"]) {
        let guest = running(&scene, &recorded);
        let inserts = recorded.action() == "reconfigure";
        if inserts {
            virsh(&scene, &["change-media", &guest.name, "sda", "--eject", "--force", "--live"]);
        }
        again(&scene, &recorded);
        let medium = if inserts { placed(&scene, &recorded.argv[2]) } else { "-".to_owned() };
        assert_eq!(source(&scene, &guest, "sda"), Some(medium), "{}", recorded.file);
        scene.destroy(&guest);
    }
}

#[test]
fn sizes() {
    let scene = Scene::new();
    for recorded in recorded(&["resize", "resize_disk"]) {
        let guest = running(&scene, &recorded);
        let before = virsh(&scene, &["dumpxml", &guest.name]);
        again(&scene, &recorded);
        if recorded.action() == "resize_disk" {
            let bytes = recorded.argv[2].parse::<u64>().unwrap() << 20;
            let sizes = virsh(&scene, &["domblkinfo", &guest.name, "vda"]);
            assert!(sizes.lines().next().unwrap().ends_with(&bytes.to_string()), "{}: {sizes}", recorded.file);
        } else {
            // Both were recorded when only the share of the processor changed, which is the scheduler's.
            assert_eq!(virsh(&scene, &["dumpxml", &guest.name]), before, "{}", recorded.file);
        }
        scene.destroy(&guest);
    }
}

#[test]
fn snapshots() {
    let scene = Scene::new();
    for recorded in recorded(&["snapshot_create", "snapshot_revert", "snapshot_delete"]) {
        let guest = running(&scene, &recorded);
        if recorded.action() != "snapshot_create" {
            virsh(&scene, &["snapshot-create-as", &guest.name, "snap-0"]);
        }
        again(&scene, &recorded);
        let names = virsh(&scene, &["snapshot-list", "--name", &guest.name]);
        let left = recorded.exit == 0 && recorded.action() != "snapshot_delete";
        assert_eq!(names.trim(), if left { "snap-0" } else { "" }, "{}", recorded.file);
        assert_eq!(scene.state(&guest).as_deref(), Some("running"), "{}", recorded.file);
        scene.destroy(&guest);
    }
}

/// The guest has no agent, as that of the record had none.
#[test]
fn commands() {
    let scene = Scene::new();
    for recorded in recorded(&["exec"]) {
        let guest = running(&scene, &recorded);
        let arguments: Vec<&str> = recorded.argv.iter().map(String::as_str).collect();
        let outcome = Outcome::of(&mut scene.command_with_run("exec", &arguments), &recorded.stdin);
        assert!(outcome.failed(recorded.exit).says("Guest agent is not responding"), "{outcome:?}");
        scene.destroy(&guest);
    }
}
