//! The functions on libvirt's test driver.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use remotes_effect::libvirt::{Bandwidth, Executor as _, Scope, State};
use remotes_effect::types::FailureKind;
use remotes_libvirt::Session;
use support::{HERE, domain_xml, node, session};
use tempfile::{TempDir, tempdir};

const UUID: &str = "00000000-0000-4000-8000-000000000005";

/// A session with `one-5` running.
fn running() -> (TempDir, Session) {
    let folder = tempdir().unwrap();
    let uri = node(folder.path());
    let mut session = session(&uri, folder.path());
    session.create(&HERE, &domain_xml("one-5", UUID), false).unwrap();
    (folder, session)
}

fn state(session: &mut Session) -> State {
    session.find(&HERE, "one-5").unwrap().state
}

#[test]
fn a_domain_lives() {
    let (_folder, mut session) = running();
    let found = session.find(&HERE, UUID).unwrap();
    assert_eq!((found.name.as_str(), found.uuid.as_str()), ("one-5", UUID));
    assert_eq!((found.state, found.persistent, found.id.is_some()), (State::Running, false, true));
    assert_eq!(session.find(&HERE, &UUID.to_uppercase()).unwrap(), found);
    assert!(session.xml(&HERE, "one-5").unwrap().contains("<name>one-5</name>"));

    session.suspend(&HERE, "one-5").unwrap();
    assert_eq!(state(&mut session), State::Paused);
    session.resume(&HERE, UUID).unwrap();
    assert_eq!(state(&mut session), State::Running);
    session.destroy(&HERE, UUID).unwrap();
    for reference in ["one-5", UUID] {
        let failure = session.find(&HERE, reference).unwrap_err();
        assert_eq!(failure.kind, FailureKind::NotFound);
        assert!(failure.message.contains("Domain not found"), "libvirt's own words are kept: {failure}");
    }
    assert_eq!(session.destroy(&HERE, "one-5").unwrap_err().kind, FailureKind::NotFound);
}

#[test]
fn shutdown_and_reboot_are_asked_for() {
    let (_folder, mut session) = running();
    session.shutdown(&HERE, "one-5").unwrap();
    assert_eq!(session.find(&HERE, "one-5").unwrap_err().kind, FailureKind::NotFound);

    session.define(&HERE, &domain_xml("one-5", UUID)).unwrap();
    session.create(&HERE, &domain_xml("one-5", UUID), false).unwrap();
    session.reboot(&HERE, "one-5").unwrap();
    assert_eq!(state(&mut session), State::Running);
}

#[test]
fn an_active_domain_exists() {
    let (_folder, mut session) = running();
    let again = session.create(&HERE, &domain_xml("one-5", UUID), false).unwrap_err();
    assert_eq!(again.kind, FailureKind::Exists, "{again}");
    let same_uuid = session.create(&HERE, &domain_xml("one-6", UUID), false).unwrap_err();
    assert_eq!(same_uuid.kind, FailureKind::Exists, "{same_uuid}");
}

#[test]
fn a_definition_comes_and_goes() {
    let folder = tempdir().unwrap();
    let uri = node(folder.path());
    let mut session = session(&uri, folder.path());
    let defined = session.define(&HERE, &domain_xml("one-5", UUID)).unwrap();
    assert_eq!((defined.state, defined.persistent, defined.id), (State::ShutOff, true, None));
    assert_eq!(session.domains(&HERE).unwrap(), vec![], "only active ones are listed");
    let failure = session.suspend(&HERE, "one-5").unwrap_err();
    assert_eq!(failure.kind, FailureKind::Failed, "{failure}");
    session.undefine(&HERE, "one-5").unwrap();
    assert_eq!(session.find(&HERE, "one-5").unwrap_err().kind, FailureKind::NotFound);
}

#[test]
fn a_persistent_active_domain_is_listed_as_such() {
    let (_folder, mut session) = running();
    let [transient] = session.domains(&HERE).unwrap().try_into().unwrap();
    assert!(!transient.persistent);
    session.define(&HERE, &domain_xml("one-5", UUID)).unwrap();
    let [persistent] = session.domains(&HERE).unwrap().try_into().unwrap();
    assert!(persistent.persistent);
    assert_eq!(persistent, session.find(&HERE, "one-5").unwrap());
}

#[test]
fn what_libvirt_cannot_read_is_invalid() {
    let (_folder, mut session) = running();
    let incomplete = "<domain type='test'><name>one-6</name></domain>";
    assert_eq!(session.create(&HERE, incomplete, false).unwrap_err().kind, FailureKind::Invalid);
    assert_eq!(session.create(&HERE, "<domain", false).unwrap_err().kind, FailureKind::Invalid);
    assert_eq!(session.snapshot_create(&HERE, "one-5", "<x/>").unwrap_err().kind, FailureKind::Invalid);
}

