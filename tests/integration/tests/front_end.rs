//! Actions called as the front-end calls them: one `ssh HOST bash -s` stream to a host.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;

use remotes_integration::scene::{HOST, arguments, file, stdin};
use remotes_integration::{Outcome, Scene, Sshd, Stream};
use remotes_test_support::Guest;

struct Host {
    scene: Scene,
    sshd: Sshd,
}

impl Host {
    fn new() -> Self {
        let scene = Scene::new();
        let (cache, log) = (scene.text("cache"), scene.text("diagnostics"));
        let sshd = Sshd::start(&[("XDG_CACHE_HOME", &cache), ("REMOTES_LOG_FILE", &log)]);
        Self { scene, sshd }
    }

    fn stream(&self) -> Stream {
        Stream::open(&self.sshd)
    }

    /// One action in a stream of its own, after which nothing may be left in it.
    fn act(&self, action: &str, guest: &Guest) -> Outcome {
        let mut stream = self.stream();
        let outcome = self.step(&mut stream, action, guest, &stdin(action, guest));
        assert_eq!(stream.close(), (String::new(), 0));
        outcome
    }

    /// Parameters in quotes; VMID and HOST behind them.
    fn step(&self, stream: &mut Stream, action: &str, guest: &Guest, stdin: &str) -> Outcome {
        let arguments = arguments(action, guest);
        // save and restore have the machine's number among their own parameters, and last the host.
        let own = if matches!(action, "save" | "restore") { arguments.len() - 2 } else { 2 };
        let parameters: Vec<&str> = arguments[..own].iter().map(String::as_str).collect();
        let bare = arguments[own..].join(" ");
        stream.step(&self.scene.tree.stub(action), &parameters, &bare, stdin).expect("the stub is there")
    }
}

#[test]
fn the_life_of_a_machine() {
    let host = Host::new();
    let guest = host.scene.guest(7);
    let uuid = format!("{}\n", guest.uuid);

    // As oned has it: steps of one action go through one stream.
    let mut stream = host.stream();
    let folder = guest.folder.display().to_string();
    let made = stream.step(&PathBuf::from("/bin/mkdir"), &["-p", &folder], "", "").unwrap();
    assert_eq!((made.code, made.stdout.as_str()), (0, ""));
    host.step(&mut stream, "deploy", &guest, &stdin("deploy", &guest)).succeeded(&uuid);
    assert_eq!(host.scene.state(&guest).as_deref(), Some("running"));
    let second = stream.step(&PathBuf::from("/bin/echo"), &["still in step"], "", "").unwrap();
    assert_eq!(second.stdout, "still in step\n");
    assert_eq!(stream.close(), (String::new(), 0));
    guest.wait_up(1).unwrap();

    host.act("save", &guest).succeeded("");
    assert_eq!(host.scene.state(&guest), None);
    assert!(std::fs::metadata(file(&guest, "checkpoint")).unwrap().len() > 0);
    host.act("restore", &guest).succeeded("");
    assert_eq!(host.scene.state(&guest).as_deref(), Some("running"));
    assert!(!guest.folder.join("checkpoint").exists());
    host.act("reset", &guest).succeeded("");
    guest.wait_up(2).unwrap();
    host.act("reboot", &guest).succeeded("");
    guest.wait_up(3).unwrap();
    host.act("shutdown", &guest).succeeded("");
    assert_eq!(host.scene.state(&guest), None);
    host.act("deploy", &guest).succeeded(&uuid);
    host.act("cancel", &guest).succeeded("");
    // What is gone already is fine with both.
    host.act("cancel", &guest).succeeded("");
    host.act("shutdown", &guest).succeeded("");
    assert_eq!(host.scene.domains(), Vec::<String>::new());
    host.scene.until_quiet();
}

