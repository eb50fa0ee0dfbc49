//! A plan changes nothing, sees what it would have done, and comes to its end.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::Duration;

use common::virt::*;
use common::*;
use remotes_effect::libvirt::{Scope, State};
use remotes_effect::types::FailureKind::*;
use remotes_effect::{Answer, Effect, Executor};
use remotes_simulation::{Guest, Image, Plan, Reaction, Simulation, describe};

const DIRECTORY: &str = "/var/lib/one/datastores/0/5";

/// A world that says so when somebody tries to change it.
struct Watched {
    world: Simulation,
    changes: Vec<&'static str>,
}

impl Executor for Watched {
    fn execute(&mut self, effect: &Effect) -> Answer {
        if effect.changes() {
            self.changes.push(effect.name());
        }
        self.world.execute(effect)
    }
}

fn at(name: &str) -> String {
    format!("{DIRECTORY}/{name}")
}

fn world() -> Simulation {
    Simulation::new()
        .file(&at("disk.0"), "data")
        .file(&at("deployment.0"), "<old/>")
        .link(&at("link"), "disk.0")
        .domain(&one_5(), State::Running)
        // A plan does not wait for the guest.
        .guest("one-5", Guest { power_button: Reaction::Ignores, ..Guest::default() })
        .configuration("SHUTDOWN_TIMEOUT", "3")
}

/// Runs an action in a plan; returns what it listed. The world must be as before.
#[track_caller]
fn planned(world: Simulation, action: impl FnOnce(&mut Plan<&mut Watched>)) -> Vec<String> {
    let (here, hosts) = (world.here.clone(), world.hosts.clone());
    let mut watched = Watched { world, changes: Vec::new() };
    let mut plan = Plan::new(&mut watched);
    action(&mut plan);
    let steps = plan.steps().to_vec();
    assert_eq!(watched.changes, [""; 0]);
    assert_eq!((watched.world.here, watched.world.hosts), (here, hosts));
    assert!(steps.iter().all(Effect::changes));
    steps.iter().map(describe).collect()
}

#[test]
fn deploys() {
    let xml = description("one-6", OTHER_UUID);
    let steps = planned(world(), |plan| {
        fs::make_directory(plan, "/var/lib/one/datastores/0/6", 0o755).unwrap();
        let file = "/var/lib/one/datastores/0/6/deployment.0";
        fs::write(plan, file, xml.as_bytes(), 0o644).unwrap();
        assert_eq!(fs::read(plan, file).unwrap(), xml.as_bytes());
        assert_eq!(run(plan, "vgpu", &["CREATE", "a b"]).unwrap().status, 0);
        assert_eq!(refused(find(plan, "one-6")).0, NotFound);
        let domain = create(plan, &xml, false).unwrap();
        assert_eq!(domain.uuid, OTHER_UUID);
        assert_eq!(find(plan, "one-6").unwrap(), domain);
        assert_eq!(refused(create(plan, &xml, false)).0, Exists);
        assert_eq!(refused(create(plan, &one_5(), false)).0, Exists);
        assert_eq!(domains(plan).unwrap().len(), 2);
        assert!(self::xml(plan, OTHER_UUID).unwrap().contains("one-6"));
    });
    assert_eq!(
        steps,
        [
            "filesystem.make-directory /var/lib/one/datastores/0/6 mode 0755",
            "filesystem.write /var/lib/one/datastores/0/6/deployment.0 1.2 KiB mode 0644",
            "tools.run vgpu CREATE \"a b\"",
            "libvirt.create one-6 (2 disks, 64 MiB)",
        ]
    );
}

