//! A private libvirtd and real guests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/proxy.rs"]
mod proxy;
mod support;

use proxy::{DESTROY, LOOKUP_BY_NAME, Proxy};
use std::path::Path;

use remotes_effect::libvirt::{Domain, Executor as _, State};
use remotes_effect::types::{Failure, FailureKind};
use remotes_libvirt::Session;
use remotes_test_support::{Guest, PrivateLibvirt, wait_for};
use support::{HERE, session};

fn connected(libvirt: &PrivateLibvirt) -> Session {
    session(libvirt.uri(), &libvirt.guests())
}

fn absent(found: &Result<Domain, Failure>) -> bool {
    matches!(found, Err(failure) if failure.kind == FailureKind::NotFound)
}

fn wait_gone(session: &mut Session, guest: &Guest) {
    wait_for("the guest's end", || absent(&session.find(&HERE, &guest.uuid)));
}

#[test]
fn the_life_of_a_guest() {
    let libvirt = PrivateLibvirt::start().unwrap();
    let guest = Guest::new(&libvirt, 7).unwrap();
    let mut session = connected(&libvirt);
    let made = session.create(&HERE, &guest.xml(), false).unwrap();
    assert_eq!((&made.name, &made.uuid, made.state), (&guest.name, &guest.uuid, State::Running));
    assert_eq!(session.domains(&HERE).unwrap(), vec![made]);
    let metadata = session.metadata(&HERE, &guest.name, "http://opennebula.org/xmlns/libvirt/1.0").unwrap();
    assert!(metadata.contains(guest.folder.to_str().unwrap()), "{metadata}");
    let again = session.create(&HERE, &guest.xml(), false).unwrap_err();
    assert_eq!(again.kind, FailureKind::Exists, "{again}");

    guest.wait_up(1).unwrap();
    session.reboot(&HERE, &guest.uuid).unwrap();
    guest.wait_up(2).unwrap();
    session.reset(&HERE, &guest.uuid).unwrap();
    guest.wait_up(3).unwrap();

    let checkpoint = guest.folder.join("checkpoint").to_str().unwrap().to_owned();
    std::fs::write(&checkpoint, "").unwrap();
    session.save(&HERE, &guest.uuid, &checkpoint).unwrap();
    assert!(absent(&session.find(&HERE, &guest.uuid)));
    let saved = session.saved_xml(&HERE, &checkpoint).unwrap();
    session.restore(&HERE, &checkpoint, Some(&saved)).unwrap();
    assert_eq!(session.find(&HERE, &guest.uuid).unwrap().state, State::Running);

    // As it is, where nobody has written another machine into the file.
    session.save(&HERE, &guest.uuid, &checkpoint).unwrap();
    let forged = guest.folder.join("forged");
    forge(Path::new(&checkpoint), &forged, guest.console.to_str().unwrap());
    let failure = session.restore(&HERE, forged.to_str().unwrap(), None).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Denied, "{failure}");
    assert!(absent(&session.find(&HERE, &guest.uuid)));
    session.restore(&HERE, &checkpoint, None).unwrap();
    assert_eq!(session.find(&HERE, &guest.uuid).unwrap().state, State::Running);
    session.shutdown(&HERE, &guest.uuid).unwrap();
    wait_gone(&mut session, &guest);
    assert_eq!(guest.starts().unwrap(), 3, "it went on where it was saved");

    session.create(&HERE, &guest.xml(), true).unwrap();
    assert_eq!(session.find(&HERE, &guest.name).unwrap().state, State::Paused);
    session.resume(&HERE, &guest.name).unwrap();
    guest.wait_up(4).unwrap();
    session.destroy(&HERE, &guest.name).unwrap();
    assert!(absent(&session.find(&HERE, &guest.name)));
}

#[test]
fn a_guest_on_kvm() {
    if !Guest::kvm_usable() {
        return;
    }
    let libvirt = PrivateLibvirt::start().unwrap();
    let guest = Guest { kvm: true, ..Guest::new(&libvirt, 8).unwrap() };
    let mut session = connected(&libvirt);
    session.create(&HERE, &guest.xml(), false).unwrap();
    guest.wait_up(1).unwrap();
    session.shutdown(&HERE, &guest.uuid).unwrap();
    wait_gone(&mut session, &guest);
}