#[test]
fn what_the_hypervisor_lacks_is_unsupported() {
    let (_folder, mut session) = running();
    for failure in [
        session.create(&HERE, &domain_xml("one-6", "00000000-0000-4000-8000-000000000006"), true).unwrap_err(),
        session.attach_device(&HERE, "one-5", "<disk/>", Scope::Live).unwrap_err(),
        session.wake_up(&HERE, "one-5").unwrap_err(),
        session.guest_agent(&HERE, "one-5", r#"{"execute":"guest-ping"}"#, 0).unwrap_err(),
    ] {
        assert_eq!(failure.kind, FailureKind::Unsupported, "{failure}");
    }
}

#[test]
fn a_domain_is_saved() {
    let (folder, mut session) = running();
    let path = format!("{}//checkpoint", folder.path().display());
    std::fs::write(&path, "").unwrap();
    session.save(&HERE, "one-5", &path).unwrap();
    assert_eq!(session.find(&HERE, "one-5").unwrap_err().kind, FailureKind::NotFound);
    let saved = session.saved_xml(&HERE, &path).unwrap();
    assert!(saved.contains(UUID));
    // The test driver takes no XML beside the image, and what was checked is handed over: `guest.rs` restores.
    for xml in [Some(saved.as_str()), None] {
        let failure = session.restore(&HERE, &path, xml).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unsupported, "{failure}");
    }
}

#[test]
fn metadata_is_kept() {
    let (_folder, mut session) = running();
    let uri = "http://opennebula.org/xmlns/libvirt/1.0";
    assert_eq!(session.metadata(&HERE, "one-5", uri).unwrap_err().kind, FailureKind::NotFound);
    let xml = "<vm><system_datastore>/var/lib/one//datastores/0/5</system_datastore></vm>";
    session.set_metadata(&HERE, "one-5", uri, "one", xml, Scope::Live).unwrap();
    let read = session.metadata(&HERE, "one-5", uri).unwrap();
    assert!(read.contains("<system_datastore>/var/lib/one//datastores/0/5</system_datastore>"), "{read}");
}

#[test]
fn resources_change() {
    let (_folder, mut session) = running();
    session.sync_time(&HERE, "one-5").unwrap();
    session.set_memory(&HERE, "one-5", 2048, Scope::Live).unwrap();
    session.set_vcpus(&HERE, "one-5", 2, Scope::Live, false).unwrap();
    let xml = session.xml(&HERE, "one-5").unwrap();
    assert!(xml.contains("<currentMemory unit='KiB'>2048</currentMemory>"), "{xml}");
    assert!(xml.contains("<vcpu placement='static' current='2'>4</vcpu>"), "{xml}");
    assert_eq!(session.set_memory(&HERE, "one-5", 1 << 40, Scope::Live).unwrap_err().kind, FailureKind::Invalid);
    assert_eq!(session.set_vcpus(&HERE, "one-5", 5, Scope::Live, false).unwrap_err().kind, FailureKind::Invalid);
}

#[test]
fn snapshots_are_listed_parents_first() {
    let (_folder, mut session) = running();
    assert_eq!(session.snapshots(&HERE, "one-5").unwrap(), Vec::<String>::new());
    assert_eq!(session.snapshot_current(&HERE, "one-5").unwrap(), None);
    // Names in the order of the alphabet would put children first.
    for name in ["snap-9", "snap-5", "snap-1"] {
        let xml = format!("<domainsnapshot><name>{name}</name></domainsnapshot>");
        assert_eq!(session.snapshot_create(&HERE, "one-5", &xml).unwrap(), name);
    }
    assert_eq!(session.snapshots(&HERE, "one-5").unwrap(), ["snap-9", "snap-5", "snap-1"]);
    assert_eq!(session.snapshot_current(&HERE, "one-5").unwrap().as_deref(), Some("snap-1"));

    session.snapshot_revert(&HERE, "one-5", "snap-5", true).unwrap();
    assert_eq!(session.snapshot_current(&HERE, "one-5").unwrap().as_deref(), Some("snap-5"));
    session.snapshot_delete(&HERE, "one-5", "snap-9", false).unwrap();
    assert_eq!(session.snapshots(&HERE, "one-5").unwrap(), ["snap-5", "snap-1"], "children are kept");

    let xml = session.snapshot_xml(&HERE, "one-5", "snap-5").unwrap();
    session.snapshot_delete(&HERE, "one-5", "snap-1", false).unwrap();
    session.snapshot_delete(&HERE, "one-5", "snap-5", false).unwrap();
    session.snapshot_redefine(&HERE, "one-5", &xml, true).unwrap();
    assert_eq!(session.snapshot_current(&HERE, "one-5").unwrap().as_deref(), Some("snap-5"));
    let foreign = xml.replace("one-5", "one-6");
    assert_eq!(session.snapshot_redefine(&HERE, "one-5", &foreign, true).unwrap_err().kind, FailureKind::Denied);

    for failure in [
        session.snapshot_xml(&HERE, "one-5", "none").unwrap_err(),
        session.snapshot_revert(&HERE, "one-5", "none", true).unwrap_err(),
        session.snapshot_delete(&HERE, "one-5", "none", true).unwrap_err(),
    ] {
        assert_eq!(failure.kind, FailureKind::NotFound, "{failure}");
    }
}

