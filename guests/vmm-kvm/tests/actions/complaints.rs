//! What operators of OpenNebula complained about: each thread's case, with the end that it should have had.
//! The numbers are issues of OpenNebula/one.

use remotes_effect::Effect;
use remotes_effect::libvirt::Effect as E;
use remotes_sdk::testing::{Call, Guest, Host, Image, Machine, Reaction, Simulation, State};
use remotes_sdk::{Failure, FailureKind, Vmm};
use vmm_kvm::Kvm;

use crate::fixture::{OS, UUID, action, domain, host, running};
use crate::migration::*;

const MAC: &str = "02:00:51:0b:f2:8e";

fn with_interface(unplug: Reaction) -> Simulation {
    let interface = format!("<interface type='bridge'><mac address='{MAC}'/><target dev='one-1-1'/></interface>");
    running(&domain(&format!("{OS}<devices>{interface}</devices>")))
        .guest("one-1", Guest { unplug, ..Guest::default() })
}

fn detach(host: &Host) -> Call<()> {
    host.call(|| Kvm::detach_nic(UUID.into(), MAC.into(), action("", "qcow2")))
}

fn has_interface(host: &Host) -> bool {
    host.simulation().here.find(UUID).unwrap().xml().contains(MAC)
}

/// The interface was looked for before the guest had let it go, and then detached in vain.
#[test]
fn issue_3873_a_loaded_guest_that_lets_an_interface_go_late() {
    for seconds in [1, 4, 9] {
        let host = host(with_interface(Reaction::AfterSeconds(seconds)));
        let call = detach(&host);
        assert_eq!(call.count("libvirt.unplug-device"), 1, "{seconds}");
        call.value();
        assert!(!has_interface(&host));
        // "If the interface is already not available the script must return success."
        let call = detach(&host);
        assert_eq!(call.count("libvirt.unplug-device"), 0);
        call.value();
    }
}

/// On q35 the guest was asked again while it was at it: an error each time, and the interface went all the same.
#[test]
fn issue_8021_a_q35_guest_that_is_busy_letting_go() {
    let busy = || {
        Failure::failed(
            "internal error: unable to execute QEMU command 'device_del': Hot-unplug failed: guest is busy (power \
             indicator blinking)",
        )
    };
    // It lets go although the answer was an error …
    let host1 = host(with_interface(Reaction::AfterPolls(2)).losing("libvirt.unplug-device", 1, busy()));
    detach(&host1).value();
    assert!(!has_interface(&host1));
    // … or does not: then OpenNebula and libvirt agree that it is still there.
    let world = (1..=3)
        .fold(with_interface(Reaction::Ignores), |world, nth| world.failing("libvirt.unplug-device", nth, busy()));
    let host2 = host(world);
    assert_eq!(detach(&host2).failure().message, format!("Error detaching interface ({MAC})"));
    assert!(has_interface(&host2));
}

/// The interface was attached, the context drive could not be opened after that, and the interface stayed.
#[test]
fn issue_5268_an_interface_is_taken_back_when_the_drive_stays_shut() {
    let drive = "<disk type='file' device='cdrom'><source file='/var/lib/one/datastores/101/1/disk.1'/><target dev='sda'/></disk>";
    let world = || {
        let guest = Guest { tray_locked: true, ..Guest::default() };
        running(&domain(&format!("{OS}<devices>{drive}</devices>"))).guest("one-1", guest)
    };
    let nic = format!("<NIC><ATTACH>YES</ATTACH><MAC>{MAC}</MAC><BRIDGE>br219</BRIDGE></NIC>");
    let attach = |host: &Host| {
        let text = || String::from("-");
        let action = action(&nic, "qcow2");
        host.call(|| Kvm::attach_nic(UUID.into(), MAC.into(), text(), text(), text(), text(), action)).value();
    };
    let eject = |host: &Host| host.call(|| Kvm::prereconfigure(UUID.into(), "sda".into(), action("", "qcow2")));
    // A tray that the guest holds is opened all the same, one that answers late is asked again.
    let locked =
        || Failure::failed("internal error: unable to execute QEMU command 'eject': Tray of device is not open");
    for world in [world(), world().failing("libvirt.update-device", 1, locked())] {
        let host = host(world);
        attach(&host);
        eject(&host).value();
        assert!(has_interface(&host));
    }
    // Where it stays shut, the front-end's roll-back finds the interface and takes it.
    let host = host((1..=3).fold(world(), |world, nth| world.failing("libvirt.update-device", nth, locked())));
    attach(&host);
    assert_eq!(eject(&host).failure().message, "Could not eject CDROM sda");
    detach(&host).value();
    assert!(!has_interface(&host));
}

/// A move that failed had the machine's folder removed "on the other host": it was the same folder.
#[test]
fn issue_5444_a_failed_move_on_shared_storage_removes_nothing() {
    for name in ["libvirt.migrate", "libvirt.snapshots"] {
        let host = host(together().failing(name, 1, Failure::failed("migration was aborted")));
        let before = trees(&host).0;
        let call = to_host(&host, "YES");
        call.failure();
        assert_eq!(call.count("filesystem.remove"), 0);
        assert_eq!(trees(&host).0, before);
        assert!(states(&host).0.is_some());
    }
    // Nor where the datastore's template does not say that it is shared.
    let host = host(together());
    let before = trees(&host).0;
    let call = to_host(&host, "NO");
    assert!(call.failure().message.contains("is the same folder on this host and node2"), "{:?}", call.failure());
    assert_eq!((call.count("libvirt.migrate"), call.count("image.create")), (0, 0));
    assert_eq!(trees(&host), (before.clone(), before));
}

