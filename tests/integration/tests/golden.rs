//! Calls that a real front-end made, made again on real machines: the same arguments and the same
//! standard input have the same exit code, the same standard output and the same effect.
//!
//! What is rewritten in them, and why:
//!
//! - `/var/lib/one//datastores` is the test's own folder, with its double slash;
//! - `/usr/bin/qemu-kvm-one` is a link that OpenNebula's packages make, to the QEMU that is named here;
//! - the type `kvm` becomes `qemu`, since not every machine has KVM;
//! - a daemon of an unprivileged user has no cgroups (`cputune`) and makes no taps: bridged interfaces become
//!   user-mode ones;
//! - a VNC port may be taken by another test: libvirt chooses one;
//! - a temporary folder may be in memory, which has no direct I/O (`cache='none'`).
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;

use remotes_integration::Scene;
use remotes_integration::recorded::{call, machine, placed, recorded, runnable};

#[test]
fn deploys() {
    let scene = Scene::new();
    for recorded in recorded(&["deploy"]) {
        let guest = machine(&scene, &recorded);
        // The one that failed for want of a device of the host's fails here for want of another.
        let stdin = match recorded.exit {
            0 => runnable(&scene, &recorded.stdin),
            _ => placed(&scene, &recorded.stdin),
        };
        call(&scene, &recorded, &stdin);
        assert_eq!(fs::read_to_string(placed(&scene, &recorded.argv[0])).unwrap(), stdin, "{}", recorded.file);
        let running = if recorded.exit == 0 { vec![guest.name.clone()] } else { Vec::new() };
        assert_eq!(scene.domains(), running, "{}", recorded.file);
        scene.destroy(&guest);
    }
}

#[test]
fn ends() {
    let scene = Scene::new();
    for recorded in recorded(&["shutdown", "cancel"]) {
        let guest = machine(&scene, &recorded);
        scene.does("deploy", &guest);
        guest.wait_up(1).unwrap();
        call(&scene, &recorded, &placed(&scene, &recorded.stdin));
        assert_eq!(scene.domains(), Vec::<String>::new(), "{}", recorded.file);
    }
}

#[test]
fn restarts() {
    let scene = Scene::new();
    for recorded in recorded(&["reboot", "reset"]) {
        let guest = machine(&scene, &recorded);
        scene.does("deploy", &guest);
        guest.wait_up(1).unwrap();
        call(&scene, &recorded, &placed(&scene, &recorded.stdin));
        guest.wait_up(2).unwrap();
        assert_eq!(scene.state(&guest).as_deref(), Some("running"), "{}", recorded.file);
        scene.destroy(&guest);
    }
}

#[test]
fn checkpoints() {
    let scene = Scene::new();
    for recorded in recorded(&["save", "restore"]) {
        let guest = machine(&scene, &recorded);
        scene.does("deploy", &guest);
        guest.wait_up(1).unwrap();
        let restores = recorded.action() == "restore";
        if restores {
            scene.does("save", &guest);
        }
        call(&scene, &recorded, &placed(&scene, &recorded.stdin));
        assert_eq!(scene.state(&guest).is_some(), restores, "{}", recorded.file);
        assert_eq!(guest.folder.join("checkpoint").exists(), !restores, "{}", recorded.file);
        scene.destroy(&guest);
    }
}
