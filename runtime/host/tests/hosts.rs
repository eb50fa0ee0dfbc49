//! Effects on another host, by way of a real ssh.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use remotes_effect::policy::{ArgumentPattern, LibvirtGrant, Pattern, Policy, ToolGrant};
use remotes_effect::types::{FailureKind as K, Node};
use remotes_effect::{Answer, filesystem, image, libvirt, tools, transfer};
use support::cloud::Cloud;
use support::{done, refused};

fn node() -> Node {
    Node::Host("node1".into())
}

#[test]
fn files() {
    use filesystem::{Answer as A, Effect as E};
    let Some(cloud) = Cloud::new() else { return };
    let mut machine = cloud.machine();
    let at = |path: &str| cloud.on("node1", path);
    done(&mut machine, E::MakeDirectory { at: at("there/a/b"), mode: 0o750 });
    done(&mut machine, E::Write { at: at("there/a/file"), content: b"content\xff".to_vec(), mode: 0o640 });
    done(&mut machine, E::Link { at: at("there/a/link"), target: "file".into() });
    done(&mut machine, E::Copy { source: at("there/a/link"), target: at("there/a/copy") });
    done(&mut machine, E::SetMode { at: at("there/a/copy"), mode: 0o600 });
    done(&mut machine, E::Rename { source: at("there/a/copy"), target: at("there/a/b/copy") });
    let mut ask = |effect| match done(&mut machine, effect) {
        Answer::Filesystem(answer) => answer,
        other => panic!("{other:?}"),
    };
    assert_eq!(ask(E::Read { at: at("there/a/b/copy") }), A::Read(Ok(b"content\xff".to_vec())));
    assert_eq!(ask(E::ReadLink { at: at("there/a/link") }), A::ReadLink(Ok("file".into())));
    let names = ["b", "file", "link"].map(str::to_owned).to_vec();
    assert_eq!(ask(E::Entries { at: at("there/a") }), A::Entries(Ok(names)));
    match ask(E::Stat { at: at("there/a/b/copy") }) {
        A::Stat(Ok(metadata)) => assert_eq!((metadata.size, metadata.mode), (8, 0o600)),
        other => panic!("{other:?}"),
    }
    assert_eq!(cloud.world.names("there/a/b"), ["copy"]);
    done(&mut machine, E::Remove { at: at("there/a"), recursive: true });
    assert!(cloud.world.names("there").is_empty());
    // The server there keeps the policy by itself; this machine's executor asks nothing.
    assert_eq!(refused(&mut machine, E::Read { at: at("remote/bin/remotes-action") }), K::Denied);
    assert_eq!(refused(&mut machine, E::Link { at: at("there/link"), target: "/etc/passwd".into() }), K::Denied);
}

