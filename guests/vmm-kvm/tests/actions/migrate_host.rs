//! migrate to another host

use remotes_effect::libvirt::{Effect as E, Migration};
use remotes_effect::{Effect, Executor};
use remotes_sdk::testing::{Call, Host, Image, Machine, Simulation, State};
use remotes_sdk::types::Node;
use remotes_sdk::{Failure, FailureKind, Vmm};
use vmm_kvm::Kvm;

use crate::fixture::{UUID, host, runs};
use crate::migration::*;

/// How the machine was moved.
fn how(call: &Call<()>) -> Migration {
    let how = call.done.iter().find_map(|(effect, _)| match effect {
        Effect::Libvirt(E::Migrate { how, .. }) => Some(how.clone()),
        _ => None,
    });
    how.unwrap_or_else(|| panic!("not moved: {:?} {:?}", call.result, call.log()))
}

fn with_snapshots(simulation: Simulation) -> Simulation {
    let mut simulation = simulation;
    let images = [format!("{AT}/disk.0.snap/1")];
    for name in ["snap-0", "snap-1"] {
        let xml = format!(
            "<domainsnapshot><name>{name}</name><state>running</state><creationTime>7</creationTime></domainsnapshot>"
        );
        let effect = E::SnapshotRedefine { on: Node::Here, domain: UUID.into(), xml, current: name == "snap-0" };
        assert_eq!(simulation.execute(&Effect::Libvirt(effect)).failure(), None);
    }
    simulation.here(|machine| {
        images.iter().fold(machine, |machine, path| {
            let image = machine.files.file(path).unwrap().header();
            machine.image(path, Image { snapshots: vec!["snap-0".into(), "snap-1".into()], ..image })
        })
    })
}

fn snapshots(host: &Host, away: bool) -> (Vec<String>, Option<String>) {
    let simulation = host.simulation();
    let machine = if away { &simulation.hosts["node2"] } else { &simulation.here };
    let domain = machine.find(UUID).unwrap();
    (domain.snapshots.keys().cloned().collect(), domain.current_snapshot.clone())
}

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
    let peer = options("--p2p --tunnelled", "");
    assert!(peer.peer_to_peer && peer.tunnelled);
    let features = |inside: &str| format!("<FEATURES>{inside}</FEATURES>");
    let slow = options("", &features("<MIGRATE_AUTO_CONVERGE>20,10</MIGRATE_AUTO_CONVERGE>"));
    assert_eq!((slow.auto_converge_initial, slow.auto_converge_increment), (Some(20), Some(10)));
    let slow = options("", &features("<MIGRATE_AUTO_CONVERGE>30</MIGRATE_AUTO_CONVERGE>"));
    assert_eq!((slow.auto_converge, slow.auto_converge_initial, slow.auto_converge_increment), (true, Some(30), None));
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
fn with_storage_of_their_own_disks_move_too() {
    let host = host(apart());
    let before = trees(&host).0;
    let call = to_host(&host, "NO");
    let how = how(&call);
    assert!(how.paused);
    assert_eq!(how.disks, ["vda", "vdb"]);
    call.value();
    assert_eq!(states(&host), (None, Some(State::Running)));
    // All that was here is there; what is left here is the transfer driver's to remove.
    assert_eq!(trees(&host), (before.clone(), before));
    let simulation = host.simulation();
    let there = &simulation.hosts["node2"];
    assert_eq!(there.text(&format!("{AT}/disk.2")), Some("the guest's own data"));
    assert_eq!(there.text(&format!("{AT}/disk.1")), Some("context"));
    assert!(there.libvirt.guests.contains_key("one-1"));
}

#[test]
fn what_belongs_to_the_machine_goes_along() {
    let nvram = format!("{FOLDER}/vm & co_VARS.fd").replace('&', "&amp;");
    let with_nvram = |simulation: Simulation| {
        simulation.change_xml(|xml| xml.replace("hvm</type></os>", &format!("hvm</type><nvram>{nvram}</nvram></os>")))
    };
    let world = apart()
        .file(&format!("{AT}/vm & co_VARS.fd"), "boot entries")
        .file(&format!("{AT}/tpm/tpm2-00.permall"), "keys")
        .file(&format!("{AT}/checkpoint"), "stale")
        .file(&format!("{AT}/snap-0.xml"), "<domainsnapshot/>");
    let host = host(with_nvram(world));
    to_host(&host, "NO").value();
    let simulation = host.simulation();
    let there = &simulation.hosts["node2"];
    assert_eq!(there.text(&format!("{AT}/vm & co_VARS.fd")), Some("boot entries"));
    assert_eq!(there.text(&format!("{AT}/tpm/tpm2-00.permall")), Some("keys"));
    assert!(there.exists(&format!("{AT}/snap-0.xml")) && !there.exists(&format!("{AT}/checkpoint")));
}

