//! migrate to another host

use remotes_effect::libvirt::{Effect as E, Migration};
use remotes_effect::{Effect, Executor};
use remotes_sdk::testing::{Call, Host, Machine, Simulation, State};
use remotes_sdk::types::Node;
use remotes_sdk::{Failure, FailureKind, Vmm};
use vmm_kvm::Kvm;

use crate::fixture::{UUID, host, runs};
use crate::migration::*;

#[test]
fn with_shared_storage_only_memory_moves() {
    let host = host(together().configuration("CLEANUP_MEMORY_ON_STOP", "yes").tool("sysctl"));
    let files = trees(&host).0;
    let call = to_host(&host, "yes");
    assert_eq!(
        call.names(),
        [
            "configuration.get",
            "configuration.get",
            "configuration.get",
            "locks.try-acquire",
            "libvirt.find",
            "libvirt.find",
            "libvirt.snapshots",
            "libvirt.migrate",
            "filesystem.entries",
            "configuration.get",
            "libvirt.sync-time",
            "configuration.get",
            "tools.available",
            "tools.run"
        ]
    );
    let how = how(&call);
    assert_eq!(how.uri, "qemu+ssh://node2/system");
    assert!(!how.paused && how.disks.is_empty() && !how.allow_unsafe);
    // The clock is set where the guest now is.
    let synced = call.done.iter().find(|(effect, _)| effect.name() == "libvirt.sync-time").unwrap();
    assert_eq!(synced.0.nodes(), [&Node::Host("node2".into())]);
    assert_eq!(call.log().iter().filter(|line| line.starts_with("error")).count(), 0);
    call.value();
    assert_eq!(states(&host), (None, Some(State::Running)));
    assert_eq!(trees(&host), (files.clone(), files));
    assert_eq!(runs(&host, "sysctl").len(), 1);
}

/// The first one runs on when oned or its ssh has gone. What it does would look like leftovers to a second one.
#[test]
fn one_migration_of_a_machine_at_a_time() {
    for (world, go) in [
        (together as fn() -> Simulation, (|host| to_host(host, "YES")) as fn(&Host) -> Call<()>),
        (apart, |host| to_host(host, "NO")),
        (apart, to_datastore),
    ] {
        let held = |world: Simulation, name: &str| {
            world.here(|mut machine| {
                machine.network.locked.insert(name.to_owned());
                machine
            })
        };
        let host1 = host(held(world(), "migrate-1"));
        let call = go(&host1);
        assert_eq!(call.failure().kind, FailureKind::Busy);
        let says = format!("Error migrating VM {UUID}: a migration of this machine still runs");
        assert!(call.failure().message.starts_with(&says), "{:?}", call.failure());
        // Nor has it looked at anything.
        let mut names = call.names();
        names.retain(|name| *name != "configuration.get");
        assert_eq!(names, ["locks.try-acquire"]);
        let host2 = host(held(world(), "migrate-11"));
        go(&host2).value();
        assert_eq!(host2.simulation().here.network.locks, ["migrate-1"]);
    }
}

#[test]
fn snapshots_are_known_where_the_machine_is() {
    let host1 = host(with_snapshots(together()));
    to_host(&host1, "YES").value();
    assert_eq!(snapshots(&host1, true), (vec!["snap-0".into(), "snap-1".into()], Some("snap-0".into())));

    let world = with_snapshots(together()).failing("libvirt.migrate", 1, Failure::failed("operation aborted"));
    let host2 = host(world);
    to_host(&host2, "YES").failure();
    assert_eq!(snapshots(&host2, false), (vec!["snap-0".into(), "snap-1".into()], Some("snap-0".into())));

    // What cannot be forgotten as a whole is not forgotten at all.
    let world = with_snapshots(together()).failing("libvirt.snapshot-delete", 2, Failure::failed("no"));
    let host3 = host(world);
    assert_eq!(to_host(&host3, "YES").failure().message, format!("Error migrating VM {UUID}: no"));
    assert_eq!(snapshots(&host3, false).0, ["snap-0", "snap-1"]);
    assert_eq!(states(&host3), (Some(State::Running), None));
}

