//! What is not granted is denied, through the stub: the message names the line that would allow it, the
//! journal has it, and nothing has changed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use remotes_integration::scene::{file, folder, stdin, system};
use remotes_integration::{Outcome, Scene, Snapshot, Tree};
use remotes_test_support::Guest;
use toml::{Table, Value};

/// Everything that could change, but for the journal and what the runtime itself keeps.
fn world(scene: &Scene) -> (Snapshot, String) {
    (Snapshot::of(&scene.path("datastores")), scene.virsh(&["list", "--all"]).stdout)
}

/// Calls an action that is denied, and looks at everything around it.
fn denied(scene: &Scene, action: &str, guest: &Guest, input: &str, effect: &str, says: &str) -> Outcome {
    scene.forget_journal();
    let before = world(scene);
    let outcome = Outcome::of(&mut scene.command(action, guest), input);
    outcome.failed(if action == "deploy" { 255 } else { 1 });
    assert!(outcome.says(says), "{action}: expected {says:?}: {outcome:?}");
    let lines = scene.journal();
    let entry = lines.iter().find(|line| line["failure"]["kind"] == "denied");
    let entry = entry.unwrap_or_else(|| panic!("{action}: no denial in the journal: {lines:?}"));
    assert_eq!(entry["name"], effect, "{entry}");
    assert!(entry["failure"]["message"].as_str().unwrap().contains(says), "{entry}");
    let asked = lines.iter().find(|line| line["effect"] == entry["effect"] && !line["asked"].is_null());
    assert!(asked.is_some(), "what was denied was not asked for: {lines:?}");
    let after = world(scene);
    before.0.assert_same(&after.0);
    assert_eq!(before.1, after.1);
    outcome
}

/// Changes the policy for the length of one trial.
fn with_policy<T>(tree: &Tree, edit: impl FnOnce(&mut Table), trial: impl FnOnce() -> T) -> T {
    let kept = fs::read(tree.policy_file()).unwrap();
    tree.edit_policy(edit);
    let result = trial();
    fs::write(tree.policy_file(), kept).unwrap();
    result
}

fn set(table: &'static str, key: &'static str, value: impl Into<Value>) -> impl FnOnce(&mut Table) {
    let value = value.into();
    move |policy| drop(policy[table].as_table_mut().unwrap().insert(key.to_owned(), value))
}

/// A domain that is not OpenNebula's, started by somebody else.
fn foreign(scene: &Scene) -> Guest {
    let mut guest = scene.guest(9);
    guest.name = "database".to_owned();
    fs::write(guest.folder.join("domain.xml"), guest.xml()).unwrap();
    assert_eq!(scene.virsh(&["create", &file(&guest, "domain.xml")]).code, 0);
    guest.wait_up(1).unwrap();
    guest
}

#[test]
fn daemons() {
    let scene = Scene::new();
    let guest = scene.running(7);
    for action in ["reboot", "reset", "shutdown", "cancel", "save"] {
        let effect = match action {
            "reboot" | "reset" => format!("libvirt.{action}"),
            _ => "libvirt.find".to_owned(),
        };
        with_policy(&scene.tree, set("libvirt", "uris", vec!["qemu:///system"]), || {
            let says =
                format!("libvirt URI {}: granted are qemu:///system; `uris` under [libvirt]", scene.libvirt.uri());
            denied(&scene, action, &guest, &stdin(action, &guest), &effect, &says);
        });
        with_policy(
            &scene.tree,
            |policy| drop(policy.remove("libvirt")),
            || {
                let says = "the driver's policy grants no hypervisor; a table [libvirt] would";
                denied(&scene, action, &guest, &stdin(action, &guest), &effect, says);
            },
        );
    }
    // A pattern does not stand for a URI's parameters, which name sockets and commands.
    with_policy(&scene.tree, set("libvirt", "uris", vec!["qemu+unix:///**"]), || {
        denied(&scene, "reboot", &guest, "", "libvirt.reboot", "`uris` under [libvirt]");
    });
    // Without the configuration there is no LIBVIRT_URI: it is the default's that is not granted.
    with_policy(
        &scene.tree,
        |policy| drop(policy.remove("configuration")),
        || {
            denied(&scene, "reboot", &guest, "", "libvirt.reboot", "libvirt URI qemu:///system: granted are");
            denied(&scene, "reboot", &guest, "", "libvirt.reboot", "it is the default, since no file under");
        },
    );
    scene.does("cancel", &guest);
}