trait ChangeXml {
    fn change_xml(self, change: impl Fn(&str) -> String) -> Self;
}

impl ChangeXml for Simulation {
    /// The same domain with another description.
    fn change_xml(self, change: impl Fn(&str) -> String) -> Self {
        let xml = change(&description());
        let mut simulation = self;
        let destroy = E::Destroy { on: Node::Here, domain: UUID.into() };
        simulation.execute(&Effect::Libvirt(destroy));
        simulation.domain(&xml, State::Running)
    }
}

/// Nor is one without a context.
#[test]
fn a_folder_without_descriptions_is_no_reason_to_fail() {
    let mut world = apart();
    for name in ["vm.xml", "ds.xml", "disk.1"] {
        let at = remotes_sdk::at(format!("{AT}/{name}"));
        let remove = remotes_effect::filesystem::Effect::Remove { at, recursive: false };
        world.execute(&Effect::Filesystem(remove));
    }
    let drive = format!("<source file='{FOLDER}/disk.1'/>");
    let host = host(world.change_xml(|xml| xml.replace(&drive, "")));
    to_host(&host, "NO").value();
    assert_eq!(states(&host), (None, Some(State::Running)));
}

/// What a transfer driver has brought of the machine's own files is renewed, and not taken away.
#[test]
fn copies_that_are_there_already_are_renewed() {
    let there =
        || Machine::new().checked_disks().file(&format!("{AT}/disk.1"), "old").file(&format!("{AT}/vm.xml"), "old");
    let host1 = host(apart().host("node2", there()));
    to_host(&host1, "NO").value();
    assert_eq!(host1.simulation().hosts["node2"].text(&format!("{AT}/disk.1")), Some("context"));
    let host2 = host(apart().host("node2", there()).failing("libvirt.migrate", 1, Failure::failed("no")));
    let before = trees(&host2).1.len();
    to_host(&host2, "NO").failure();
    assert_eq!(trees(&host2).1.len(), before);
}

/// A note in the machine's folder is no way to have others' files removed.
#[test]
fn a_note_that_was_tampered_with_removes_nothing() {
    let victim = "/var/lib/one/datastores/101/2/disk.0";
    let note = format!(
        "{{\"goal\":\"node2:{AT}\",\"made\":[\"{victim}\",\"/etc/passwd\"],\"folders\":[\"/var/lib/one/datastores/101/2\"]}}"
    );
    for note in [note.as_str(), "", "[]", "{\"goal\":7}", "\u{1}"] {
        let there = Machine::new().checked_disks().file(victim, "another machine's");
        let host = host(apart().file(&format!("{AT}/.migration"), note).host("node2", there));
        to_host(&host, "NO").value();
        assert_eq!(host.simulation().hosts["node2"].text(victim), Some("another machine's"));
    }
}

