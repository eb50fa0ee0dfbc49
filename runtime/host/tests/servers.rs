//! Effect servers that die, hang and lie.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use remotes_effect::deadline::Deadline;
use remotes_effect::frame::Hello;
use remotes_effect::libvirt::{Answer as A, Effect as E};
use remotes_effect::policy::{LibvirtGrant, Pattern, Policy};
use remotes_effect::types::{FailureKind as K, Node};
use remotes_effect::{Answer, Effect, Executor, clock, filesystem, tools};
use remotes_host::server::{Server, ServerError};
use remotes_host::{Machine, Surroundings};
use support::{RW, Sandbox, done, example, place, refused};

fn read() -> E {
    E::Xml { on: Node::Here, domain: "one-5".into() }
}

fn write() -> E {
    E::Shutdown { on: Node::Here, domain: "one-5".into() }
}

/// A machine whose libvirt server behaves in this way.
fn machine(world: &Sandbox, mode: &str, deadline: Duration) -> Machine {
    world.file("etc/kvmrc", format!("LIBVIRT_URI=\"fake:{mode}:{}\"\n", world.path.display()));
    let libvirt = LibvirtGrant {
        uris: vec![Pattern("fake:*/**".into())],
        domains: vec![Pattern("one-*".into())],
        ..LibvirtGrant::default()
    };
    let policy = Policy { libvirt: Some(libvirt), configuration: vec!["kvmrc".into()], ..Policy::default() };
    Machine::new(Surroundings {
        policy: Arc::new(policy),
        tree: world.path.clone(),
        deadline: Deadline::after(deadline),
        libvirt_server: example("effect_server"),
        log: Box::new(|_, _| {}),
    })
}

const LONG: Duration = Duration::from_secs(120);
const SHORT: Duration = Duration::from_millis(700);

/// How often the server was started, and how many effects it got.
fn counts(world: &Sandbox) -> (usize, usize) {
    let log = world.text("log");
    let starts = log.lines().filter(|line| line.starts_with("start ")).count();
    (starts, log.lines().count() - starts)
}