#[test]
fn domains() {
    let scene = Scene::new();
    let foreign = foreign(&scene);
    let says = "domain database: granted are one-*; `domains` under [libvirt] in the driver's policy would allow it";
    // By its UUID, as oned would name it, and by its name.
    let mut by_name = foreign.clone();
    by_name.uuid = foreign.name.clone();
    for guest in [&foreign, &by_name] {
        for action in ["reboot", "reset", "shutdown", "cancel", "save"] {
            let effect = match action {
                "reboot" | "reset" => format!("libvirt.{action}"),
                _ => "libvirt.find".to_owned(),
            };
            denied(&scene, action, guest, "", &effect, says);
        }
    }
    assert_eq!(scene.state(&foreign).as_deref(), Some("running"));
    // A document that describes another's domain, made or restored.
    let guest = scene.guest(7);
    let before = scene.domains();
    let outcome = Outcome::of(&mut scene.command("deploy", &guest), &guest.xml().replace(">one-7<", ">database-2<"));
    outcome.failed(255);
    assert!(outcome.says("domain database-2: granted are one-*"), "{outcome:?}");
    assert_eq!(scene.domains(), before);
    let checkpoint = file(&guest, "checkpoint");
    assert_eq!(scene.virsh(&["save", "database", &checkpoint]).code, 0);
    denied(
        &scene,
        "restore",
        &guest,
        &stdin("restore", &guest),
        "libvirt.saved-xml",
        "domain database: granted are one-*",
    );
    assert!(Path::new(&checkpoint).exists());
}

#[test]
fn paths() {
    let scene = Scene::new();
    let guest = scene.running(7);
    let outside = Guest::in_folder(&scene.path("elsewhere/8"), 8).unwrap();
    let before = Snapshot::of(&scene.path("elsewhere"));
    let near = Guest::in_folder(&scene.path("datastores-not/8"), 8).unwrap();
    // Not granted: the deployment file, a checkpoint to make, a checkpoint to read.
    for other in [&outside, &near] {
        let says = "not below a granted folder; `\"";
        let input = other.xml();
        denied(&scene, "deploy", other, &input, "filesystem.make-directory", says);
        let mut elsewhere = guest.clone();
        elsewhere.folder = other.folder.clone();
        denied(&scene, "save", &elsewhere, "", "filesystem.stat", says);
        denied(&scene, "restore", other, "", "libvirt.saved-xml", says);
    }
    let mut up = guest.clone();
    up.folder = scene.path("datastores/../elsewhere/8");
    denied(&scene, "save", &up, "", "filesystem.stat", "`..` is not allowed in a path");
    // Through a link that leads outside, whoever made it.
    symlink(scene.path("elsewhere/8"), scene.path("datastores/0/8")).unwrap();
    let mut linked = guest.clone();
    linked.folder = scene.path("datastores/0/8");
    denied(&scene, "save", &linked, "", "filesystem.stat", "granted");
    before.assert_same(&Snapshot::of(&scene.path("elsewhere")));
    fs::remove_file(scene.path("datastores/0/8")).unwrap();

    // Granted for reading only.
    let datastores: &'static str = scene.text("datastores").leak();
    with_policy(&scene.tree, set("paths", datastores, "ro"), || {
        let says = "is granted read-only; `\"";
        denied(&scene, "save", &guest, &stdin("save", &guest), "filesystem.write", says);
        let guest = scene.guest(10);
        denied(&scene, "deploy", &guest, &stdin("deploy", &guest), "filesystem.make-directory", says);
    });
    scene.does("cancel", &guest);
}

