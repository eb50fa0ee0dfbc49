//! Machines and disks that move, links and copies, shared folders: what libvirt 9 answers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::virt::*;
use common::*;
use remotes_effect::libvirt::{Bandwidth, BlockProgress, CopyTarget, Migration, State};
use remotes_effect::types::FailureKind::{self, *};
use remotes_effect::types::{Failure, Node, Place};
use remotes_effect::{Answer, Effect, Executor, transfer};
use remotes_simulation::{Agent, Copying, Guest, Image, Machine, Plan, Reaction, Simulation, describe};

const DISK: &str = "/var/lib/one/datastores/0/5/disk.0";
const CONTEXT: &str = "/var/lib/one/datastores/0/5/disk.1";

#[track_caller]
fn says<T: std::fmt::Debug>(result: Result<T, Failure>, kind: FailureKind, message: &str) {
    assert_eq!(refused(result), (kind, message.to_owned()));
}

fn files(machine: Machine) -> Machine {
    machine.checked_disks().image(DISK, Image::new("qcow2", 1 << 20)).file(CONTEXT, "context")
}

fn world() -> Simulation {
    Simulation::new()
        .here(files)
        .domain(&one_5(), State::Running)
        .guest("one-5", Guest { unplug: Reaction::AfterSeconds(4), ..Guest::default() })
        .host("b", files(Machine::new()))
}

fn to(host: &str) -> Migration {
    migration(format!("qemu+ssh://root@{host}:22/system"), false, true)
}

#[test]
fn a_machine_moves_with_its_memory() {
    let mut world = world();
    reboot(&mut world, UUID).unwrap();
    migrate(&mut world, UUID, &to("b")).unwrap();
    assert!(world.here.find(UUID).is_none() && !world.here.libvirt.guests.contains_key("one-5"));
    let there = world.hosts["b"].find("one-5").unwrap();
    assert_eq!((there.state, there.reboots, &*there.uuid), (State::Running, 1, UUID));
    assert_eq!(world.hosts["b"].libvirt.guests["one-5"].unplug, Reaction::AfterSeconds(4));
    // It is not here any more.
    says(migrate(&mut world, "one-5", &to("b")), NotFound, "Domain not found: no domain with matching name 'one-5'");
}

#[test]
fn a_machine_arrives_paused_where_asked() {
    let mut world = world();
    migrate(&mut world, UUID, &Migration { paused: true, ..to("b") }).unwrap();
    assert_eq!(world.hosts["b"].find(UUID).unwrap().state, State::Paused);
}

#[test]
fn what_cannot_move_stays() {
    let unsafe_ = "Unsafe migration: Migration without shared storage is unsafe";
    says(migrate(&mut world(), UUID, &Migration { allow_unsafe: false, ..to("b") }), Failed, unsafe_);
    // The files are shared, and their caches are safe.
    let mut shared = world().shared("/var/lib/one/datastores");
    migrate(&mut shared, UUID, &Migration { allow_unsafe: false, ..to("b") }).unwrap();
    assert_eq!(refused(migrate(&mut world(), UUID, &to("nobody"))).0, Unavailable);
    let same = format!("internal error: Attempt to migrate guest to the same host {UUID}");
    says(migrate(&mut world(), UUID, &to("localhost")), Failed, &same);
    let there = "Requested operation is not valid: domain 'one-5' is already active";
    let mut twice = world().host("b", files(Machine::new()).domain(&one_5(), State::Running));
    says(migrate(&mut twice, UUID, &to("b")), Exists, there);
    let mut missing = world().host("b", Machine::new().checked_disks());
    let nothing = "Cannot access storage file '/var/lib/one//datastores/0/5/disk.0': No such file or directory";
    says(migrate(&mut missing, UUID, &to("b")), Failed, nothing);
    let along = Migration { disks: vec!["vda".into()], ..to("b") };
    let pool = "Storage pool not found: no storage pool with matching target path '/var/lib/one//datastores/0/5'";
    says(migrate(&mut missing, UUID, &along), Failed, pool);
    let unknown = Migration { disks: vec!["vdz".into()], ..to("b") };
    says(migrate(&mut world(), UUID, &unknown), Invalid, "invalid argument: disk name 'vdz' not found");
    let tunnelled = "Requested operation is not valid: cannot perform tunnelled migration without using peer2peer flag";
    says(migrate(&mut world(), UUID, &Migration { tunnelled: true, ..to("b") }), Failed, tunnelled);
    let mut snapshotted = world();
    snapshot_create(&mut snapshotted, UUID, "<domainsnapshot><name>s</name></domainsnapshot>").unwrap();
    let one = "Requested operation is not valid: cannot migrate domain with 1 snapshots";
    says(migrate(&mut snapshotted, UUID, &to("b")), Failed, one);
    let hostdev = one_5().replace("<interface", "<hostdev type='pci'/><interface");
    let mut passed_through = Simulation::new().domain(&hostdev, State::Running).host("b", Machine::new());
    let cannot = "Requested operation is not valid: cannot migrate a domain with <hostdev mode='subsystem' type='pci'>";
    says(migrate(&mut passed_through, UUID, &to("b")), Failed, cannot);
    abort_job(&mut world(), UUID).unwrap();
}