#[test]
fn shuts_down_with_its_polling() {
    let mut before = 0;
    let steps = planned(world(), |plan| {
        before = now(plan);
        shutdown(plan, UUID).unwrap();
        let mut polls = 0;
        while find(plan, UUID).is_ok() {
            assert!(sleep(plan, 1000));
            polls += 1;
        }
        assert_eq!(polls, 1);
        assert_eq!(now(plan), before + 1);
        assert_eq!(domains(plan).unwrap(), []);
        assert_eq!(refused(find(plan, "one-5")).0, NotFound);
        assert_eq!(refused(destroy(plan, "one-5")).0, NotFound);
    });
    assert_eq!(steps, [format!("libvirt.shutdown {UUID}")]);
}

#[test]
fn waits_no_longer_than_it_may() {
    let mut plan = Plan::new(world()).limit(Duration::from_secs(5));
    let mut naps = 0;
    while sleep(&mut plan, 1000) {
        naps += 1;
    }
    assert_eq!(naps, 5);
}

/// A file that is written again and again takes no more of a disk; of what would happen it is all a part.
#[test]
fn keeps_no_more_than_it_says() {
    let content = vec![b'x'; 4 * 1024 * 1024 - 1];
    let mut plan = Plan::new(world());
    let written = (0..100).map_while(|_| fs::write(&mut plan, &at("new"), &content, 0o600).ok()).count();
    assert!((40..64).contains(&written), "{written}");
    let failure = fs::write(&mut plan, &at("new"), &content, 0o600).unwrap_err();
    assert!(failure.message.contains("a dry run keeps no more than 256 MiB"), "{failure}");
    assert_eq!(plan.steps().len(), written);
    fs::stat(&mut plan, &at("new")).unwrap();
}

#[test]
fn saves_and_restores_again() {
    let checkpoint = at("checkpoint");
    let steps = planned(world().file(&checkpoint, "old"), |plan| {
        fs::rename(plan, &checkpoint, &at("checkpoint.1")).unwrap();
        assert_eq!(refused(fs::stat(plan, &checkpoint)).0, NotFound);
        assert_eq!(fs::read(plan, &at("checkpoint.1")).unwrap(), b"old");
        fs::write(plan, &checkpoint, b"", 0o666).unwrap();
        save(plan, UUID, &checkpoint).unwrap();
        assert!(find(plan, UUID).is_err());
        assert_eq!(fs::stat(plan, &checkpoint).unwrap().mode, 0o666);
        let saved = saved_xml(plan, &checkpoint).unwrap();
        restore(plan, &checkpoint, Some(&saved.replace("datastores/0", "datastores/1"))).unwrap();
        assert!(xml(plan, UUID).unwrap().contains("datastores/1"));
        fs::remove(plan, &checkpoint, false).unwrap();
        assert!(!fs::entries(plan, DIRECTORY).unwrap().contains(&"checkpoint".to_owned()));
        assert!(fs::entries(plan, DIRECTORY).unwrap().contains(&"checkpoint.1".to_owned()));
    });
    assert_eq!(steps.len(), 5);
    assert_eq!(steps[2], format!("libvirt.save {UUID} to {DIRECTORY}/checkpoint"));
    assert_eq!(steps[3], format!("libvirt.restore {DIRECTORY}/checkpoint as one-5 (2 disks, 64 MiB)"));
}

/// A world in which the domain is saved in a real file.
fn saved() -> Simulation {
    let mut world = world();
    save(&mut world, UUID, &at("checkpoint")).unwrap();
    world
}

#[test]
fn restores_from_a_real_file() {
    let steps = planned(saved(), |plan| {
        let xml = saved_xml(plan, &at("checkpoint")).unwrap();
        restore(plan, &at("checkpoint"), Some(&xml)).unwrap();
        assert_eq!(find(plan, UUID).unwrap().state, State::Running);
        assert_eq!(refused(restore(plan, &at("checkpoint"), None)).0, Exists);
        sync_time(plan, UUID).unwrap();
    });
    assert_eq!(steps.len(), 2);
    planned(saved(), |plan| {
        fs::rename(plan, &at("checkpoint"), &at("moved")).unwrap();
        assert_eq!(saved_xml(plan, &at("moved")).unwrap(), one_5().trim());
        assert_eq!(refused(restore(plan, &at("checkpoint"), None)).0, NotFound);
        restore(plan, &at("moved"), None).unwrap();
        assert!(find(plan, "one-5").is_ok());
    });
}