#[test]
fn checkpoints_are_listed_parents_first() {
    let (_folder, mut session) = running();
    assert_eq!(session.checkpoints(&HERE, "one-5").unwrap(), Vec::<String>::new());
    for name in ["one-5-9", "one-5-5", "one-5-1"] {
        let xml = format!("<domaincheckpoint><name>{name}</name></domaincheckpoint>");
        assert_eq!(session.checkpoint_create(&HERE, "one-5", &xml, false).unwrap(), name);
    }
    assert_eq!(session.checkpoints(&HERE, "one-5").unwrap(), ["one-5-9", "one-5-5", "one-5-1"]);
    let xml = session.checkpoint_xml(&HERE, "one-5", "one-5-9").unwrap();
    session.checkpoint_delete(&HERE, "one-5", "one-5-9", false).unwrap();
    assert_eq!(session.checkpoints(&HERE, "one-5").unwrap(), ["one-5-5", "one-5-1"], "children are kept");
    session.checkpoint_delete(&HERE, "one-5", "one-5-5", true).unwrap();

    assert_eq!(session.checkpoint_create(&HERE, "one-5", &xml, true).unwrap(), "one-5-9");
    let foreign = xml.replace("<name>one-5</name>", "<name>one-6</name>");
    assert_ne!(foreign, xml);
    assert_eq!(session.checkpoint_create(&HERE, "one-5", &foreign, true).unwrap_err().kind, FailureKind::Denied);
    for failure in [
        session.checkpoint_xml(&HERE, "one-5", "none").unwrap_err(),
        session.checkpoint_delete(&HERE, "one-5", "none", true).unwrap_err(),
    ] {
        assert_eq!(failure.kind, FailureKind::NotFound, "{failure}");
    }
    assert_eq!(session.checkpoint_create(&HERE, "one-5", "<x/>", false).unwrap_err().kind, FailureKind::Invalid);
}

#[test]
fn an_interface_is_limited() {
    let folder = tempdir().unwrap();
    let uri = node(folder.path());
    let mut session = session(&uri, folder.path());
    let nic = "<interface type='ethernet'><target dev='one-5-0'/></interface></devices>";
    session.create(&HERE, &domain_xml("one-5", UUID).replace("</devices>", nic), false).unwrap();
    let bandwidth = |session: &mut Session| {
        let xml = session.xml(&HERE, "one-5").unwrap();
        let document = roxmltree::Document::parse(&xml).unwrap();
        let found = |name| document.descendants().find(|node| node.has_tag_name(name));
        ["inbound", "outbound"].map(|name| {
            found(name).map(|node| ["average", "peak", "burst"].map(|name| node.attribute(name).map(str::to_owned)))
        })
    };
    let values = |values: [&str; 3]| Some(values.map(|value| Some(value.to_owned())));
    let inbound = Some(Bandwidth { average: 1000, peak: 2000, burst: 300 });
    session.set_bandwidth(&HERE, "one-5", "one-5-0", inbound, None).unwrap();
    assert_eq!(bandwidth(&mut session), [values(["1000", "2000", "300"]), None]);
    let outbound = Some(Bandwidth { average: 500, peak: 501, burst: 502 });
    session.set_bandwidth(&HERE, "one-5", "one-5-0", None, outbound).unwrap();
    assert_eq!(bandwidth(&mut session), [values(["1000", "2000", "300"]), values(["500", "501", "502"])]);
    session.set_bandwidth(&HERE, "one-5", "one-5-0", None, None).unwrap();
    let none = Some(Bandwidth { average: 0, peak: 0, burst: 0 });
    session.set_bandwidth(&HERE, "one-5", "one-5-0", none, None).unwrap();
    assert_eq!(bandwidth(&mut session), [None, values(["500", "501", "502"])]);
    let failure = session.set_bandwidth(&HERE, "one-5", "one-6-0", none, None).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Invalid, "{failure}");
}

#[test]
fn the_default_node_serves_too() {
    let folder = tempdir().unwrap();
    let mut session = session("test:///default", folder.path());
    let failure = session.find(&HERE, "test").unwrap_err();
    assert_eq!(failure.kind, FailureKind::Denied, "{failure}");
    assert_eq!(session.domains(&HERE).unwrap(), vec![]);
}