#[test]
fn content_goes_along_where_asked() {
    let raw = one_5().replace("type='qcow2' cache", "type='raw' cache");
    let mut world = Simulation::new()
        .file(DISK, "data")
        .file(CONTEXT, "context")
        .domain(&raw, State::Running)
        .host("b", Machine::new().checked_disks().file(DISK, "....").file(CONTEXT, "context"));
    migrate(&mut world, UUID, &Migration { disks: vec!["vda".into()], ..to("b") }).unwrap();
    assert_eq!(world.hosts["b"].text(DISK), Some("data"));
}

fn target(path: &str) -> CopyTarget {
    CopyTarget { path: path.to_owned(), format: "qcow2".to_owned(), block: false }
}

#[test]
fn a_disk_is_copied_under_the_machine() {
    let mut world = world().here(|machine| machine.image("/new", Image::new("qcow2", 1 << 20)));
    let missing = "missing destination file for disk vda: /nope: No such file or directory";
    says(block_copy(&mut world, UUID, "vda", target("/nope"), false), Failed, missing);
    says(
        block_copy(&mut world, UUID, "vdz", target("/new"), false),
        Invalid,
        "invalid argument: disk 'vdz' not found in domain",
    );
    assert_eq!(block_job(&mut world, UUID, "vda").unwrap(), None);
    block_copy(&mut world, UUID, "vda", target("/new"), false).unwrap();
    let twice = "Operation not supported: disk 'vda' already in active block job";
    says(block_copy(&mut world, UUID, "vda", target("/new"), false), Unsupported, twice);
    let busy = "Requested operation is not valid: domain has active block job";
    says(migrate(&mut world, UUID, &to("b")), Busy, busy);
    says(save(&mut world, UUID, "/save"), Busy, busy);
    let early = "block copy still active: disk 'vda' not ready for pivot yet";
    says(end_block_job(&mut world, UUID, "vda", true), Busy, early);
    let mut seen = Vec::new();
    while !block_job(&mut world, UUID, "vda").unwrap().inspect(|job| seen.push(*job)).unwrap().ready {}
    assert_eq!(seen.len(), 4);
    assert!(seen.iter().all(|BlockProgress { done, total, ready }| *ready == (done == total)));
    end_block_job(&mut world, UUID, "vda", true).unwrap();
    assert!(xml(&mut world, UUID).unwrap().contains("<source file='/new'/>"));
    let none = "invalid argument: disk vda does not have an active block job";
    says(end_block_job(&mut world, UUID, "vda", false), Busy, none);
}

#[test]
fn copies_break_fall_behind_and_are_given_up() {
    let copied = |copying| {
        let mut world = world().here(|mut machine| {
            machine.libvirt.copying = copying;
            machine.image("/new", Image::new("qcow2", 1 << 20))
        });
        block_copy(&mut world, UUID, "vda", target("/new"), false).unwrap();
        world
    };
    let mut broken = copied(Copying::Breaks(1));
    assert!(block_job(&mut broken, UUID, "vda").unwrap().is_some());
    assert_eq!(block_job(&mut broken, UUID, "vda").unwrap(), None);
    let mut behind = copied(Copying::FallsBehind);
    assert!((0..100).all(|_| !block_job(&mut behind, UUID, "vda").unwrap().unwrap().ready));
    end_block_job(&mut behind, UUID, "vda", false).unwrap();
    assert!(xml(&mut behind, UUID).unwrap().contains("disk.0'/>"));
}

