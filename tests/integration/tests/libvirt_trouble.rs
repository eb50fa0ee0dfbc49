//! The daemon dies or hangs while an action runs, or QEMU does, or the process that talks to them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::Write as _;
use std::os::unix::net::UnixListener;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use remotes_integration::processes::{Process, until_one_names};
use remotes_integration::scene::stdin;
use remotes_integration::{Outcome, Scene};
use remotes_test_support::{Guest, wait_for};
use rustix::process::Signal;

/// Seconds that the policy gives an action here.
const LIMIT: u64 = 3;
/// What is more than an action's time and the grace after it: the action hangs.
const TOO_LONG: Duration = Duration::from_secs(LIMIT + 15);

const ALL: [&str; 7] = ["deploy", "save", "restore", "reboot", "reset", "shutdown", "cancel"];

fn limit(scene: &Scene, seconds: u64) {
    scene.tree.edit_policy(|policy| {
        let limits: toml::Table = format!("time-seconds = {seconds}").parse().unwrap();
        policy.insert("limits".to_owned(), limits.into());
    });
}

/// The machine's QEMU.
fn qemu(guest: &Guest) -> Process {
    until_one_names(&["qemu-system", guest.folder.to_str().unwrap()])
}

/// Starts an action, waits until it has asked for the effect, and lets `trouble` happen.
fn in_mid(scene: &Scene, guest: &Guest, action: &str, effect: &str, trouble: impl FnOnce()) -> Outcome {
    scene.forget_journal();
    let mut command = scene.command(action, guest);
    let input = stdin(action, guest);
    let started = Instant::now();
    let outcome = thread::scope(|scope| {
        let running = scope.spawn(|| Outcome::of(&mut command, &input));
        scene.until_asked(effect);
        trouble();
        running.join().unwrap()
    });
    assert!(started.elapsed() < TOO_LONG * 2, "{action}: {:?}", started.elapsed());
    // The process that talks to libvirt goes with the action.
    scene.until_quiet();
    outcome
}

/// Waits until the daemon has a command in QEMU for this machine.
fn until_in_qemu(scene: &Scene, guest: &Guest) {
    // It is `ok`, `occupied`, or `background job`, as a save is.
    let idle = || scene.virsh(&["domcontrol", &guest.name]).stdout.trim_start().starts_with("ok");
    wait_for("a command in QEMU", || !idle());
}

#[test]
fn the_daemon_is_killed_in_mid_action() {
    let mut scene = Scene::new();
    limit(&scene, 60);
    let guest = scene.running(7);
    for (action, effect) in [("save", "libvirt.save"), ("reset", "libvirt.reset"), ("reboot", "libvirt.reboot")] {
        // While QEMU does not answer, the daemon does not either.
        let qemu = qemu(&guest);
        qemu.signal(Signal::STOP);
        let outcome = in_mid(&scene, &guest, action, effect, || {
            until_in_qemu(&scene, &guest);
            scene.libvirt.kill_daemon().unwrap();
        });
        outcome.failed(1);
        assert!(outcome.says("may or may not have been done; look before it is repeated"), "{outcome:?}");
        assert!(outcome.says(scene.libvirt.uri()), "{outcome:?}");
        qemu.signal(Signal::CONT);
        scene.libvirt.start_daemon().unwrap();
        assert_eq!(scene.state(&guest).as_deref(), Some("running"), "{action}");
    }
    scene.does("cancel", &guest);
    // A start of which nobody knows: its undo knows.
    let stopped = || {
        scene.libvirt.signal(Signal::STOP).unwrap();
        scene.libvirt.kill_daemon().unwrap();
    };
    let outcome = in_mid(&scene, &guest, "deploy", "libvirt.create", stopped);
    outcome.failed(255);
    scene.libvirt.start_daemon().unwrap();
    scene.does("cancel", &guest);
    assert_eq!(scene.domains(), Vec::<String>::new());
}

#[test]
fn the_daemon_is_away_while_a_shutdown_waits() {
    let mut scene = Scene::new();
    let guest = scene.deaf_guest(7);
    scene.configure(&[("SHUTDOWN_TIMEOUT", "3"), ("FORCE_DESTROY", "yes")]);
    scene.does("deploy", &guest);
    let outcome = in_mid(&scene, &guest, "shutdown", "clock.sleep", || scene.libvirt.kill_daemon().unwrap());
    outcome.failed(1);
    assert!(outcome.info().starts_with("Timed out shutting down"), "{outcome:?}");
    assert!(outcome.logs().iter().any(|(severity, _)| *severity == "WARN"), "{outcome:?}");
    scene.libvirt.start_daemon().unwrap();
    assert_eq!(scene.state(&guest).as_deref(), Some("running"));

    // One that comes back in time is found again.
    scene.forget_journal();
    let mut command = scene.command("shutdown", &guest);
    let document = stdin("shutdown", &guest);
    let running = thread::spawn(move || Outcome::of(&mut command, &document));
    scene.until_asked("clock.sleep");
    scene.libvirt.kill_daemon().unwrap();
    scene.libvirt.start_daemon().unwrap();
    let outcome = running.join().unwrap();
    outcome.succeeded("");
    assert!(outcome.says("Destroying it"), "{outcome:?}");
    assert_eq!(scene.domains(), Vec::<String>::new());
    scene.until_quiet();
}