#[test]
fn changes_domains_only_in_its_mind() {
    let disk = "<disk type='file' device='disk'><source file='/e'/><target dev='vdb'/></disk>";
    let named = |name: &str| format!("<domainsnapshot><name>{name}</name></domainsnapshot>");
    let mut world = world();
    snapshot_create(&mut world, UUID, &named("snap-0")).unwrap();
    let steps = planned(world, |plan| {
        attach(plan, UUID, disk, Scope::Live).unwrap();
        assert!(xml(plan, "one-5").unwrap().contains(disk.trim_end_matches("</disk>")));
        detach(plan, UUID, disk, Scope::Live).unwrap();
        assert!(!xml(plan, "one-5").unwrap().contains("vdb"));
        set_vcpus(plan, UUID, 2, Scope::Live, true).unwrap();
        set_metadata(plan, UUID, ONE, "one", "<vm/>", Scope::Live).unwrap();
        assert_eq!(metadata(plan, UUID, ONE).unwrap(), "<vm/>");
        assert_eq!(snapshots(plan, UUID).unwrap(), ["snap-0"]);
        snapshot_create(plan, UUID, &named("snap-1")).unwrap();
        assert_eq!(snapshot_current(plan, UUID).unwrap().as_deref(), Some("snap-1"));
        snapshot_revert(plan, UUID, "snap-0", true).unwrap();
        snapshot_delete(plan, UUID, "snap-0", true).unwrap();
        assert_eq!(snapshots(plan, UUID).unwrap(), ["snap-1"]);
        reboot(plan, UUID).unwrap();
        suspend(plan, UUID).unwrap();
        assert_eq!(find(plan, UUID).unwrap().state, State::Paused);
        assert_eq!(
            guest_agent(plan, UUID, r#"{"execute":"guest-exec","arguments":{}}"#, 5).unwrap(),
            r#"{"return":{"pid":1}}"#
        );
        destroy(plan, UUID).unwrap();
    });
    assert_eq!(steps[0], format!("libvirt.attach-device {UUID} disk vdb (live)"));
    assert_eq!(steps[5], format!("libvirt.snapshot-revert {UUID} snap-0"));
    assert_eq!(steps[9], format!("libvirt.guest-agent {UUID} guest-exec"));
}

#[test]
fn what_would_fail_is_not_listed() {
    let steps = planned(world(), |plan| {
        destroy(plan, "one-7").unwrap_err();
        fs::write(plan, "/nowhere/x", b"", 0o644).unwrap_err();
        fs::remove(plan, &at("nothing"), false).unwrap();
        fs::make_directory(plan, DIRECTORY, 0o755).unwrap();
    });
    assert_eq!(steps, [""; 0]);
}

#[test]
fn files_are_read_through_until_touched() {
    let image = at("image");
    let world = world().here(|machine| machine.image(&image, Image::new("qcow2", 1 << 30)));
    planned(world, |plan| {
        fs::copy(plan, &image, &at("copy")).unwrap();
        assert_eq!(fs::inspect(plan, &at("copy")).unwrap().virtual_size, 1 << 30);
        fs::convert(plan, &at("copy"), "qcow2", &at("raw"), "raw").unwrap();
        assert_eq!(fs::inspect(plan, &at("raw")).unwrap().format, "raw");
        fs::set_mode(plan, &at("link"), 0o600).unwrap();
        assert_eq!(fs::stat(plan, &at("disk.0")).unwrap().mode, 0o600);
        assert_eq!(fs::read(plan, &at("disk.0")).unwrap(), b"data");
        fs::create(plan, &image, "raw", Some(1), None).unwrap_err();
        fs::create(plan, &at("new"), "raw", Some(1 << 20), None).unwrap();
        assert_eq!(fs::stat(plan, &at("new")).unwrap().size, 1 << 20);
        let packed = archive(&[("tpm/a", Some(b"1")), ("disk.0", Some(b"2"))]);
        assert_eq!(fs::unpack(plan, DIRECTORY, &packed).unwrap(), 2);
        assert_eq!(fs::read(plan, &at("link")).unwrap(), b"2");
        assert_eq!(fs::entries(plan, &at("tpm")).unwrap(), ["a"]);
    });
}

#[test]
fn folders_move_with_all_that_is_in_them() {
    planned(world(), |plan| {
        fs::rename(plan, DIRECTORY, "/var/lib/one/datastores/0/6").unwrap();
        assert_eq!(fs::read(plan, "/var/lib/one/datastores/0/6/link").unwrap(), b"data");
        assert_eq!(refused(fs::entries(plan, DIRECTORY)).0, NotFound);
        fs::make_directory(plan, DIRECTORY, 0o755).unwrap();
        assert_eq!(fs::entries(plan, DIRECTORY).unwrap(), [""; 0]);
        assert_eq!(refused(fs::read(plan, &at("disk.0"))).0, NotFound);
        assert_eq!(fs::entries(plan, "/var/lib/one/datastores/0").unwrap(), ["5", "6"]);
        fs::rename(plan, "/var/lib/one/datastores/0/6/link", &at("link")).unwrap();
        assert_eq!(refused(fs::read(plan, &at("link"))).0, NotFound);
        fs::write(plan, &at("disk.0"), b"other", 0o644).unwrap();
        assert_eq!(fs::read(plan, &at("link")).unwrap(), b"other");
    });
}

#[test]
fn one_thing_has_several_names() {
    let world = world().link("/ds", "/var/lib/one/datastores");
    planned(world, |plan| {
        fs::write(plan, "/ds/0/5/new", b"1", 0o644).unwrap();
        assert_eq!(fs::read(plan, &at("new")).unwrap(), b"1");
        fs::remove(plan, &at("disk.0"), false).unwrap();
        assert_eq!(refused(fs::read(plan, "/ds/0/5/disk.0")).0, NotFound);
        fs::rename(plan, "/ds", "/elsewhere").unwrap();
        assert_eq!(fs::read(plan, "/elsewhere/0/5/deployment.0").unwrap(), b"<old/>");
        assert_eq!(refused(fs::read(plan, "/ds/0/5/deployment.0")).0, NotFound);
    });
}

#[test]
fn what_the_policy_hides_is_taken_for_folders() {
    let mut policy = remotes_effect::policy::Policy::default();
    policy.paths.0.insert("/var/lib/one/datastores".into(), remotes_effect::policy::Access::ReadWrite);
    planned(world().policy(policy), |plan| {
        fs::write(plan, &at("new"), b"1", 0o644).unwrap();
        assert_eq!(fs::read(plan, &at("new")).unwrap(), b"1");
        assert_eq!(fs::read(plan, &at("link")).unwrap(), b"data");
        assert_eq!(fs::entries(plan, DIRECTORY).unwrap(), ["deployment.0", "disk.0", "link", "new"]);
        assert_eq!(refused(fs::read(plan, "/etc/passwd")).0, Denied);
    });
}

#[test]
fn a_dead_daemon_is_no_absent_domain() {
    let mut world = world();
    world.here.libvirt.unavailable = Some("Failed to connect socket".into());
    planned(world, |plan| {
        assert_eq!(refused(find(plan, UUID)).0, Unavailable);
        assert_eq!(refused(destroy(plan, UUID)).0, Unavailable);
        assert_eq!(refused(create(plan, &one_5(), false)).0, Unavailable);
        assert_eq!(refused(domains(plan)).0, Unavailable);
    });
}