#[test]
fn a_device_is_unplugged_when_the_guest_has_let_go() {
    let mut world = world();
    let before = world.clock.milliseconds;
    assert!(unplug(&mut world, UUID, "virtio-disk0", 30).unwrap());
    assert_eq!(world.clock.milliseconds - before, 4000);
    let none = "device not found: no device found with alias virtio-disk0";
    says(unplug(&mut world, UUID, "virtio-disk0", 30), NotFound, none);
    // It takes longer than anybody waits; then it has.
    assert!(!unplug(&mut world, UUID, "net0", 1).unwrap());
    sleep(&mut world, 3000);
    assert!(!xml(&mut world, UUID).unwrap().contains("<interface"));
    let cd = "Operation not supported: disk device type 'cdrom' cannot be detached";
    says(unplug(&mut world, UUID, "sata0", 1), Unsupported, cd);
    let mut stubborn = world.guest("one-5", Guest { unplug: Reaction::Ignores, ..Guest::default() });
    assert!(!unplug(&mut stubborn, UUID, "channel0", 60).unwrap());
}

#[test]
fn file_systems_are_frozen_by_the_agent() {
    let answers = ["guest-fsfreeze-freeze", "guest-fsfreeze-freeze-list", "guest-fsfreeze-thaw"];
    let agent = Agent::answering(answers.into_iter().zip([3.into(), 1.into(), 4.into()]));
    let mut talking = world().guest("one-5", Guest { agent, ..Guest::default() });
    assert_eq!(freeze(&mut talking, UUID, vec![]).unwrap(), 3);
    assert_eq!(freeze(&mut talking, UUID, vec!["/".into()]).unwrap(), 1);
    assert_eq!(thaw(&mut talking, UUID, vec![]).unwrap(), 4);
    assert_eq!(refused(freeze(&mut world(), UUID, vec![])).0, Unavailable);
}

#[test]
fn checkpoints_come_and_go() {
    let mut world = world();
    let named = |name: &str| format!("<domaincheckpoint><name>{name}</name></domaincheckpoint>");
    for name in ["a", "b"] {
        assert_eq!(checkpoint_create(&mut world, UUID, &named(name), false).unwrap(), name);
    }
    says(
        checkpoint_create(&mut world, UUID, &named("a"), false),
        Exists,
        "operation failed: domain moment a already exists",
    );
    assert_eq!(checkpoints(&mut world, UUID).unwrap(), ["a", "b"]);
    let xml = checkpoint_xml(&mut world, UUID, "b").unwrap();
    assert!(xml.contains("<parent><name>a</name></parent>") && xml.contains("<disk name='vda'"), "{xml}");
    checkpoint_delete(&mut world, UUID, "b", true).unwrap();
    checkpoint_create(&mut world, UUID, &xml, true).unwrap();
    checkpoint_delete(&mut world, UUID, "a", false).unwrap();
    assert!(!checkpoint_xml(&mut world, UUID, "b").unwrap().contains("<parent>"));
    let absent = "Domain checkpoint not found: no domain checkpoint with matching name 'a'";
    says(checkpoint_xml(&mut world, UUID, "a"), NotFound, absent);
    let raw = "<domaincheckpoint><disks><disk name='sda'/></disks></domaincheckpoint>";
    says(
        checkpoint_create(&mut world, UUID, raw, false),
        Unsupported,
        "unsupported configuration: checkpoint for disk sda unsupported for storage type raw",
    );
    // Where the definition goes, those with children must have gone.
    checkpoint_create(&mut world, UUID, &named("c"), false).unwrap();
    let definition = self::xml(&mut world, UUID).unwrap();
    define(&mut world, &definition).unwrap();
    destroy(&mut world, UUID).unwrap();
    let message = "Requested operation is not valid: cannot delete inactive domain with 1 checkpoints";
    says(undefine(&mut world, UUID), Failed, message);
    checkpoint_delete(&mut world, UUID, "b", true).unwrap();
    undefine(&mut world, UUID).unwrap();
}

#[test]
fn limits_of_an_interface_are_kept() {
    let named = one_5().replace("<model type='virtio'/>", "<target dev='one-5-0'/>");
    let mut world = Simulation::new().domain(&named, State::Running);
    let limit = |average, peak| Some(Bandwidth { average, peak, burst: 0 });
    set_bandwidth(&mut world, UUID, "one-5-0", limit(100, 200), None).unwrap();
    set_bandwidth(&mut world, UUID, "one-5-0", None, limit(50, 0)).unwrap();
    let both = "<bandwidth><inbound average='100' peak='200'/><outbound average='50'/></bandwidth>";
    assert!(xml(&mut world, UUID).unwrap().contains(both));
    set_bandwidth(&mut world, UUID, "one-5-0", limit(0, 0), limit(0, 0)).unwrap();
    assert!(!xml(&mut world, UUID).unwrap().contains("bandwidth"));
    assert_eq!(refused(set_bandwidth(&mut world, UUID, "one-5-1", limit(1, 0), None)).0, Invalid);
}