#[test]
fn images() {
    use image::{Answer as A, Backing, Effect as E};
    let Some(cloud) = Cloud::new() else { return };
    let mut machine = cloud.machine();
    let at = |path: &str| cloud.on("node1", path);
    let size = Some(4 << 20);
    done(&mut machine, E::Create { at: at("there/base"), format: "qcow2".into(), size, based_on: None });
    let base = Backing { path: cloud.world.at("there/base"), format: "qcow2".into() };
    done(&mut machine, E::Create { at: at("there/top"), format: "qcow2".into(), size: None, based_on: Some(base) });
    let (source, target) = (at("there/top"), at("there/flat"));
    done(&mut machine, E::Convert { source, source_format: "qcow2".into(), target, format: "raw".into() });
    match done(&mut machine, E::Inspect { at: at("there/top") }) {
        Answer::Image(A::Inspect(Ok(info))) => {
            assert_eq!((info.virtual_size, info.backing_file), (4 << 20, Some(cloud.world.at("there/base"))));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(cloud.world.path.join("there/flat").metadata().unwrap().len(), 4 << 20);
}

#[test]
fn tools_are_those_of_the_hosts_tree() {
    use tools::{Answer as A, Effect as E};
    let Some(cloud) = Cloud::new() else { return };
    cloud.world.file("remote/vmm/tool", "#!/bin/sh\necho there \"$@\"\nexit 3\n");
    let program = cloud.world.path.join("remote/vmm/tool");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let tool = ToolGrant {
        path: "$REMOTES/vmm/tool".into(),
        sudo: false,
        arguments: vec![ArgumentPattern(vec![Pattern("a *".into())])],
    };
    let policy = Policy { tools: [("tool".to_owned(), tool)].into(), ..cloud.policy() };
    let mut machine = cloud.machine_for(policy, Duration::from_secs(120));
    let available = |on| E::Available { on, tool: "tool".into() };
    assert_eq!(done(&mut machine, available(node())), Answer::Tools(A::Available(Ok(true))));
    assert_eq!(done(&mut machine, available(Node::Here)), Answer::Tools(A::Available(Ok(false))));
    let run = |argument: &str| E::Run {
        on: node(),
        tool: "tool".into(),
        arguments: vec![argument.to_owned()],
        stdin: Vec::new(),
    };
    match done(&mut machine, run("a 'b; $c")) {
        Answer::Tools(A::Run(Ok(outcome))) => {
            assert_eq!((outcome.status, outcome.stdout.as_slice()), (3, &b"there a 'b; $c\n"[..]));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(refused(&mut machine, run("x")), K::Denied);
}

#[test]
fn the_hypervisor_is_that_of_the_hosts_own_kvmrc() {
    use libvirt::{Answer as A, Effect as E};
    let Some(cloud) = Cloud::new() else { return };
    cloud.program("effect_server", "remotes-libvirt");
    let log = cloud.world.path.join("there");
    cloud.world.file("remote/etc/vmm/kvm/kvmrc", format!("LIBVIRT_URI=fake:fine:{}\n", log.display()));
    cloud.world.file("local/etc/vmm/kvm/kvmrc", "LIBVIRT_URI=fake:never-ready:/nonexistent\n");
    let libvirt = LibvirtGrant {
        uris: vec![Pattern("fake:fine:/**".into())],
        domains: vec![Pattern("one-*".into())],
        ..LibvirtGrant::default()
    };
    let policy = Policy { libvirt: Some(libvirt), configuration: vec!["vmm/kvm/kvmrc".into()], ..cloud.policy() };
    let mut machine = cloud.machine_for(policy.clone(), Duration::from_secs(120));
    let xml = |on| E::Xml { on, domain: "one-5".into() };
    assert_eq!(done(&mut machine, xml(node())), Answer::Libvirt(A::Xml(Ok("<domain/>".into()))));
    assert!(cloud.world.text("there/log").contains("libvirt.xml"));
    assert_eq!(refused(&mut machine, E::Xml { on: node(), domain: "other".into() }), K::Denied);
    // Here it would be another daemon, which is not granted.
    assert_eq!(refused(&mut machine, xml(Node::Here)), K::Denied);
    // Neither is one there, when it is configured so.
    cloud.world.file("remote/etc/vmm/kvm/kvmrc", "LIBVIRT_URI=xen:///\n");
    let mut machine = cloud.machine_for(policy, Duration::from_secs(120));
    assert_eq!(refused(&mut machine, xml(node())), K::Denied);
}

#[test]
fn one_connection_serves_all_and_ends_with_the_machine() {
    let Some(cloud) = Cloud::new() else { return };
    let mut machine = cloud.machine();
    let stat = || filesystem::Effect::Stat { at: cloud.on("node1", "there") };
    for _ in 0..3 {
        done(&mut machine, stat());
    }
    let logins = || cloud.sshd.log().matches("Accepted publickey").count();
    assert_eq!(logins(), 1, "{}", cloud.sshd.log());
    done(&mut machine, filesystem::Effect::Stat { at: cloud.on("node2", "there") });
    assert_eq!(logins(), 2);
    drop(machine);
    cloud.settle();
}

#[test]
fn a_tree_that_is_elsewhere_is_the_policys() {
    let Some(cloud) = Cloud::new() else { return };
    let policy = Policy { remote_directory: Some(cloud.world.at("remote")), ..cloud.policy() };
    let surroundings = |policy| remotes_host::Surroundings {
        policy: std::sync::Arc::new(policy),
        tree: cloud.world.path.join("local"),
        deadline: remotes_effect::deadline::Deadline::after(Duration::from_secs(120)),
        libvirt_server: "/nonexistent".into(),
        log: Box::new(|_, _| {}),
    };
    let machine = |policy| remotes_host::Machine::new(surroundings(policy)).with_ssh_configuration(cloud.sshd.client());
    let stat = || filesystem::Effect::Stat { at: cloud.on("node1", "there") };
    done(&mut machine(policy.clone()), stat());
    let elsewhere = Policy { remote_directory: Some(cloud.world.at("nowhere")), ..policy };
    assert_eq!(refused(&mut machine(elsewhere), stat()), K::Unavailable);
}

#[test]
fn a_host_that_accepts_and_says_nothing_is_given_up_before_the_deadline() {
    let Some(cloud) = Cloud::new() else { return };
    let hole = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let config = format!("Host hole\nHostName 127.0.0.1\nPort {}\n", hole.local_addr().unwrap().port());
    cloud.world.file("ssh", config).file("here/file", "x");
    // Far longer than ssh is told to wait.
    let mut machine = cloud.machine_for(cloud.policy(), Duration::from_secs(3600));
    machine = machine.with_ssh_configuration(cloud.world.path.join("ssh"));
    assert_eq!(refused(&mut machine, filesystem::Effect::Stat { at: cloud.on("hole", "there") }), K::Unavailable);
    let (source, target) = (support::place(cloud.world.at("here/file")), cloud.on("hole", "there/file"));
    assert_eq!(refused(&mut machine, transfer::Effect::Copy { source, target }), K::Unavailable);
    // A deadline that comes first is kept.
    let mut machine = cloud.machine_for(cloud.policy(), Duration::from_millis(500));
    machine = machine.with_ssh_configuration(cloud.world.path.join("ssh"));
    assert_eq!(refused(&mut machine, filesystem::Effect::Stat { at: cloud.on("hole", "there") }), K::Timeout);
}

#[test]
fn a_host_that_falls_silent_is_given_up_before_the_deadline() {
    use filesystem::Effect as E;
    let Some(cloud) = Cloud::new() else { return };
    let mut machine = cloud.machine_for(cloud.policy(), Duration::from_secs(3600));
    done(&mut machine, E::Stat { at: cloud.on("node1", "there") });
    let sessions = cloud.stop_sessions();
    let effect = E::MakeDirectory { at: cloud.on("node1", "there/new"), mode: 0o755 };
    // It may have got as far as the host.
    assert_eq!(refused(&mut machine, effect), K::Unknown);
    assert!(!sessions.is_empty());
    for session in sessions {
        let _ = rustix::process::kill_process(session, rustix::process::Signal::KILL);
    }
    // The next one finds a new way.
    done(&mut machine, E::Stat { at: cloud.on("node1", "there") });
}
