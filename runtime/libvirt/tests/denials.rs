//! What is not granted, not for this server or no argument at all is refused before libvirt is asked.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use proptest::prelude::*;
use remotes_effect::libvirt::{CopyTarget, Effect, Executor as _, Migration, State};
use remotes_effect::policy::{LibvirtGrant, Pattern, Policy};
use remotes_effect::types::{FailureKind, Node};
use remotes_effect::{Answer, Executor as _, clock, filesystem};
use remotes_libvirt::Server;
use support::{
    DESTINATION, FOREIGN_UUID, HERE, about, copy_target, domain_xml, migration, node, policy, session, session_under,
};
use tempfile::tempdir;

fn kind(answer: &Answer) -> Option<FailureKind> {
    answer.failure().map(|failure| failure.kind)
}

#[test]
fn a_foreign_domain_is_denied_to_every_function_by_name_and_by_uuid() {
    let folder = tempdir().unwrap();
    let uri = node(folder.path());
    let mut server = Server::new(session(&uri, folder.path()));
    let path = folder.path().join("checkpoint").to_str().unwrap().to_owned();
    for reference in ["foreign", FOREIGN_UUID] {
        for effect in about(reference, &path) {
            let answer = server.execute(&remotes_effect::Effect::Libvirt(effect.clone()));
            let failure = answer.failure().unwrap_or_else(|| panic!("{effect:?} was carried out"));
            assert_eq!(failure.kind, FailureKind::Denied, "{effect:?}: {failure}");
            assert!(failure.message.starts_with(effect.name()), "{failure}");
            assert!(failure.message.contains("`domains` under [libvirt]"), "{failure}");
        }
    }
    assert!(!folder.path().join("checkpoint").exists());

    let mut all = policy(&uri, folder.path());
    all.libvirt.as_mut().unwrap().domains = vec![Pattern("*".to_owned())];
    assert_eq!(session_under(&uri, all).find(&HERE, "foreign").unwrap().state, State::Running);
}

#[test]
fn domains_lists_what_is_granted() {
    let folder = tempdir().unwrap();
    let uri = node(folder.path());
    let mut session = session(&uri, folder.path());
    assert_eq!(session.domains(&HERE).unwrap(), vec![]);
    let made = session.create(&HERE, &domain_xml("one-5", "00000000-0000-4000-8000-000000000005"), false).unwrap();
    assert_eq!(session.domains(&HERE).unwrap(), vec![made]);
}

#[test]
fn documents_of_other_domains_are_denied() {
    let folder = tempdir().unwrap();
    let uri = node(folder.path());
    let mut session = session(&uri, folder.path());
    let xml = domain_xml("other", "00000000-0000-4000-8000-000000000009");
    assert_eq!(session.create(&HERE, &xml, false).unwrap_err().kind, FailureKind::Denied);
    assert_eq!(session.define(&HERE, &xml).unwrap_err().kind, FailureKind::Denied);
    let disguised = format!("<?xml version='1.0' encoding='UTF-7'?>{}", domain_xml("one-9", "x"));
    assert_eq!(session.create(&HERE, &disguised, false).unwrap_err().kind, FailureKind::Invalid);
}

#[test]
fn a_checkpoint_of_a_foreign_domain_is_denied() {
    let folder = tempdir().unwrap();
    let uri = node(folder.path());
    let mut all = policy(&uri, folder.path());
    all.libvirt.as_mut().unwrap().domains = vec![Pattern("*".to_owned())];
    let path = folder.path().join("checkpoint").to_str().unwrap().to_owned();
    session_under(&uri, all).save(&HERE, "foreign", &path).unwrap();

    let mut session = session(&uri, folder.path());
    assert_eq!(session.saved_xml(&HERE, &path).unwrap_err().kind, FailureKind::Denied);
    assert_eq!(session.restore(&HERE, &path, None).unwrap_err().kind, FailureKind::Denied);
    let xml = domain_xml("one-5", FOREIGN_UUID);
    assert_eq!(session.restore(&HERE, &path, Some(&xml)).unwrap_err().kind, FailureKind::Denied);
}