#[test]
fn snapshots_of_a_running_guest() {
    let libvirt = PrivateLibvirt::start().unwrap();
    let guest = Guest::new(&libvirt, 9).unwrap().with_qcow2().unwrap();
    let mut session = connected(&libvirt);
    session.create(&HERE, &guest.xml(), false).unwrap();
    guest.wait_up(1).unwrap();
    for name in ["snap-1", "snap-0"] {
        let xml = format!("<domainsnapshot><name>{name}</name></domainsnapshot>");
        assert_eq!(session.snapshot_create(&HERE, &guest.uuid, &xml).unwrap(), name);
    }
    assert_eq!(session.snapshots(&HERE, &guest.uuid).unwrap(), ["snap-1", "snap-0"]);
    let xml = session.snapshot_xml(&HERE, &guest.uuid, "snap-1").unwrap();
    session.snapshot_delete(&HERE, &guest.uuid, "snap-1", true).unwrap();
    assert_eq!(session.snapshots(&HERE, &guest.uuid).unwrap(), ["snap-0"]);
    session.snapshot_redefine(&HERE, &guest.uuid, &xml, true).unwrap();
    assert_eq!(session.snapshot_current(&HERE, &guest.uuid).unwrap().as_deref(), Some("snap-1"));
    session.snapshot_revert(&HERE, &guest.uuid, "snap-1", true).unwrap();
    assert_eq!(session.find(&HERE, &guest.uuid).unwrap().state, State::Running);
    session.snapshot_delete(&HERE, &guest.uuid, "snap-1", false).unwrap();
    session.destroy(&HERE, &guest.uuid).unwrap();
}

#[test]
fn a_guest_without_agent_answers_no_command() {
    let libvirt = PrivateLibvirt::start().unwrap();
    let guest = Guest::new(&libvirt, 10).unwrap();
    let channel = "<channel type='unix'><source mode='bind'/>\
                   <target type='virtio' name='org.qemu.guest_agent.0'/></channel></devices>";
    let xml = guest.xml().replace("</devices>", channel);
    let mut session = connected(&libvirt);
    session.create(&HERE, &xml, false).unwrap();
    for failure in [
        session.guest_agent(&HERE, &guest.name, r#"{"execute":"guest-ping"}"#, 1).unwrap_err(),
        session.sync_time(&HERE, &guest.name).unwrap_err(),
    ] {
        assert_eq!(failure.kind, FailureKind::Unavailable, "{failure}");
    }
}

#[test]
fn a_killed_daemon_is_told_from_an_absent_domain() {
    let mut libvirt = PrivateLibvirt::start().unwrap();
    let guest = Guest::new(&libvirt, 11).unwrap();
    let mut session = connected(&libvirt);
    let made = session.create(&HERE, &guest.xml(), false).unwrap();

    libvirt.kill_daemon().unwrap();
    for failure in [
        session.find(&HERE, &guest.name).unwrap_err(),
        session.destroy(&HERE, &guest.name).unwrap_err(),
        session.create(&HERE, &guest.xml(), false).unwrap_err(),
        session.domains(&HERE).unwrap_err(),
    ] {
        assert_eq!(failure.kind, FailureKind::Unavailable, "nothing was sent: {failure}");
    }

    libvirt.start_daemon().unwrap();
    assert_eq!(session.find(&HERE, &guest.name).unwrap().uuid, made.uuid, "the guest outlived its daemon");
    libvirt.kill_daemon().unwrap();
    libvirt.start_daemon().unwrap();
    // The look-up shows the loss before the change is sent.
    session.suspend(&HERE, &guest.name).unwrap();
    assert_eq!(session.find(&HERE, &guest.name).unwrap().state, State::Paused);
    session.destroy(&HERE, &guest.name).unwrap();
    libvirt.kill_daemon().unwrap();
    libvirt.start_daemon().unwrap();
    session.create(&HERE, &guest.xml(), false).unwrap();
}

#[test]
fn a_lost_answer_is_asked_for_again_or_unknown() {
    let libvirt = PrivateLibvirt::start().unwrap();
    let proxy = Proxy::start(&libvirt.socket(), &libvirt.folder().join("proxy"));
    let guest = Guest::new(&libvirt, 12).unwrap();
    let mut session = session(&proxy.uri(), &libvirt.guests());
    session.create(&HERE, &guest.xml(), false).unwrap();
    assert_eq!(proxy.connections(), 1);

    proxy.cut_at(LOOKUP_BY_NAME);
    assert_eq!(session.find(&HERE, &guest.name).unwrap().state, State::Running);
    assert_eq!(proxy.connections(), 2, "a read connects again");

    proxy.cut_at(LOOKUP_BY_NAME);
    session.suspend(&HERE, &guest.name).unwrap();
    assert_eq!(proxy.connections(), 3, "so does a write that has not been sent");

    proxy.cut_at(DESTROY);
    let failure = session.destroy(&HERE, &guest.name).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unknown, "{failure}");
    assert!(failure.message.contains("may or may not"), "{failure}");
    assert_eq!(proxy.connections(), 3, "a write is not sent twice");
    wait_for("the end of the guest", || absent(&session.find(&HERE, &guest.name)));
}

/// A checkpoint whose description names another file, outside of what is granted, in place of this one.
fn forge(checkpoint: &Path, forged: &Path, file: &str) {
    let mut bytes = std::fs::read(checkpoint).unwrap();
    let other = format!("/{}", "x".repeat(file.len() - 1));
    let mut found = 0;
    for start in 0..bytes.len().min(1 << 20) {
        if bytes[start..].starts_with(file.as_bytes()) {
            bytes[start..start + file.len()].copy_from_slice(other.as_bytes());
            found += 1;
        }
    }
    assert!(found > 0);
    std::fs::write(forged, bytes).unwrap();
}