/// The same where the other host lacks a backing file, or the whole datastore.
#[test]
fn issue_5531_a_host_without_the_images_costs_no_disk() {
    let mut world = together();
    // The other host has not mounted it.
    world.shared.clear();
    let host = host(world.configuration("MIGRATE_OPTIONS", "--unsafe"));
    let before = trees(&host).0;
    let call = to_host(&host, "YES");
    assert!(call.failure().message.contains("Cannot access storage file"), "{:?}", call.failure());
    assert!(call.done.iter().all(|(effect, _)| !effect.name().starts_with("filesystem.") || !effect.changes()));
    assert_eq!(trees(&host).0, before);
    let simulation = host.simulation();
    assert_eq!(simulation.here.find(UUID).unwrap().state, remotes_sdk::testing::State::Running);
}

/// What was on the other host before is nobody's to remove, nor to write over.
#[test]
fn issues_5444_and_5531_images_of_others_are_never_touched() {
    for path in ["disk.2", "disk.0.snap/1"].map(|name| format!("{AT}/{name}")) {
        let there = Machine::new().checked_disks().image(&path, Image::new("qcow2", 1 << 30));
        let host = host(apart().host("node2", there));
        let before = trees(&host);
        let call = to_host(&host, "NO");
        assert_eq!(call.failure().kind, FailureKind::Exists);
        assert!(call.failure().message.contains(&format!("{path} exists on node2")), "{:?}", call.failure());
        assert_eq!(trees(&host), before);
    }
}

/// Where it is a datastore's image, the other host's may be the very same file: nobody is told to remove it.
#[test]
fn an_image_outside_of_the_machines_folder_is_not_to_be_removed() {
    let path = "/var/lib/one/datastores/5/base";
    let mut world = apart();
    let destroy = E::Destroy { on: remotes_sdk::here(), domain: UUID.into() };
    remotes_effect::Executor::execute(&mut world, &Effect::Libvirt(destroy));
    let xml = description().replace(&format!("{FOLDER}/disk.2"), path);
    let there = Machine::new().checked_disks().file(path, "image").directory("/var/lib/one/datastores");
    let host = host(world.file(path, "image").domain(&xml, State::Running).host("node2", there));
    let before = trees(&host);
    let call = to_host(&host, "NO");
    let message = &call.failure().message;
    assert!(message.contains(&format!("{path} exists on node2 and is outside of the machine's folder")), "{message}");
    assert!(!message.contains("remove it"), "{message}");
    assert_eq!(trees(&host), before);
}

/// A daemon that answers no more held up everything. An effect has its deadline: it fails, and so does the action,
/// soon and with nothing half done.
#[test]
fn issue_1702_a_daemon_that_hangs_ends_the_action() {
    let hung = || Failure::timeout("libvirt does not answer");
    let effects = {
        let host = host(apart());
        let call = to_host(&host, "NO");
        let names: Vec<_> = call.done.iter().map(|(effect, _)| effect.name()).collect();
        call.value();
        names
    };
    let first = effects.iter().position(|name| name.starts_with("libvirt.")).unwrap();
    let moved = effects.iter().position(|name| *name == "libvirt.migrate").unwrap();
    let mut nth = std::collections::BTreeMap::<&str, u64>::new();
    for name in &effects[..=moved] {
        *nth.entry(name).or_default() += 1;
    }
    assert!(first < moved);
    for name in effects[first..=moved].iter().filter(|name| name.starts_with("libvirt.")) {
        // From this effect on, nothing of libvirt answers.
        let calls = ["find", "xml", "snapshots", "migrate", "abort-job"].map(|name| format!("libvirt.{name}"));
        let world = calls.iter().fold(apart(), |world, other| {
            let before = if other == name { nth[name] } else { 3 };
            (before..before + 20).fold(world, |world, nth| world.failing(other, nth, hung()))
        });
        let host = host(world);
        let call = to_host(&host, "NO");
        assert_eq!(call.failure().kind, FailureKind::Timeout, "{name}");
        assert!(call.paused() < 10_000, "{name}: {}", call.paused());
        // A move of which nothing is known must not lose what it may have used.
        let after = call.done.iter().skip_while(|(effect, _)| effect.name() != "libvirt.migrate").skip(1);
        assert!(after.into_iter().all(|(effect, _)| effect.name() != "filesystem.remove"), "{name}");
        assert!(states(&host).0.is_some());
    }
}

/// A second complaint of the kind: a machine on its way is asked for by others, who must not wait for it either.
#[test]
fn issue_1702_other_actions_end_as_well() {
    for (name, act) in [
        ("libvirt.xml", (|| Kvm::detach_disk(UUID.into(), String::new(), "vda".into(), 0, String::new())) as fn() -> _),
        ("libvirt.reboot", || Kvm::reboot(UUID.into(), "node1".into(), String::new())),
        ("libvirt.find", || Kvm::shutdown(UUID.into(), "node1".into(), String::new())),
    ] {
        let world = (1..50).fold(apart(), |world, nth| world.failing(name, nth, Failure::timeout("no answer")));
        let host = host(world);
        let call = host.call(act);
        assert_eq!(call.failure().kind, FailureKind::Timeout, "{name}");
        assert!(call.paused() < 10_000, "{name}");
    }
}