#[test]
fn links_do_not_lead_out_of_the_granted_folders() {
    let folder = tempdir().unwrap();
    let outside = tempdir().unwrap();
    let uri = node(folder.path());
    let mut session = session(&uri, folder.path());
    session.create(&HERE, &domain_xml("one-5", "00000000-0000-4000-8000-000000000005"), false).unwrap();
    let target = outside.path().join("target");
    std::fs::write(&target, "precious").unwrap();
    std::os::unix::fs::symlink(&target, folder.path().join("file")).unwrap();
    std::os::unix::fs::symlink(outside.path(), folder.path().join("folder")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("new"), folder.path().join("dangling")).unwrap();
    std::fs::create_dir(folder.path().join("directory")).unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for name in ["file", "folder/new", "folder/target", "dangling", "../target"] {
        let failure = session.save(&HERE, "one-5", &at(name)).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Denied, "{name}: {failure}");
    }
    for name in ["file", "folder/target"] {
        let failure = session.restore(&HERE, &at(name), None).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Denied, "{name}: {failure}");
    }
    assert_eq!(session.save(&HERE, "one-5", &at("directory")).unwrap_err().kind, FailureKind::Invalid);
    assert_eq!(session.restore(&HERE, &at("absent"), None).unwrap_err().kind, FailureKind::NotFound);
    assert_eq!(session.save(&HERE, "one-5", &at("absent/new")).unwrap_err().kind, FailureKind::NotFound);
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "precious");
    assert!(!outside.path().join("new").exists());
    assert_eq!(session.find(&HERE, "one-5").unwrap().state, State::Running);
}

#[test]
fn copies_go_to_granted_places_only() {
    let folder = tempdir().unwrap();
    let outside = tempdir().unwrap();
    let uri = node(folder.path());
    let mut session = session(&uri, folder.path());
    session.create(&HERE, &domain_xml("one-5", "00000000-0000-4000-8000-000000000005"), false).unwrap();
    std::fs::write(outside.path().join("target"), "precious").unwrap();
    std::os::unix::fs::symlink(outside.path().join("target"), folder.path().join("file")).unwrap();
    std::os::unix::fs::symlink("/dev/null", folder.path().join("device")).unwrap();
    let mut copy = |path: &str, block: bool| {
        let target = CopyTarget { block, ..copy_target(folder.path().join(path).to_str().unwrap()) };
        session.block_copy(&HERE, "one-5", "vda", &target, false).unwrap_err().kind
    };
    assert_eq!(copy("file", false), FailureKind::Denied);
    assert_eq!(copy("/etc/shadow", false), FailureKind::Denied);
    assert_eq!(copy("../target", false), FailureKind::Denied);
    assert_eq!(copy("device", true), FailureKind::Denied);
    assert_eq!(copy("absent", false), FailureKind::NotFound);
    assert_eq!(copy("", false), FailureKind::Denied, "the folder itself");
    assert_eq!(std::fs::read_to_string(outside.path().join("target")).unwrap(), "precious");
}

#[test]
fn migrations_go_to_granted_daemons_only() {
    let folder = tempdir().unwrap();
    let uri = node(folder.path());
    let mut session = session(&uri, folder.path());
    session.create(&HERE, &domain_xml("one-5", "00000000-0000-4000-8000-000000000005"), false).unwrap();
    for uri in ["qemu+ssh://evil/system", "test:///default?command=/bin/x", "test", "qemu:///system"] {
        for how in [
            migration(uri),
            Migration { peer_to_peer: true, ..migration(uri) },
            Migration { migrate_uri: Some(uri.to_owned()), ..migration(DESTINATION) },
        ] {
            let failure = session.migrate(&HERE, "one-5", &how).unwrap_err();
            assert_eq!(failure.kind, FailureKind::Denied, "{how:?}: {failure}");
            assert!(failure.message.contains("migration-targets"), "{failure}");
        }
    }
}

#[test]
fn uris_outside_the_policy_are_denied() {
    let folder = tempdir().unwrap();
    let granted = LibvirtGrant { uris: vec![Pattern("test*://*/**".to_owned())], ..LibvirtGrant::default() };
    let policy = Policy { libvirt: Some(granted), ..policy("", folder.path()) };
    for (uri, kind) in [
        ("qemu:///system", FailureKind::Denied),
        ("test+ssh://host/default?command=/bin/x", FailureKind::Denied),
        ("test", FailureKind::Invalid),
        ("", FailureKind::Invalid),
        ("test:///def\0ault", FailureKind::Invalid),
    ] {
        let failure = session_under(uri, policy.clone()).domains(&HERE).unwrap_err();
        assert_eq!(failure.kind, kind, "{uri:?}: {failure}");
    }
    let failure = session_under("test:///default", Policy::default()).domains(&HERE).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Denied, "{failure}");
}

#[test]
fn other_hosts_are_unsupported_here() {
    let folder = tempdir().unwrap();
    let uri = node(folder.path());
    let mut session = session(&uri, folder.path());
    let failure = session.find(&Node::Host("node7".to_owned()), "one-5").unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unsupported);
}