#[test]
fn kvmrc_and_the_template_say_how() {
    let options = |text: &str, template: &str| {
        let host = host(together().configuration("MIGRATE_OPTIONS", text));
        how(&migrate(&host, FOLDER, "node2", "YES", template))
    };
    let plain = options("", "");
    assert_eq!(
        options(
            "--live --unsafe --verbose --compressed --bandwidth=100 --parallel --tls --postcopy --abort-on-error \
             --listen-address '10.0.0.2' --auto-converge-initial 20",
            ""
        ),
        Migration {
            allow_unsafe: true,
            compressed: true,
            bandwidth: Some(100),
            parallel_connections: Some(2),
            tls: true,
            post_copy: true,
            abort_on_error: true,
            listen_address: Some("10.0.0.2".into()),
            auto_converge: true,
            auto_converge_initial: Some(20),
            ..plain.clone()
        }
    );
    assert_eq!(options("--parallel-connections 4 --parallel", "").parallel_connections, Some(4));
    assert_eq!(
        options("--timeout 60 --comp-methods=xbzrle --disks-port 49200 --postcopy --postcopy-bandwidth 50", ""),
        Migration {
            suspend_after: Some(60),
            compressed: true,
            compression: Some("xbzrle".into()),
            disks_port: Some(49200),
            post_copy: true,
            post_copy_bandwidth: Some(50),
            ..plain.clone()
        }
    );
    assert_eq!(options("--timeout-suspend --timeout 9", "").suspend_after, Some(9));
    let follows = options("--postcopy --timeout-postcopy --timeout 9", "");
    assert_eq!((follows.suspend_after, follows.post_copy_after), (None, Some(9)));
    let peer = options("--p2p --tunnelled", "");
    assert!(peer.peer_to_peer && peer.tunnelled);
    let features = |inside: &str| format!("<FEATURES>{inside}</FEATURES>");
    let slow = options("", &features("<MIGRATE_AUTO_CONVERGE>20,10</MIGRATE_AUTO_CONVERGE>"));
    assert_eq!((slow.auto_converge_initial, slow.auto_converge_increment), (Some(20), Some(10)));
    let slow = options("", &features("<MIGRATE_AUTO_CONVERGE>30</MIGRATE_AUTO_CONVERGE>"));
    assert_eq!((slow.auto_converge, slow.auto_converge_initial, slow.auto_converge_increment), (true, Some(30), None));
    for (text, expected) in
        [("20,", (true, Some(20), None)), (" 20 , 10 , 5", (true, Some(20), Some(10))), (" ", (false, None, None))]
    {
        let slow = options("", &features(&format!("<MIGRATE_AUTO_CONVERGE>{text}</MIGRATE_AUTO_CONVERGE>")));
        let found = (slow.auto_converge, slow.auto_converge_initial, slow.auto_converge_increment);
        assert_eq!(found, expected, "{text:?}");
    }
    assert!(options("", &features("<MIGRATE_COMPRESSED>YES</MIGRATE_COMPRESSED>")).compressed);
    assert!(!options("", &features("<MIGRATE_COMPRESSED>NO</MIGRATE_COMPRESSED>")).compressed);
}

#[test]
fn an_option_that_is_not_known_is_refused_before_anything_happens() {
    for (text, says) in [
        ("--zerocopy", "--zerocopy is not known"),
        ("--unsafe --suspend", "--suspend is the driver's to decide"),
        ("--copy-storage-all", "--copy-storage-all is the driver's to decide"),
        ("--bandwidth fast", "bandwidth: \"fast\" is no whole number"),
        ("--bandwidth", "--bandwidth wants a value"),
        ("--unsafe=1", "--unsafe takes no value"),
        ("--timeout soon", "timeout: \"soon\" is no whole number"),
        ("--timeout 9 --timeout-postcopy", "--timeout-postcopy wants --postcopy"),
        ("--comp-methods mt,xbzrle", "\"mt,xbzrle\" is not the name of one method"),
        ("--disks-port 65536", "disks-port: \"65536\" is no whole number"),
        ("unsafe", "\"unsafe\" is no option"),
        ("'", "missing closing quote"),
    ] {
        let host = host(together().configuration("MIGRATE_OPTIONS", text));
        let call = to_host(&host, "YES");
        let message = &call.failure().message;
        assert!(message.starts_with(&format!("Error migrating VM {UUID}: MIGRATE_OPTIONS: ")), "{message}");
        assert!(message.contains(says), "{message}");
        assert!(call.names().iter().all(|name| *name == "configuration.get"), "{:?}", call.names());
    }
    let features = "<FEATURES><MIGRATE_AUTO_CONVERGE>much</MIGRATE_AUTO_CONVERGE></FEATURES>";
    let call = migrate(&host(together()), FOLDER, "node2", "YES", features);
    assert!(call.failure().message.contains("MIGRATE_AUTO_CONVERGE: \"much\""), "{:?}", call.failure());
}