#[test]
fn a_hung_daemon_ends_every_action_at_its_deadline() {
    let scene = Scene::new();
    let guest = scene.guest(7);
    limit(&scene, LIMIT);
    scene.libvirt.signal(Signal::STOP).unwrap();
    let outcomes: Vec<_> = thread::scope(|scope| {
        let started = ALL.map(|action| {
            let (scene, guest) = (&scene, &guest);
            scope.spawn(move || (action, Outcome::timed(&mut scene.command(action, guest), &stdin(action, guest))))
        });
        started.into_iter().map(|action| action.join().unwrap()).collect()
    });
    for (action, (outcome, time)) in outcomes {
        let code = if matches!(action, "deploy" | "shutdown") { 255 } else { 1 };
        outcome.failed(code);
        let whom = format!("libvirt at {} gave no answer within the action's {LIMIT} s", scene.libvirt.uri());
        assert!(outcome.says(&whom) && outcome.says("limits.time-seconds"), "{action}: {outcome:?}");
        assert!(time >= Duration::from_secs(LIMIT) && time < TOO_LONG, "{action}: {time:?}");
    }
    scene.until_quiet();
    scene.libvirt.signal(Signal::CONT).unwrap();
    // What was asked for and never answered may have happened since; the undo sees to it.
    scene.does("cancel", &guest);
    assert_eq!(scene.domains(), Vec::<String>::new());
}

/// Nothing of an action that is killed stays, also while a daemon that accepts and never answers holds it.
#[test]
fn a_killed_action_leaves_no_process_at_a_hung_daemon() {
    let scene = Scene::new();
    let guest = scene.guest(7);
    let socket = scene.path("socket");
    let daemon = UnixListener::bind(&socket).unwrap();
    let uri = format!("qemu+unix:///session?socket={}", socket.display());
    scene.tree.set_policy("libvirt", "uris", vec![uri.as_str()]);
    scene.tree.configure(&[("LIBVIRT_URI", &uri)]);
    let mut command = scene.command("reboot", &guest);
    let mut action = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let (connection, _) = daemon.accept().unwrap();
    action.kill().unwrap();
    action.wait().unwrap();
    scene.until_quiet();
    drop(connection);
}

#[test]
fn a_hung_qemu_and_a_killed_server_are_one_clear_error() {
    let scene = Scene::new();
    let guest = scene.running(7);
    let qemu = qemu(&guest);
    qemu.signal(Signal::STOP);
    let server = || until_one_names(&[scene.tree.path("bin/remotes-libvirt").to_str().unwrap(), scene.libvirt.uri()]);
    let outcome = in_mid(&scene, &guest, "reset", "libvirt.reset", || {
        until_in_qemu(&scene, &guest);
        server().signal(Signal::KILL);
    });
    outcome.failed(1);
    assert!(outcome.says("whether it happened is not known: look before doing it again"), "{outcome:?}");

    limit(&scene, LIMIT);
    let outcome = in_mid(&scene, &guest, "reset", "libvirt.reset", || {});
    outcome.failed(1);
    assert!(outcome.says("gave no answer within the action's 3 s (limits.time-seconds"), "{outcome:?}");
    assert!(outcome.says("whether it happened is not known"), "{outcome:?}");
    let outcome = in_mid(&scene, &guest, "save", "libvirt.save", || {});
    outcome.failed(1);
    qemu.signal(Signal::CONT);

    // A question that was lost is asked again.
    let deaf = scene.deaf_guest(8);
    scene.configure(&[("SHUTDOWN_TIMEOUT", "2"), ("FORCE_DESTROY", "yes")]);
    scene.tree.edit_policy(|policy| drop(policy.remove("limits")));
    scene.does("deploy", &deaf);
    in_mid(&scene, &deaf, "shutdown", "clock.sleep", || server().signal(Signal::KILL)).succeeded("");
    scene.does("cancel", &guest);
    assert_eq!(scene.domains(), Vec::<String>::new());
}

#[test]
fn what_is_no_daemon_is_no_danger() {
    let scene = Scene::new();
    let guest = scene.guest(7);
    limit(&scene, LIMIT);
    let socket = scene.path("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let uri = format!("qemu+unix:///session?socket={}", socket.display());
    scene.tree.set_policy("libvirt", "uris", vec![uri.as_str()]);
    scene.tree.configure(&[("LIBVIRT_URI", &uri)]);
    // A length that is one, a length that is none, an end in mid-word.
    let answers =
        [&[0, 0, 0, 28, 0xff, 0xff, 0xff, 0xff][..], &[0xff; 4096], b"HTTP/1.1 400 Bad Request\r\n\r\n", &[0, 0]];
    for answer in answers {
        let outcome = thread::scope(|scope| {
            let action = scope.spawn(|| scene.act("reset", &guest));
            while !action.is_finished() {
                listener.set_nonblocking(true).unwrap();
                match listener.accept() {
                    Ok((mut stream, _)) => drop(stream.write_all(answer)),
                    Err(_) => thread::sleep(Duration::from_millis(10)),
                }
            }
            action.join().unwrap()
        });
        outcome.failed(1);
        assert!(outcome.says(&uri), "{outcome:?}");
    }
    scene.until_quiet();
}
