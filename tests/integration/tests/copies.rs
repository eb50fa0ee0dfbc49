//! A remotes tree on its way to hosts, and used from wherever it came to lie.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use remotes_integration::scene::{HOST, arguments, stdin};
use remotes_integration::tree::run;
use remotes_integration::{Outcome, Scene, Snapshot, Sshd, Stream, Tree, remotes};
use remotes_test_support::Guest;

/// Has a command succeed.
fn succeed(command: &mut Command) {
    let outcome = Outcome::of(command, "");
    assert_eq!(outcome.code, 0, "{command:?}: {outcome:?}");
}

/// Deploys and cancels through these stubs.
fn works(scene: &Scene, guest: &Guest, stub: impl Fn(&str) -> Command) {
    for (action, word) in [("deploy", format!("{}\n", guest.uuid)), ("cancel", String::new())] {
        let mut command = stub(action);
        command.args(arguments(action, guest));
        scene.environment(&mut command);
        Outcome::of(&mut command, &stdin(action, guest)).succeeded(&word);
    }
    assert_eq!(scene.domains(), Vec::<String>::new());
}

#[test]
fn copied_to_a_host_as_the_front_end_copies_it() {
    let scene = Scene::new();
    let guest = scene.guest(7);
    let sshd = Sshd::start(&[("XDG_CACHE_HOME", &scene.text("cache"))]);
    let ssh = format!("ssh -F {}", sshd.client().display());
    let whole = Snapshot::of(scene.tree.root()).without_times();

    // onehost sync: from the tree's folder. What a host added goes, links become what they lead to.
    let host = scene.path("host/one");
    fs::create_dir_all(host.join("vmm/kvm")).unwrap();
    fs::write(host.join("vmm/kvm/stray"), "added on the host").unwrap();
    let mut rsync = Command::new("rsync");
    rsync.args(["-LRaz", "--delete", "-e", &ssh, ".", &format!("{HOST}:{}", host.display())]);
    succeed(rsync.current_dir(scene.tree.root()));
    whole.assert_same(&Snapshot::of(&host).without_times());

    // Without rsync: all that is in the tree's folder.
    let other = scene.path("other");
    fs::create_dir(&other).unwrap();
    let mut scp = Command::new("scp");
    scp.arg("-F").arg(sshd.client()).arg("-rpq");
    let mut entries: Vec<PathBuf> =
        fs::read_dir(scene.tree.root()).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    succeed(scp.args(entries).arg(format!("{HOST}:{}", other.display())));
    // The folder itself was not copied.
    let inside = |mut snapshot: Snapshot| {
        snapshot.0.remove(Path::new(""));
        snapshot
    };
    inside(whole).assert_same(&inside(Snapshot::of(&other).without_times()));

    for copy in [host, other] {
        let tree = Tree::at(&copy);
        assert_eq!(tree.verify().0, 0);
        let mut stream = Stream::open(&sshd);
        let (parameters, uuid) = (arguments("deploy", &guest), format!("{}\n", guest.uuid));
        let step = stream.step(&tree.stub("deploy"), &[&parameters[0], HOST], "7 node1", &guest.xml());
        step.unwrap().succeeded(&uuid);
        assert_eq!(scene.state(&guest).as_deref(), Some("running"));
        let step = stream.step(&tree.stub("cancel"), &[&guest.uuid, HOST], "7 node1", "");
        step.unwrap().succeeded("");
        assert_eq!(stream.close(), (String::new(), 0));
    }
    assert_eq!(scene.domains(), Vec::<String>::new());
    scene.until_quiet();
}