fn running(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// They are killed, which takes the kernel its time.
fn until_ended(world: &Sandbox) {
    remotes_test_support::wait_for("the servers' end", || pids(world).into_iter().all(|pid| !running(pid)));
}

fn pids(world: &Sandbox) -> Vec<u32> {
    world.text("log").lines().filter_map(|line| line.strip_prefix("start ")?.parse().ok()).collect()
}

#[test]
fn one_server_serves_all_effects_and_ends_with_the_machine() {
    let world = Sandbox::new();
    let mut machine = machine(&world, "fine", LONG);
    assert!(!world.path.join("log").exists());
    for _ in 0..3 {
        assert_eq!(done(&mut machine, read()), Answer::Libvirt(A::Xml(Ok("<domain/>".into()))));
        assert_eq!(done(&mut machine, write()), Answer::Libvirt(A::Shutdown(Ok(()))));
    }
    assert_eq!(counts(&world), (1, 6));
    assert!(running(pids(&world)[0]));
    drop(machine);
    until_ended(&world);
}

#[test]
fn a_lost_read_is_sent_once_more() {
    let world = Sandbox::new();
    done(&mut machine(&world, "die-once", LONG), read());
    assert_eq!(counts(&world), (2, 2));
    let world = Sandbox::new();
    assert_eq!(refused(&mut machine(&world, "die", LONG), read()), K::Unavailable);
    assert_eq!(counts(&world), (2, 2));
}

#[test]
fn a_lost_write_is_unknown_and_not_repeated() {
    let world = Sandbox::new();
    let mut machine = machine(&world, "die-once", LONG);
    assert_eq!(refused(&mut machine, write()), K::Unknown);
    assert_eq!(counts(&world), (1, 1));
    // The next effect finds a new server.
    done(&mut machine, write());
    assert_eq!(counts(&world), (2, 2));
}

#[test]
fn a_write_to_a_server_that_never_was_ready_did_not_happen() {
    let world = Sandbox::new();
    let mut machine = machine(&world, "never-ready", LONG);
    let answer = machine.execute(&Effect::Libvirt(write()));
    let failure = answer.failure().unwrap();
    assert_eq!(failure.kind, K::Unavailable);
    assert!(failure.message.contains("libvirt.so.0: no such file"), "{}", failure.message);
}

#[test]
fn a_write_after_the_server_died_idle_goes_to_a_new_one() {
    let world = Sandbox::new();
    let mut machine = machine(&world, "die-after", LONG);
    done(&mut machine, write());
    while running(pids(&world)[0]) {
        std::thread::yield_now();
    }
    done(&mut machine, write());
    assert_eq!(counts(&world), (2, 2));
}

#[test]
fn a_server_killed_in_mid_call() {
    for (effect, kind) in [(write(), K::Unknown), (read(), K::Timeout)] {
        let world = Sandbox::new();
        let log = world.path.join("log");
        let mut machine = machine(&world, "hang", Duration::from_secs(4));
        let killer = std::thread::spawn(move || {
            loop {
                let text = std::fs::read_to_string(&log).unwrap_or_default();
                if let Some(start) = text.lines().next().filter(|_| text.contains("libvirt.")) {
                    let pid = start.strip_prefix("start ").unwrap().parse().unwrap();
                    let pid = rustix::process::Pid::from_raw(pid).unwrap();
                    return rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
                }
                std::thread::yield_now();
            }
        });
        // The read is sent again, to a second server that hangs, too.
        assert_eq!(refused(&mut machine, effect), kind);
        killer.join().unwrap();
        until_ended(&world);
    }
}

#[test]
fn a_server_that_hangs_is_killed_at_the_deadline() {
    for mode in ["hang", "deaf"] {
        for effect in [read(), write()] {
            let world = Sandbox::new();
            let mut machine = machine(&world, mode, SHORT);
            let changes = Effect::Libvirt(effect.clone()).changes();
            let answer = machine.execute(&Effect::Libvirt(effect));
            let failure = answer.failure().unwrap();
            assert_eq!(failure.kind, K::Timeout, "{mode}: {}", failure.message);
            assert_eq!(failure.message.contains("not known"), changes, "{}", failure.message);
            until_ended(&world);
        }
    }
}

#[test]
fn a_deaf_server_and_a_giant_effect() {
    let world = Sandbox::new();
    let mut machine = machine(&world, "deaf", SHORT);
    let effect = E::Create { on: Node::Here, xml: "x".repeat(8 * 1024 * 1024), paused: false };
    let answer = machine.execute(&Effect::Libvirt(effect));
    let failure = answer.failure().unwrap();
    // It never was sent to its end: nothing can have happened.
    assert_eq!(failure.kind, K::Timeout);
    assert!(!failure.message.contains("not known"), "{}", failure.message);
}

#[test]
fn what_is_no_answer_is_none() {
    for mode in ["garbage", "banner", "wrong", "twice", "half", "endless"] {
        let world = Sandbox::new();
        let mut machine = machine(&world, mode, LONG);
        assert_eq!(refused(&mut machine, write()), K::Unknown, "{mode}");
        let world = Sandbox::new();
        let mut machine = self::machine(&world, mode, LONG);
        assert!(matches!(refused(&mut machine, read()), K::Failed | K::Unavailable), "{mode}");
        until_ended(&world);
    }
}

#[test]
fn a_talkative_server_does_not_get_stuck() {
    let world = Sandbox::new();
    let mut machine = machine(&world, "chatty", LONG);
    for _ in 0..3 {
        done(&mut machine, read());
    }
    assert_eq!(counts(&world), (1, 3));
}

#[test]
fn a_server_that_cannot_be_started() {
    let world = Sandbox::new();
    world.file("etc/kvmrc", "LIBVIRT_URI=fake:x\n");
    let libvirt = LibvirtGrant { uris: vec![Pattern("fake:*".into())], ..LibvirtGrant::default() };
    let policy = Policy { libvirt: Some(libvirt), configuration: vec!["kvmrc".into()], ..Policy::default() };
    assert_eq!(refused(&mut world.machine_for(policy), write()), K::Unavailable);
}

#[test]
fn the_uri_is_the_operators_and_the_policys() {
    let world = Sandbox::new();
    let ask = |uri: Option<&str>, granted: &[&str]| {
        if let Some(uri) = uri {
            world.file("etc/kvmrc", format!("LIBVIRT_URI={uri}\n"));
        }
        let uris = granted.iter().map(|uri| Pattern((*uri).to_owned())).collect();
        let libvirt = LibvirtGrant { uris, ..LibvirtGrant::default() };
        let policy = Policy { libvirt: Some(libvirt), configuration: vec!["kvmrc".into()], ..Policy::default() };
        refused(&mut world.machine_for(policy), read())
    };
    assert_eq!(ask(None, &["qemu:///session"]), K::Denied);
    // Granted; what is missing is the server.
    assert_eq!(ask(None, &["qemu:///system"]), K::Unavailable);
    assert_eq!(ask(Some(""), &["qemu:///system"]), K::Unavailable);
    assert_eq!(ask(Some("qemu:///system"), &["qemu:///session"]), K::Denied);
    assert_eq!(ask(Some("xen:///"), &[]), K::Denied);
    assert_eq!(ask(Some("-x"), &["*"]), K::Denied);
    assert_eq!(ask(Some("-x"), &["-x"]), K::Invalid);
    assert_eq!(refused(&mut world.machine(&[]), read()), K::Denied);
}

#[test]
fn nothing_is_done_after_the_deadline() {
    let world = Sandbox::new();
    let policy = Policy { paths: world.grants(&[("", RW)]), ..Policy::default() };
    let mut machine = world.machine_until(policy, Deadline::after(Duration::ZERO));
    for effect in [
        Effect::Libvirt(write()),
        Effect::Filesystem(filesystem::Effect::MakeDirectory { at: place(world.at("new")), mode: 0o700 }),
        Effect::Tools(tools::Effect::Available { on: Node::Here, tool: "x".into() }),
    ] {
        assert_eq!(machine.execute(&effect).failure().unwrap().kind, K::Timeout);
    }
    assert!(world.names("").is_empty());
    let sleep = Effect::Clock(clock::Effect::Sleep { milliseconds: u64::MAX });
    assert_eq!(machine.execute(&sleep), Answer::Clock(clock::Answer::Sleep(false)));
}

/// This machine as a server, as at the other end of ssh.
fn served(world: &Sandbox, policy: Policy, time: Duration) -> Server {
    let mut command = Command::new(example("effect_server"));
    command.arg(format!("serve:{}", world.path.display()));
    Server::start(&mut command, &Hello::new(policy, time)).unwrap()
}

#[test]
fn this_machine_serves_under_the_clients_policy() {
    let world = Sandbox::new();
    world.file("in/file", "content").file("out/file", "secret");
    let mut server = served(&world, Policy { paths: world.grants(&[("in", RW)]), ..Policy::default() }, LONG);
    let deadline = Deadline::after(LONG);
    let mut ask = |effect| server.ask(&Effect::Filesystem(effect), deadline).unwrap();
    let inside = filesystem::Effect::Read { at: place(world.at("in/file")) };
    assert_eq!(ask(inside), Answer::Filesystem(filesystem::Answer::Read(Ok(b"content".to_vec()))));
    let outside = filesystem::Effect::Read { at: place(world.at("out/file")) };
    assert_eq!(ask(outside).failure().unwrap().kind, K::Denied);
    // A server lets no effect through to a further host that the policy does not name.
    let on = Node::Host("elsewhere".into());
    let further = filesystem::Effect::Stat { at: remotes_effect::types::Place { on, path: world.at("in/file") } };
    assert_eq!(ask(further).failure().unwrap().kind, K::Denied);
}

#[test]
fn a_served_machine_keeps_the_clients_deadline() {
    let world = Sandbox::new();
    let policy = Policy { paths: world.grants(&[("", RW)]), ..Policy::default() };
    let mut server = served(&world, policy, Duration::ZERO);
    let effect = Effect::Filesystem(filesystem::Effect::Stat { at: place(world.at("x")) });
    let answer = server.ask(&effect, Deadline::after(LONG)).unwrap();
    assert_eq!(answer.failure().unwrap().kind, K::Timeout);
}

#[test]
fn a_greeting_that_is_not_understood() {
    let world = Sandbox::new();
    let mut command = Command::new(example("effect_server"));
    command.arg(format!("serve:{}", world.path.display()));
    let hello = Hello { contract: "99.0.0".into(), ..Hello::new(Policy::default(), LONG) };
    let mut server = Server::start(&mut command, &hello).unwrap();
    match server.ask(&Effect::Libvirt(write()), Deadline::after(LONG)) {
        Err(error @ ServerError::Gone { .. }) => assert!(!error.may_have_happened()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_host_that_cannot_be_reached() {
    let world = Sandbox::new();
    let mut machine = world.machine(&[]);
    let on = |host: &str| E::Shutdown { on: Node::Host(host.into()), domain: "one-5".into() };
    // Reserved to be nobody's name (RFC 6761).
    assert_eq!(refused(&mut machine, on("nobody.invalid")), K::Unavailable);
    for host in ["-oProxyCommand=touch x", "", "a b", "a;b", "user@host", "[::1]"] {
        assert_eq!(refused(&mut machine, on(host)), K::Invalid, "{host}");
    }
}