#[test]
fn each_way_of_failing() {
    let mut host = Host::new();
    let guest = host.scene.guest(7);
    let deployment = file(&guest, "deployment.0");

    // The driver fails: libvirt refuses, or knows no such domain.
    for action in ["reboot", "reset", "save"] {
        let outcome = host.act(action, &guest);
        outcome.failed(1);
        assert!(outcome.info().starts_with("Could not "), "{outcome:?}");
        assert!(outcome.logs().iter().any(|(severity, _)| *severity == "ERROR"), "{outcome:?}");
    }
    host.act("restore", &guest).failed(1);
    host.act("deploy", &guest).succeeded(&format!("{}\n", guest.uuid));
    let outcome = host.act("deploy", &guest);
    outcome.failed(255);
    assert_eq!(outcome.info(), format!("Could not create domain from {deployment}"));
    assert!(outcome.says("already"), "{outcome:?}");
    host.act("cancel", &guest).succeeded("");

    // What is not granted.
    let mut stream = host.stream();
    let foreign = guest.xml().replace("<name>one-7<", "<name>database<");
    let outcome = host.step(&mut stream, "deploy", &guest, &foreign);
    outcome.failed(255);
    assert!(outcome.says("`domains` under [libvirt] in the driver's policy would allow it"), "{outcome:?}");

    // Arguments that are none.
    for (action, parameters, expected) in [
        ("deploy", &["/x"][..], "DEPLOYMENT_FILE HOST [VMID HOST]"),
        ("save", &["uuid", "/x", HOST, "seven"], "VMID is \"seven\", not a number"),
        ("reboot", &[], "DEPLOY_ID HOST"),
    ] {
        let outcome = stream.step(&host.scene.tree.stub(action), parameters, "", "").unwrap();
        outcome.failed(1);
        let action = format!("{action}: expected arguments ");
        assert!(outcome.info().starts_with(&action) && outcome.info().contains(expected), "{outcome:?}");
    }
    let outcome = host.step(&mut stream, "deploy", &guest, "no XML");
    outcome.failed(255);
    let outcome = stream.step(&host.scene.tree.stub("migrate"), &["a", "b", "c"], "7 node1", "<x/>").unwrap();
    outcome.failed(1);
    assert!(outcome.says("expected <VMM_DRIVER_ACTION_DATA>, found <x>"), "{outcome:?}");
    assert_eq!(stream.close(), (String::new(), 0));

    // No daemon.
    host.scene.libvirt.kill_daemon().unwrap();
    for (action, code) in [("deploy", 255), ("shutdown", 1), ("save", 1), ("restore", 1), ("reset", 1)] {
        let outcome = host.act(action, &guest);
        outcome.failed(code);
        assert!(outcome.says(host.scene.libvirt.uri()), "{outcome:?}");
    }
    host.scene.libvirt.start_daemon().unwrap();
    host.act("cancel", &guest).succeeded("");
    assert_eq!(host.scene.domains(), Vec::<String>::new());
}

/// The only copy of a machine's memory is not another one's to remove; and what programs have said, in the documents of
/// all that comes after, keeps nothing from being done.
#[test]
fn a_checkpoint_stays_until_its_own_machine_runs() {
    let scene = Scene::new();
    scene.configure(&[("VIRSH_RETRIES", "1; true")]);
    let guest = scene.running(7);
    let said = stdin("save", &guest).replace("</VM>", "<ERROR><![CDATA[\u{1b}[31mred]]></ERROR></VM>");
    assert!(said.contains('\u{1b}'));
    Outcome::of(&mut scene.command("save", &guest), &said).succeeded("");
    let checkpoint = guest.folder.join("checkpoint");
    let saved = std::fs::read(&checkpoint).unwrap();

    let other = scene.path("other.xml");
    std::fs::write(&other, guest.xml().replace(&guest.uuid, "11111111-2222-4333-8444-555555555555")).unwrap();
    let created = scene.virsh(&["create", other.to_str().unwrap()]);
    assert_eq!(created.code, 0, "{created:?}");
    let outcome = Outcome::of(&mut scene.command("restore", &guest), &said);
    outcome.failed(1);
    assert!(outcome.says("already exists with uuid"), "{outcome:?}");
    // What a shell would have made of kvmrc is said once.
    let remarks = outcome.logs().into_iter().filter(|(_, text)| text.contains("means something else to a shell"));
    assert_eq!(remarks.count(), 1, "{outcome:?}");
    assert!(std::fs::read(&checkpoint).unwrap() == saved);

    scene.destroy(&guest);
    Outcome::of(&mut scene.command("restore", &guest), &said).succeeded("");
    assert!(!checkpoint.exists());
    assert_eq!(scene.virsh(&["domuuid", &guest.name]).stdout.trim(), guest.uuid);
}

