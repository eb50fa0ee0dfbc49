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
use std::path::Path;
use std::process::Command;

use remotes_integration::{Outcome, Scene};
use remotes_test_support::Guest;
use serde::Deserialize;

#[derive(Deserialize)]
struct Recorded {
    path: String,
    argv: Vec<String>,
    stdin: String,
    exit: i32,
    stdout: String,
    stderr: String,
    order: u64,
    #[serde(skip)]
    file: String,
}

impl Recorded {
    fn action(&self) -> &str {
        self.path.rsplit('/').next().unwrap()
    }

    /// The machine's number: before the host, which oned puts last.
    fn id(&self) -> u32 {
        self.argv[self.argv.len() - 2].parse().unwrap()
    }
}

/// The recorded calls of these actions, as they were made in time.
fn recorded(actions: &[&str]) -> Vec<Recorded> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../golden/frontend/vmm");
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let mut call: Recorded = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        call.file = path.file_name().unwrap().to_str().unwrap().to_owned();
        if actions.contains(&call.action()) {
            all.push(call);
        }
    }
    all.sort_by_key(|call| call.order);
    for action in actions {
        assert!(all.iter().any(|call| call.action() == *action), "no recorded call of {action}");
    }
    all
}

/// Removes every piece of the text from one mark to the next.
fn without(mut text: String, from: &str, to: &str) -> String {
    while let Some(start) = text.find(from) {
        let end = start + text[start..].find(to).unwrap() + to.len();
        text.replace_range(start..end, "");
    }
    text
}

/// The text with the test's folder in place of `/var/lib/one`.
fn placed(scene: &Scene, text: &str) -> String {
    text.replace("/var/lib/one/", &format!("{}/", scene.root().display()))
}

/// A description that a daemon of an unprivileged user runs anywhere.
fn runnable(scene: &Scene, description: &str) -> String {
    let text = placed(scene, description)
        .replace("/usr/bin/qemu-kvm-one", "/usr/bin/qemu-system-x86_64")
        .replace("<domain type='kvm'", "<domain type='qemu'")
        .replace("<interface type='bridge'>", "<interface type='user'>")
        .replace(" cache='none'", "");
    let text = without(text, "<cputune>", "</cputune>");
    let text = without(text, "<source bridge=", "/>");
    let text = without(text, "<target dev='one-", "/>");
    let port = text.split(" port='").nth(1).and_then(|rest| rest.split('\'').next()).unwrap().to_owned();
    text.replace(&format!(" port='{port}'"), " autoport='yes'")
}

/// The files of a machine, where the front-end and its transfer driver had put them.
fn machine(scene: &Scene, call: &Recorded) -> Guest {
    let deploy_id = if call.action() == "restore" { &call.argv[2] } else { &call.argv[0] };
    let folder = match call.argv.iter().find_map(|argument| argument.strip_prefix("/var/lib/one/")) {
        Some(file) => format!("{}/{}", scene.root().display(), file.rsplit_once('/').unwrap().0),
        None => format!("{}//datastores/101/{}", scene.root().display(), call.id()),
    };
    let guest = Guest::in_folder(Path::new(&folder), call.id()).unwrap().with_qcow2().unwrap();
    fs::write(guest.folder.join("disk.1"), vec![0; 1 << 20]).unwrap();
    // The id of a deployment is in its description.
    let uuid = call.stdin.split("<uuid>").nth(1).and_then(|rest| rest.split('<').next());
    Guest { uuid: uuid.unwrap_or(deploy_id).to_owned(), ..guest }
}

/// Makes the call with its own arguments and standard input.
fn call(scene: &Scene, call: &Recorded, stdin: &str) -> Outcome {
    let mut command = Command::new(scene.tree.stub(call.action()));
    command.args(call.argv.iter().map(|argument| placed(scene, argument)));
    scene.environment(&mut command);
    let outcome = Outcome::of(&mut command, stdin);
    assert_eq!((outcome.code, &outcome.stdout), (call.exit, &call.stdout), "{}: {outcome:?}", call.file);
    match call.exit {
        0 => drop(outcome.succeeded(&call.stdout)),
        // The last line is the user's, and what the front-end's users know.
        _ => assert_eq!(outcome.failed(call.exit).info(), placed(scene, call.stderr.lines().last().unwrap())),
    }
    outcome
}

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