#[test]
fn what_is_unsafe_is_permitted_in_the_operators_words() {
    let refused = Failure::denied("Unsafe migration: x; `allow-unsafe` would permit it");
    let call = to_host(&host(together().failing("libvirt.migrate", 1, refused)), "YES");
    let message = &call.failure().message;
    assert!(message.ends_with("; `--unsafe` in MIGRATE_OPTIONS of kvmrc would permit it"), "{message}");
}

#[test]
fn hosts_are_named_as_they_may_be() {
    for (name, uri) in [("node2", "qemu+ssh://node2/system"), ("fd00::2", "qemu+ssh://[fd00::2]/system")] {
        let host = host(together().host(name, Machine::new().checked_disks()));
        assert_eq!(how(&migrate(&host, FOLDER, name, "YES", "")).uri, uri);
    }
    for name in ["", "-oProxyCommand=x", "a/b", "a b", "a?command=x", "a#b", "u@a"] {
        let call = migrate(&host(together()), FOLDER, name, "YES", "");
        assert_eq!(call.failure().kind, FailureKind::Invalid, "{name}");
        assert_eq!(call.count("libvirt.migrate"), 0);
    }
    let call = to_host(&host(together().configuration("QEMU_PROTOCOL", "qemu+tcp")), "YES");
    assert_eq!(call.failure().kind, FailureKind::Denied);
    assert!(call.log().is_empty() && call.failure().message.contains("migration-targets"), "{:?}", call.failure());
}

#[test]
fn what_cannot_be_moved_so_is_refused() {
    let host1 = host(together());
    let call = migrate(&host1, FOLDER, "node1", "YES", "");
    assert_eq!(call.failure(), &Failure::unsupported("Unsupported migration type"));
    let call = migrate(&host1, "/var/lib/one//datastores/102/1", "node2", "YES", "");
    assert!(call.failure().message.contains("at once"), "{:?}", call.failure());
    let call = host1.call(|| Kvm::migrate(UUID.into(), "node2".into(), "node1".into(), 1, "<VM/>".into()));
    assert_eq!(call.failure().kind, FailureKind::Invalid);
    let call = host1.call(|| Kvm::migrate(UUID.into(), "node2".into(), "node1".into(), 1, data("YES", "x", "")));
    assert!(call.failure().message.contains("DISK_TARGET_PATH is missing"), "{:?}", call.failure());
    let call = migrate(&host1, FOLDER, "node3", "YES", "");
    assert_eq!(call.failure().kind, FailureKind::Unavailable);
    assert_eq!(states(&host1), (Some(State::Running), None));
    let nobody = host(crate::fixture::empty().host("node2", Machine::new()));
    assert_eq!(to_host(&nobody, "YES").failure().kind, FailureKind::NotFound);
}

#[test]
fn an_active_block_job_is_waited_for_as_often_as_configured() {
    for (value, tries) in [("", 3), ("0", 3), ("2", 2)] {
        let busy = || Failure::failed("domain has active block job");
        let world = (1..=5).fold(together(), |world, nth| world.failing("libvirt.migrate", nth, busy()));
        let call = to_host(&host(world.configuration("VIRSH_TRIES", value)), "YES");
        assert_eq!((call.count("libvirt.migrate"), call.paused()), (tries, (tries as u64 - 1) * 5000));
        call.failure();
    }
    let world = together().failing("libvirt.migrate", 1, Failure::busy("domain has active block job"));
    to_host(&host(world), "YES").value();
}