#[test]
fn used_through_links_and_from_any_folder() {
    let scene = Scene::new();
    let guest = scene.guest(7);
    let tree = &scene.tree;

    // The tree is a link; an action is one, from elsewhere, relative and absolute and in a chain.
    symlink(tree.root(), scene.path("linked")).unwrap();
    works(&scene, &guest, |action| Command::new(scene.path("linked/vmm/kvm").join(action)));
    let elsewhere = scene.path("else where");
    fs::create_dir(&elsewhere).unwrap();
    for action in ["deploy", "cancel"] {
        symlink(format!("../linked/vmm/kvm/{action}"), elsewhere.join(format!("first-{action}"))).unwrap();
        symlink(elsewhere.join(format!("first-{action}")), elsewhere.join(action)).unwrap();
    }
    works(&scene, &guest, |action| Command::new(elsewhere.join(action)));

    // By a relative path, by name, by PATH, and by a shell that is told to read it.
    let from = |mut command: Command, folder: PathBuf| {
        command.current_dir(folder);
        command
    };
    works(&scene, &guest, |action| from(Command::new(format!("./{action}")), tree.path("vmm/kvm")));
    works(&scene, &guest, |action| {
        let mut command = from(Command::new("sh"), tree.path("vmm/kvm"));
        command.arg(action);
        command
    });
    works(&scene, &guest, |action| {
        let mut command = from(Command::new("sh"), tree.path("vmm"));
        command.args(["-c", "exec \"$0\" \"$@\"", action]);
        command.env("PATH", format!("{}:/usr/bin:/bin", tree.path("vmm/kvm").display()));
        command
    });

    // Where the tree lies in a folder with odd names, and ONE_LOCATION says where that is.
    let location = scene.path("odd 'na\"me $HOME");
    fs::create_dir_all(location.join("var")).unwrap();
    fs::rename(tree.root(), location.join("var/remotes")).unwrap();
    works(&scene, &guest, |action| {
        let mut command = Command::new(location.join("var/remotes/vmm/kvm").join(action));
        command.env("ONE_LOCATION", &location);
        command
    });
    // The operator's program, which belongs to no tree here, finds it by that.
    let listed = Outcome::of(remotes().args(["--json", "list"]).env("ONE_LOCATION", &location), "");
    assert_eq!(listed.code, 0, "{listed:?}");
    let rows: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!((rows[0]["name"].as_str(), rows[0]["state"].as_str()), (Some("vmm/kvm"), Some("ready")));
}

#[test]
fn beside_the_stock_driver_under_another_name() {
    let scene = Scene::new();
    let guest = scene.guest(7);
    let deploy = scene.tree.stub("deploy");
    run(&["tree", "remove", scene.tree.text()]);
    fs::create_dir_all(deploy.parent().unwrap()).unwrap();
    fs::write(&deploy, "#!/bin/sh\nexit 3\n").unwrap();
    let before = Snapshot::of(scene.tree.root()).with_file_times();

    run(&["tree", "install", "--driver", "vmm/kvm", "--as", "vmm/other", scene.tree.text()]);
    let other = scene.tree.named("vmm/other");
    scene.grant(&other);
    // kvmrc stays at its place: the policy says which file is read.
    other.edit_policy(|policy| drop(policy.insert("configuration".to_owned(), vec!["vmm/other/kvmrc"].into())));
    works(&scene, &guest, |action| Command::new(other.stub(action)));
    assert_eq!(fs::read_to_string(&deploy).unwrap(), "#!/bin/sh\nexit 3\n");
    let listed = run(&["--json", "list", "--tree", scene.tree.text()]);
    let rows: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!((rows[0]["name"].as_str(), rows[0]["driver"].as_str()), (Some("vmm/other"), Some("vmm/kvm")));

    run(&["tree", "remove", "--driver", "vmm/other", scene.tree.text()]);
    // What the operator wrote is the operator's.
    for name in ["policy.toml", "kvmrc"] {
        fs::remove_file(other.policy_file().with_file_name(name)).unwrap();
    }
    fs::remove_dir(other.policy_file().parent().unwrap()).unwrap();
    before.assert_same(&Snapshot::of(scene.tree.root()).with_file_times());
}