#[test]
fn links_lead_where_they_led() {
    // A disk of a shared image datastore, and one on LVM, which its transfer driver has prepared there.
    let policy = crate::fixture::POLICY.replace("[paths]\n", "[paths]\n\"/dev\" = \"rw\"\n");
    let image = "/var/lib/one/datastores/100/abc.snap/0";
    let disks = |xml: &str| {
        let more = format!(
            "<disk type='block' device='disk'><driver cache='none'/><source dev='{FOLDER}/disk.3'/><target dev='vdd'/></disk>\
             <disk type='file' device='cdrom'><source file='{FOLDER}/disk.4'/><target dev='sdc'/><readonly/></disk>\
             <disk type='file' device='disk'><driver type='qcow2' cache='none'/><source file='{image}'/><target dev='vde'/></disk>"
        );
        xml.replace("</devices>", &format!("{more}</devices>"))
    };
    let device =
        |machine: Machine| machine.entry("/dev/vg-one-101/lv-one-1-3", remotes_simulation::Entry::BlockDevice(1 << 20));
    let world = apart()
        .here(|machine| {
            device(machine)
                .link(&format!("{AT}/disk.3"), "/dev/vg-one-101/lv-one-1-3")
                .link(&format!("{AT}/disk.4"), "/var/lib/one/datastores/100/iso")
                .link(&format!("{AT}/disk.5"), image)
                .file("/var/lib/one/datastores/100/iso", "iso")
                .image(image, Image::new("qcow2", 1 << 20))
        })
        .host("node2", device(Machine::new().checked_disks().file("/var/lib/one/datastores/100/iso", "iso")))
        .shared("/var/lib/one/datastores/100");
    let host = Host::new(world.change_xml(disks), &policy);
    let call = to_host(&host, "NO");
    assert_eq!(how(&call).disks, ["vda", "vdb", "vdd"]);
    call.value();
    let simulation = host.simulation();
    let there = tree(&simulation.hosts["node2"], AT);
    for link in ["disk.3 -> /dev/vg-one-101/lv-one-1-3", "disk.4 -> /var/lib/one/datastores/100/iso"] {
        assert!(there.contains(&format!("{AT}/{link}")), "{there:#?}");
    }
    assert!(there.contains(&format!("{AT}/disk.5 -> {image}")), "{there:#?}");
}

#[test]
fn system_snapshots_keep_disks_from_moving_and_nothing_is_changed() {
    let host = host(with_snapshots(apart()));
    let before = trees(&host);
    let call = to_host(&host, "NO");
    assert_eq!(call.failure().kind, FailureKind::Unsupported);
    assert!(call.failure().message.contains("holds system snapshots (snap-0, snap-1)"), "{:?}", call.failure());
    assert!(call.done.iter().all(|(effect, _)| !effect.changes()));
    assert_eq!(trees(&host), before);
    assert_eq!(snapshots(&host, false).0, ["snap-0", "snap-1"]);
}

#[test]
fn every_phase_may_fail_and_leaves_no_trace() {
    let whole = host(apart());
    let call = to_host(&whole, "NO");
    let changing: Vec<_> =
        call.done.iter().filter(|(effect, _)| effect.changes()).map(|(effect, _)| effect.name()).collect();
    let mut seen = std::collections::BTreeMap::<&str, u64>::new();
    let migrated = changing.iter().position(|name| *name == "libvirt.migrate").unwrap();
    for name in &changing[..=migrated] {
        let nth = seen.entry(name).or_default();
        *nth += 1;
        let host = host(apart().failing(name, *nth, Failure::failed("it broke")));
        let before = trees(&host);
        let call = to_host(&host, "NO");
        assert_eq!(call.failure(), &Failure::failed(format!("Error migrating VM {UUID}: it broke")), "{name} {nth}");
        assert_eq!(trees(&host), before, "{name} {nth}");
        assert_eq!(states(&host), (Some(State::Running), None), "{name} {nth}");
        // What stood in the way is gone: it goes.
        to_host(&host, "NO").value();
        assert_eq!(trees(&host), trees(&whole), "{name} {nth}");
    }
    assert!(seen.len() >= 5, "{seen:?}");
}

#[test]
fn what_fails_after_the_move_is_no_failure_of_it() {
    let world = ["libvirt.snapshot-redefine", "libvirt.sync-time", "filesystem.remove"]
        .iter()
        .fold(apart(), |world, name| (1..4).fold(world, |world, nth| world.failing(name, nth, Failure::failed("no"))));
    let host1 = host(world);
    to_host(&host1, "NO").value();
    assert_eq!(states(&host1), (None, Some(State::Running)));

    // It cannot be had back, and its disks must not be taken from under it.
    let world = (1..=3).fold(apart(), |world, nth| world.failing("libvirt.resume", nth, Failure::failed("no")));
    let host2 = host(world);
    let call = to_host(&host2, "NO");
    assert!(
        call.log().iter().any(|line| line.starts_with("error") && line.contains("is paused there")),
        "{:?}",
        call.log()
    );
    call.value();
    assert_eq!(states(&host2), (None, Some(State::Paused)));
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