#[test]
fn what_a_document_names() {
    let scene = Scene::new();
    let guest = scene.guest(7);
    scene.does("deploy", &guest);
    scene.does("cancel", &guest);
    let secret = scene.path("secret");
    fs::write(&secret, "key").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let secret = secret.display().to_string();
    let disk = guest.disk.display().to_string();
    let devices = |more: &str| guest.xml().replace("</devices>", &format!("{more}</devices>"));
    let not_granted = "not below a granted folder";
    for (description, says) in [
        (guest.xml().replace(&disk, &secret), not_granted),
        (guest.xml().replace(&guest.console.display().to_string(), &secret), not_granted),
        (guest.xml().replace("/usr/bin/qemu-system-x86_64", &secret), "programs"),
        (
            devices(
                "<hostdev mode='subsystem' type='usb'><source><vendor id='1'/><product id='2'/></source></hostdev>",
            ),
            "host-devices",
        ),
        (
            devices(&format!("<filesystem type='mount'><source dir='{secret}'/><target dir='x'/></filesystem>")),
            not_granted,
        ),
        (
            guest.xml().replace("</domain>", "<qemu:commandline><qemu:arg value='-S'/></qemu:commandline></domain>"),
            "emulator-options",
        ),
        (
            guest.xml().replace("<disk type='file'", "<disk type='network'").replace(
                &format!("<source file='{disk}'/>"),
                "<source protocol='nbd' name='x'><host name='127.0.0.1'/></source>",
            ),
            "network-storage",
        ),
    ] {
        assert_ne!(description, guest.xml());
        fs::write(file(&guest, "deployment.0"), &description).unwrap();
        scene.forget_journal();
        let outcome = Outcome::of(&mut scene.command("deploy", &guest), &description);
        outcome.failed(255);
        assert!(outcome.says(says), "{says}: {outcome:?}");
        let lines = scene.journal();
        let denial =
            lines.iter().find(|line| line["failure"]["kind"] == "denied").unwrap_or_else(|| panic!("{lines:?}"));
        assert_eq!(denial["name"], "libvirt.create", "{denial}");
        assert_eq!(scene.domains(), Vec::<String>::new());
    }
    // A disk that is a link to what is not granted.
    fs::rename(&guest.disk, guest.folder.join("kept")).unwrap();
    symlink(&secret, &guest.disk).unwrap();
    let outcome = scene.act("deploy", &guest);
    outcome.failed(255);
    assert_eq!(scene.domains(), Vec::<String>::new());
}

/// The machine starts anew with the images of that moment.
#[test]
fn images_that_were_exchanged_since_they_were_looked_at() {
    let scene = Scene::new();
    let guest = scene.equipped(7);
    scene.act("snapshot_create", &guest).succeeded("snap-0\n");
    let secret = scene.path("secret");
    fs::write(&secret, vec![0; 1 << 20]).unwrap();
    let (kept, disk) = (file(&guest, "kept"), guest.disk.to_str().unwrap().to_owned());
    fs::rename(&disk, &kept).unwrap();
    let behind = ["create", "-q", "-u", "-f", "qcow2", "-F", "raw", "-b", secret.to_str().unwrap(), &disk, "8M"];
    system("qemu-img", &behind);
    scene.forget_journal();
    for action in ["snapshot_delete", "snapshot_revert"] {
        let outcome = scene.act(action, &guest);
        outcome.failed(1);
        assert!(outcome.says("its backing file"), "{action}: {outcome:?}");
    }
    assert_eq!(scene.state(&guest).as_deref(), Some("running"));
    let journal = scene.journal();
    let denied = journal.iter().filter(|line| line["failure"]["kind"] == "denied").map(|line| &line["name"]);
    assert_eq!(denied.collect::<Vec<_>>(), ["libvirt.snapshot-delete", "libvirt.snapshot-revert"], "{journal:?}");
    fs::rename(&kept, &disk).unwrap();
    scene.does("snapshot_revert", &guest);
    scene.does("cancel", &guest);
}

#[test]
fn tools() {
    let scene = Scene::new();
    let guest = scene.running(7);
    let hook = scene.tree.stub("save.qcow2");
    fs::write(&hook, format!("#!/bin/sh\ntouch {}\n", scene.text("datastores/ran"))).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let grant = |arguments: &str| {
        let grant: Table =
            format!("path = \"$REMOTES/vmm/kvm/save.qcow2\"\narguments = [{arguments}]").parse().unwrap();
        scene.tree.edit_policy(|policy| {
            drop(policy["tools"].as_table_mut().unwrap().insert("save.qcow2".into(), grant.into()))
        });
    };
    // Installed and not granted: as if it were not there.
    scene.does("save", &guest);
    scene.does("restore", &guest);
    assert!(!scene.path("datastores/ran").exists());
    // Granted for other arguments: the checkpoint that cannot be stored is undone.
    grant("[\"only\", \"this\"]");
    scene.forget_journal();
    let outcome = scene.act("save", &guest);
    outcome.failed(1);
    assert!(outcome.says("these arguments are not granted") && outcome.says("under [tools.save.qcow2]"), "{outcome:?}");
    assert!(scene.journal().iter().any(|line| line["name"] == "tools.run" && line["failure"]["kind"] == "denied"));
    assert_eq!(scene.state(&guest).as_deref(), Some("running"));
    assert!(!scene.path("datastores/ran").exists() && !guest.folder.join("checkpoint").exists());
    // And with the grant it runs.
    grant("[\"only\", \"this\"], [\"*\", \"/**/checkpoint\", \"*\", \"*\", \"*\"]");
    scene.does("save", &guest);
    assert!(scene.path("datastores/ran").exists());
    scene.does("restore", &guest);
    scene.does("cancel", &guest);
}