#[test]
fn other_effects_are_denied() {
    let folder = tempdir().unwrap();
    let uri = node(folder.path());
    let mut server = Server::new(session(&uri, folder.path()));
    let at = remotes_effect::types::Place { on: HERE, path: folder.path().to_str().unwrap().to_owned() };
    let stat = remotes_effect::Effect::Filesystem(filesystem::Effect::Stat { at });
    assert_eq!(kind(&server.execute(&stat)), Some(FailureKind::Denied));
    let sleep = remotes_effect::Effect::Clock(clock::Effect::Sleep { milliseconds: u64::MAX });
    assert_eq!(server.execute(&sleep), Answer::Clock(clock::Answer::Sleep(false)));
}

/// The same effect with NUL in its strings.
fn with_nul(effect: &Effect) -> Vec<Effect> {
    fn replaced(value: &serde_json::Value, key: &str) -> Option<serde_json::Value> {
        let mut value = value.clone();
        let fields = value.as_object_mut()?.values_mut().next()?.as_object_mut()?;
        let text = fields.get(key)?.as_str()?.to_owned();
        fields.insert(key.to_owned(), format!("{text}\0x").into());
        Some(value)
    }
    fn nested(value: &serde_json::Value, pointer: &str) -> Option<serde_json::Value> {
        let mut value = value.clone();
        let fields = value.as_object_mut()?.values_mut().next()?;
        *fields.pointer_mut(pointer)? = "x\0x".into();
        Some(value)
    }
    let value = serde_json::to_value(effect).unwrap();
    let keys = [
        "domain",
        "path",
        "xml",
        "device",
        "uri",
        "key",
        "snapshot",
        "command",
        "alias",
        "disk",
        "checkpoint",
        "interface",
    ];
    let within =
        ["/how/uri", "/how/migrate-uri", "/how/listen-address", "/target/path", "/target/format", "/mount-points/0"];
    keys.iter()
        .filter_map(|key| replaced(&value, key))
        .chain(within.iter().filter_map(|pointer| nested(&value, pointer)))
        .map(|value| serde_json::from_value(value).unwrap())
        .collect()
}

#[test]
fn strings_with_nul_are_invalid_and_never_panic() {
    let folder = tempdir().unwrap();
    let uri = node(folder.path());
    let mut server = Server::new(session(&uri, folder.path()));
    let xml = domain_xml("one-5", "00000000-0000-4000-8000-000000000005");
    let create = Effect::Create { on: HERE, xml: xml.clone(), paused: false };
    assert_eq!(kind(&server.execute(&remotes_effect::Effect::Libvirt(create.clone()))), None);
    let path = folder.path().join("checkpoint").to_str().unwrap().to_owned();
    let mut effects = about("one-5", &path);
    effects.push(create);
    effects.push(Effect::Define { on: HERE, xml: xml.clone() });
    effects.push(Effect::SavedXml { on: HERE, path: path.clone() });
    effects.push(Effect::Restore { on: HERE, path, xml: Some(xml) });
    let effects: Vec<Effect> = effects.iter().flat_map(with_nul).collect();
    assert!(effects.len() > 65, "{}", effects.len());
    for effect in effects {
        let answer = server.execute(&remotes_effect::Effect::Libvirt(effect.clone()));
        assert_eq!(kind(&answer), Some(FailureKind::Invalid), "{effect:?}: {answer:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_reference_is_answered(reference in ".*") {
        let folder = tempdir().unwrap();
        let uri = node(folder.path());
        let find = Effect::Find { on: HERE, domain: reference };
        let answer = Server::new(session(&uri, folder.path())).execute(&remotes_effect::Effect::Libvirt(find));
        let failure = answer.failure().unwrap();
        prop_assert!(matches!(failure.kind, FailureKind::Denied | FailureKind::NotFound | FailureKind::Invalid));
        prop_assert!(!failure.message.contains(|c: char| c.is_control()), "{:?}", failure.message);
    }

    #[test]
    fn any_document_is_answered(xml in "(<\\?xml [a-z'\"= -]*\\?>)?<domain>(<name>one-[0-9]</name>|<[a-z]>|&[a-z]+;|.)*</domain>") {
        let folder = tempdir().unwrap();
        let uri = node(folder.path());
        let mut session = session(&uri, folder.path());
        let failure = session.create(&HERE, &xml, false).unwrap_err();
        prop_assert!(!matches!(failure.kind, FailureKind::Unknown | FailureKind::Unavailable), "{failure}");
        prop_assert_eq!(session.domains(&HERE).unwrap(), vec![]);
    }
}