fn place(on: Node, path: &str) -> Place {
    Place { on, path: path.to_owned() }
}

fn copy<E: Executor>(executor: &mut E, source: &str, target: &str, there: bool) -> Result<u64, Failure> {
    let on = if there { Node::Host("b".into()) } else { Node::Here };
    let effect = transfer::Effect::Copy { source: here(source), target: place(on, target) };
    match executor.execute(&Effect::Transfer(effect)) {
        Answer::Transfer(transfer::Answer::Copy(result)) => result,
        other => panic!("answered {other:?}"),
    }
}

#[test]
fn files_and_folders_go_from_place_to_place() {
    let mut world = Simulation::new()
        .file("/ds/a/1", "one")
        .file("/ds/a/in/2", "two!")
        .link("/ds/a/self", ".")
        .link("/ds/l", "a/1")
        .host("b", Machine::new().file("/ds/c/old", "stays").file("/ds/c/1", "goes"));
    assert_eq!(copy(&mut world, "/ds/a", "/ds/c", true).unwrap(), 7);
    let there = &world.hosts["b"];
    assert_eq!(
        (there.text("/ds/c/1"), there.text("/ds/c/in/2"), there.text("/ds/c/old")),
        (Some("one"), Some("two!"), Some("stays"))
    );
    // What a link leads to is copied; a link in a folder is one.
    assert_eq!(copy(&mut world, "/ds/l", "/ds/f", false).unwrap(), 3);
    assert_eq!(world.here.text("/ds/f"), Some("one"));
    assert_eq!(copy(&mut world, "/ds/l", "/ds/a/1", false).unwrap(), 3);
    for (source, target) in [("/ds/a", "/ds/a/in/x"), ("/ds/a", "/ds/f")] {
        assert!(matches!(refused(copy(&mut world, source, target, false)).0, Invalid | Exists), "{source} {target}");
    }
    assert_eq!(refused(copy(&mut world, "/ds/nothing", "/ds/x", false)).0, NotFound);
}

#[test]
fn no_copied_link_leads_out_of_what_is_granted() {
    let policy = "schema = 1\n[paths]\n\"/ds\" = \"rw\"\n";
    let policy = remotes_effect::policy::Policy::parse(policy, std::path::Path::new("policy.toml")).unwrap();
    for target in ["/etc/passwd", "../etc", ""] {
        let mut world = Simulation::new().file("/ds/a/1", "one").link("/ds/a/x", target).policy(policy.clone());
        let before = world.here.clone();
        assert!(matches!(refused(copy(&mut world, "/ds/a", "/ds/c", false)).0, Denied | Invalid), "{target}");
        assert_eq!(world.here, before);
    }
    let mut world = Simulation::new().link("/ds/a/x", "/ds/other").link("/ds/a/y", "1").policy(policy);
    copy(&mut world, "/ds/a", "/ds/c", false).unwrap();
}

#[test]
fn a_shared_folder_is_one_folder() {
    let mut world = Simulation::new().file("/ds/a", "1").host("b", Machine::new()).shared("/ds");
    copy(&mut world, "/ds/a", "/ds/b", true).unwrap();
    assert_eq!(world.here.text("/ds/b"), Some("1"));
    fs::remove(&mut world, "/ds/a", false).unwrap();
    assert!(!world.hosts["b"].exists("/ds/a") && world.hosts["b"].exists("/ds/b"));
}

#[test]
fn a_plan_lists_the_steps_of_a_move_and_takes_none() {
    let mut world = world().host("b", Machine::new().directory("/var/lib/one/datastores"));
    let before = (world.here.clone(), world.hosts.clone());
    let mut plan = Plan::new(&mut world);
    let folder = "/var/lib/one/datastores/0/5";
    copy(&mut plan, folder, folder, true).unwrap();
    let along = Migration { paused: true, disks: vec!["vda".into()], ..to("b") };
    migrate(&mut plan, UUID, &along).unwrap();
    assert_eq!(refused(find(&mut plan, UUID)).0, NotFound);
    let steps: Vec<_> = plan.steps().iter().map(describe).collect();
    assert_eq!(
        steps,
        [
            "transfer.copy /var/lib/one/datastores/0/5 to /var/lib/one/datastores/0/5, from here to b",
            &format!("libvirt.migrate {UUID} to qemu+ssh://root@b:22/system with vda"),
        ]
    );
    assert_eq!((world.here, world.hosts), before);
}