/// A driver of the containment suite, which does nothing but try; it lies where `make hostile` built it.
fn trying(name: &str) -> Scene {
    let folder = folder();
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"), PathBuf::from);
    let module = target.join(format!("wasm32-unknown-unknown/guest/examples/{name}.wasm"));
    assert!(module.is_file(), "{} is missing: run `make hostile`", module.display());
    let driver = folder.path().join("drivers/vmm/trying");
    fs::create_dir_all(&driver).unwrap();
    fs::copy(module, driver.join("component.wasm")).unwrap();
    let policy = "schema = 1\nconfiguration = [\"vmm/kvm/kvmrc\"]\n[libvirt]\nuris = []\ndomains = [\"one-*\"]\n";
    fs::write(driver.join("policy.toml"), policy).unwrap();
    let tree = Tree::install_from(&folder.path().join("remotes"), &folder.path().join("drivers"), "vmm/trying");
    Scene::with(folder, tree)
}

/// Calls its `reboot` with something to try. It goes on after every denial and logs them all.
fn tries(scene: &Scene, guest: &Guest, second: &str, document: &str) -> (Outcome, Vec<(String, String)>) {
    scene.forget_journal();
    let before = world(scene);
    let mut command = std::process::Command::new(scene.tree.stub("reboot"));
    command.args([&guest.uuid, second, "7", "node1"]);
    scene.environment(&mut command);
    let outcome = Outcome::of(&mut command, document);
    outcome.succeeded("");
    before.0.assert_same(&world(scene).0);
    assert_eq!(before.1, world(scene).1);
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let lines = scene.journal();
    let denied = lines.iter().filter(|line| line["failure"]["kind"] == "denied");
    (outcome, denied.map(|line| (text(&line["name"]), text(&line["failure"]["message"]))).collect())
}

#[test]
fn other_hosts() {
    let scene = trying("other_hosts");
    let guest = scene.guest(7);
    let (outcome, denials) = tries(&scene, &guest, &guest.disk.display().to_string(), "node2\nnode3");
    assert_eq!(denials.len(), 8, "{denials:?}");
    for (name, message) in &denials {
        let expected = match name.as_str() {
            // Files of two hosts are never in one effect.
            "filesystem.copy" => "on host node",
            _ => "`hosts` in the driver's policy would allow it",
        };
        assert!(message.contains(expected), "{message}");
        assert!(outcome.says(message), "{message}: {outcome:?}");
    }
}

#[test]
fn commands_for_the_guest_agent() {
    let scene = trying("agent");
    scene.tree.set_policy("libvirt", "guest-agent", vec!["guest-ping"]);
    let guest = scene.guest(7);
    let input =
        "{\"execute\":\"guest-exec\",\"arguments\":{\"path\":\"/bin/sh\"}}\n{\"execute\":\"guest-set-user-password\"}";
    let (outcome, denials) = tries(&scene, &guest, "x", input);
    assert_eq!(denials.len(), 2, "{denials:?}");
    for (name, message) in &denials {
        assert_eq!(name, "libvirt.guest-agent");
        assert!(message.contains("`guest-agent` under [libvirt] in the driver's policy would allow it"), "{message}");
        assert!(outcome.says(message), "{outcome:?}");
    }
}

#[test]
fn tools_that_are_not_granted_at_all() {
    let scene = trying("tool");
    // It takes what would be the deploy id for the tool's name.
    for tool in ["sh", "/bin/sh", "../bin/sh", ""] {
        let guest = Guest { uuid: tool.to_owned(), ..scene.guest(7) };
        let says = format!("{tool}: not among the granted tools; a table [tools.{tool}]");
        denied(&scene, "reboot", &guest, "-c\nid", "tools.run", &says);
    }
}