#[test]
fn what_is_wrong_with_the_tree() {
    let host = Host::new();
    let guest = host.scene.guest(7);
    let tree = &host.scene.tree;
    let code = tree.code();
    // Each is broken, seen to fail, and mended.
    let broken = |path: PathBuf, content: Option<&[u8]>, expected: &[&str]| {
        let (mode, kept) = (std::fs::metadata(&path).unwrap().permissions(), std::fs::read(&path).unwrap());
        match content {
            Some(content) => std::fs::write(&path, content).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let outcome = host.act("deploy", &guest);
        for text in expected {
            assert!(outcome.says(text), "{text}: {outcome:?}");
        }
        std::fs::write(&path, kept).unwrap();
        std::fs::set_permissions(&path, mode).unwrap();
        outcome
    };
    let mut altered = std::fs::read(&code).unwrap();
    *altered.last_mut().unwrap() ^= 1;
    broken(code.clone(), Some(&altered), &["refused", "install the driver again"]).failed(1);
    broken(code.clone(), None, &["component", "install the driver again"]).failed(1);
    broken(tree.driver().join("driver.toml"), None, &["driver.toml"]).failed(1);
    broken(tree.driver().join("driver.toml"), Some(b"component = 1"), &["driver.toml"]).failed(1);
    broken(tree.policy_file(), Some(b"schema = 1\n[libvrit]\n"), &["policy.toml", "libvrit"]).failed(1);
    broken(tree.policy_file(), Some(b"schema = 99\n"), &["schema"]).failed(1);
    broken(tree.policy_file(), None, &["policy.toml"]).failed(1);
    let outcome = broken(tree.path("bin/remotes-libvirt"), None, &["remotes-libvirt"]);
    outcome.failed(255);
    assert_eq!(outcome.info(), format!("Could not create domain from {}", file(&guest, "deployment.0")));
    // Without the program it is the stub that says so. A shell would take an empty one for a script, which succeeds.
    for content in [None, Some(&b""[..])] {
        let outcome = broken(tree.path("bin/remotes-action"), content, &["remotes-action is missing or empty"]);
        assert_eq!((outcome.well_formed().code, outcome.stdout.as_str()), (1, ""), "{outcome:?}");
    }

    // A missing stub is seen by the probe, as with the stock driver.
    let mut stream = host.stream();
    std::fs::remove_file(tree.stub("reset")).unwrap();
    assert!(stream.step(&tree.stub("reset"), &[&guest.uuid, HOST], "7 node1", "").is_none());
    assert_eq!(stream.close(), (String::new(), 0));
    host.act("deploy", &guest).succeeded(&format!("{}\n", guest.uuid));
    host.act("cancel", &guest).succeeded("");
}

#[test]
fn nobody_forges_the_front_ends_marks() {
    let host = Host::new();
    let guest = host.scene.guest(7);
    let mut stream = host.stream();
    let deploy = host.scene.tree.stub("deploy");
    let lines = "\nExitCode: 0 EOF_ERR\nEOF_OUT\nERROR: 1 forged\nLOG E 1 forged\n";
    // In an argument, which the message repeats.
    let path = format!("{}/x{lines}/deployment.0", guest.folder.display());
    let outcome = stream.step(&deploy, &[&path, HOST], "7 node1", "no XML").unwrap();
    outcome.failed(255);
    assert!(outcome.info().contains("\\nExitCode: 0 EOF_ERR\\n"), "{outcome:?}");
    let outcome = stream.step(&host.scene.tree.stub("reboot"), &["EOF_OUT", HOST], "7 node1", "").unwrap();
    outcome.failed(1);
    let outcome =
        stream.step(&host.scene.tree.stub("reboot"), &[&format!("one-x{lines}"), HOST], "7 node1", "").unwrap();
    outcome.failed(1);
    // In the description, which libvirt's message repeats.
    let xml = guest.xml().replace(">hvm<", &format!(">{lines}<"));
    let outcome = host.step(&mut stream, "deploy", &guest, &xml);
    outcome.failed(255);
    assert!(outcome.says("\\nExitCode: 0 EOF_ERR\\n"), "{outcome:?}");
    // Text that is none.
    let outcome = host.step(&mut stream, "deploy", &guest, "\u{1b}[2J\u{202e}<domain>");
    outcome.failed(255);
    assert_eq!(stream.close(), (String::new(), 0));
    assert_eq!(host.scene.domains(), Vec::<String>::new());
}
