//! A guest that answers: devices are let go by ACPI, and commands are carried out by its agent.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remotes_integration::calls::{MAC, file};
use remotes_integration::{Outcome, Scene};
use remotes_test_support::linux::LinuxGuest;
use remotes_test_support::{Guest, skipped, until};

/// The machine's number.
const ID: u32 = 7;

/// A scene in which such a guest runs, with its agent.
fn world() -> Option<(Scene, Guest, LinuxGuest)> {
    let scene = Scene::new();
    let guest = scene.guest(ID);
    let Some(linux) = LinuxGuest::in_folder(&scene.path("datastores")) else {
        skipped("there is no kernel for a guest; run `make setup`");
        return None;
    };
    fs::write(file(&guest, "disk.2"), vec![0; 1 << 20]).unwrap();
    let mut deploy = scene.command("deploy", &guest);
    Outcome::of(&mut deploy, &linux.xml(&guest)).succeeded(&format!("{}\n", guest.uuid));
    linux.wait_up(&guest, || scene.virsh(&["dumpxml", &guest.name]).stdout).unwrap();
    Some((scene, guest, linux))
}

fn id_file(scene: &Scene) -> std::path::PathBuf {
    scene.path("run/one").join(format!("one-{ID}"))
}

/// Has a command carried out in the guest, as `onevm exec` does.
fn exec(scene: &Scene, command: &str, stdin: &str) -> Outcome {
    let arguments = [&ID.to_string(), "node1", command, &STANDARD.encode(stdin)];
    Outcome::of(&mut scene.command_with_run("exec", &arguments), "")
}

/// Waits until the guest's console has this text.
fn said(linux: &LinuxGuest, guest: &Guest, text: &str) {
    until(&format!("{text:?} on the console"), || Ok(linux.console(guest)?.contains(text).then_some(())))
        .unwrap_or_else(|error| panic!("{error}: {}", linux.console(guest).unwrap()));
}

#[test]
fn devices_come_and_go_by_acpi() {
    let Some((scene, guest, linux)) = world() else { return };
    // The guest is asked, and may take its time.
    let has_disk = |expected: bool| {
        let (negated, word) = if expected { ("!", "there") } else { ("", "gone") };
        let before = linux.console(&guest).unwrap().len();
        let wait = format!("while [ {negated} -e /sys/block/vdb ]; do sleep 0.1; done; echo {word} >/dev/ttyS0");
        exec(&scene, &format!("/bin/sh -c '{wait}'"), "").succeeded("");
        until(word, || Ok(linux.console(&guest)?[before..].contains(word).then_some(()))).unwrap();
    };
    for _ in 0..2 {
        has_disk(false);
        scene.act("attach_disk", &guest).succeeded("");
        assert!(scene.list("domblklist", &guest).iter().any(|(target, _)| target == "vdb"));
        has_disk(true);
        scene.act("detach_disk", &guest).succeeded("");
        assert!(!scene.list("domblklist", &guest).iter().any(|(target, _)| target == "vdb"));
        has_disk(false);
    }
    // It has no driver for this one, and lets it go all the same.
    let nic = format!("<interface type='user'><mac address='{MAC}'/><model type='virtio'/></interface>");
    fs::write(scene.path("nic"), nic).unwrap();
    let plugged = scene.virsh(&["attach-device", &guest.name, &scene.text("nic"), "--live"]);
    assert_eq!(plugged.code, 0, "{plugged:?}");
    scene.act("detach_nic", &guest).succeeded("");
    assert_eq!(scene.list("domiflist", &guest).len(), 0);
    scene.does("cancel", &guest);
}

#[test]
fn commands_are_carried_out_and_ended() {
    let Some((scene, guest, linux)) = world() else { return };
    exec(&scene, "/bin/sh -c \"echo 'so  it is' >/dev/ttyS0\"", "").succeeded("");
    said(&linux, &guest, "so  it is");
    let first = fs::read_to_string(id_file(&scene)).unwrap();
    assert!(first.parse::<u64>().is_ok(), "{first}");
    // Input of a command, and one that goes on.
    exec(&scene, "/bin/sh -c \"cat >/dev/ttyS0; exec sleep 1000\"", "from outside\n").succeeded("");
    said(&linux, &guest, "from outside");
    let second = fs::read_to_string(id_file(&scene)).unwrap();
    assert_ne!(first, second);
    let id = ID.to_string();
    Outcome::of(&mut scene.command_with_run("exec_cancel", &[&id, "node1"]), "").succeeded("");
    assert!(!id_file(&scene).exists());
    let script = format!("/bin/sh -c \"[ -e /proc/{second}/fd/0 ] && echo lives || echo ended\"");
    let asked = script.replace("echo lives", "echo lives >/dev/ttyS0").replace("echo ended", "echo ended >/dev/ttyS0");
    exec(&scene, &asked, "").succeeded("");
    said(&linux, &guest, "ended");
    let failed = exec(&scene, "/no/such/program", "");
    assert!(failed.failed(1).says("Error executing the command: "), "{failed:?}");
    scene.does("cancel", &guest);
}