#[test]
fn a_paused_machine_stays_paused() {
    let paused = |world: Simulation| {
        let mut world = world;
        world.execute(&Effect::Libvirt(E::Suspend { on: Node::Here, domain: UUID.into() }));
        host(world)
    };
    for (host, shared) in [(paused(apart()), "NO"), (paused(together()), "YES")] {
        let call = to_host(&host, shared);
        assert_eq!(call.count("libvirt.resume"), 0);
        call.value();
        assert_eq!(states(&host), (None, Some(State::Paused)));
    }
}

#[test]
fn an_answer_that_is_lost_is_looked_up() {
    for (world, shared) in [(apart(), "NO"), (together(), "YES")] {
        for failure in [Failure::unknown("the connection was lost"), Failure::timeout("it took too long")] {
            let host = host(world.clone().losing("libvirt.migrate", 1, failure));
            let call = to_host(&host, shared);
            assert_eq!(call.count("libvirt.abort-job"), 1);
            call.value();
            assert_eq!(states(&host), (None, Some(State::Running)));
        }
    }
}

/// A domain of this state on the other host, too.
fn doubled(world: Simulation, here: State, there: State) -> Simulation {
    let xml = description();
    let mut world = world;
    world.execute(&Effect::Libvirt(E::Destroy { on: Node::Here, domain: UUID.into() }));
    let node2 = world.hosts.remove("node2").unwrap();
    world.domain(&xml, here).host("node2", node2.domain(&xml, there))
}

#[test]
fn a_machine_on_both_hosts_is_where_its_processors_run() {
    for (here, there, ends) in [
        // It waited there for the rest of its memory: it is moved anew.
        (State::Running, State::Paused, (None, Some(State::Running))),
        // It had gone on there.
        (State::Paused, State::Running, (None, Some(State::Running))),
        // Nobody can tell.
        (State::Running, State::Running, (Some(State::Running), Some(State::Running))),
        (State::Paused, State::Paused, (Some(State::Paused), Some(State::Paused))),
    ] {
        let host = host(doubled(together(), here, there));
        let call = to_host(&host, "YES");
        assert_eq!(states(&host), ends, "{here:?} {there:?}");
        match ends.0 {
            None => call.value(),
            Some(_) => {
                assert!(call.failure().message.contains("nothing was touched"), "{:?}", call.failure());
                assert_eq!(call.count("libvirt.destroy"), 0);
            }
        }
    }
}

/// With post-copy the machine goes on there before all of its memory has come; what is left here must not be ended.
#[test]
fn a_machine_whose_memory_still_comes_from_here_is_left_alone() {
    let postcopy = Failure::failed("Requested operation is not valid: cannot abort migration in post-copy mode");
    let world = doubled(together(), State::Paused, State::Running);
    let host = host((1..=2).fold(world, |world, nth| world.failing("libvirt.abort-job", nth, postcopy.clone())));
    let call = to_host(&host, "YES");
    assert_eq!(call.failure().kind, FailureKind::Busy);
    assert!(call.failure().message.contains("may still come from this host"), "{:?}", call.failure());
    assert_eq!(call.count("libvirt.destroy"), 0);
    assert_eq!(states(&host), (Some(State::Paused), Some(State::Running)));
    // When it has come, the repeat ends it.
    to_host(&host, "YES").value();
    assert_eq!(states(&host), (None, Some(State::Running)));
}

#[test]
fn the_front_end_moves_it_alike() {
    for (shared, world) in [("YES", together()), ("NO", apart())] {
        let mut world = world;
        let here = std::mem::take(&mut world.here);
        let folders = world.shared.clone();
        let mut world = world.host("node1", here).configuration("CLEANUP_MEMORY_ON_START", "yes");
        world.here = Machine::new();
        if !folders.is_empty() {
            // The front-end sees them as well.
            world.here.files = world.hosts["node1"].files.clone();
        }
        world.hosts.get_mut("node2").unwrap().tools.0.entry("sysctl".into()).or_default();
        let host = host(world);
        let data = data(shared, FOLDER, "");
        let call = host.call(|| Kvm::migrate_local(UUID.into(), "node2".into(), "node1".into(), 1, data));
        call.value();
        let simulation = host.simulation();
        assert!(simulation.hosts["node1"].find(UUID).is_none());
        assert_eq!(simulation.hosts["node2"].find(UUID).unwrap().state, State::Running);
        assert_eq!(simulation.hosts["node2"].tools.0["sysctl"].runs.len(), 1);
    }
}
