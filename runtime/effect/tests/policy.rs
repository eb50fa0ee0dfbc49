//! The policy: what it refuses, and what its refusals say.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::path::Path;

use proptest::prelude::*;
use remotes_effect::policy::{Access, PathGrants, Policy, normalized};
use remotes_effect::types::{FailureKind, Node, Place};
use remotes_effect::{Effect, filesystem, libvirt, tools};

const KVM: &str = r#"
schema = 1
hosts = ["node*"]
configuration = ["vmm/kvm/kvmrc"]

[libvirt]
uris = ["qemu:///system", "qemu+ssh://*/system"]
domains = ["one-*"]
guest-agent = ["guest-ping"]

[paths]
"/var/lib/one/datastores" = "rw"
"/usr/share/OVMF" = "ro"

[tools.vgpu]
path = "$REMOTES/vgpu"
sudo = true
arguments = [["CREATE", "/var/lib/one/datastores/*/*/vm.xml"], ["DELETE", "..."]]
"#;

fn policy() -> Policy {
    parse(KVM).unwrap()
}

fn parse(text: &str) -> Result<Policy, String> {
    Policy::parse(text, Path::new("policy.toml")).map_err(|error| error.to_string())
}

fn here(path: &str) -> Place {
    Place { on: Node::Here, path: path.into() }
}

fn refusal(effect: &Effect) -> (FailureKind, String) {
    let failure = policy().check(effect).expect_err("this should be refused");
    (failure.kind, failure.message)
}

#[test]
fn unknown_keys_and_impossible_values_are_errors() {
    for (text, says) in [
        ("schema = 1\nsurprise = 1", "surprise"),
        ("schema = 1\n[limits]\nmemory = 1", "memory"),
        ("schema = 2", "schema = 2"),
        ("", "schema"),
        ("schema = 1\n[paths]\n\"/\" = \"rw\"", "root folder"),
        ("schema = 1\n[paths]\n\"relative\" = \"ro\"", "absolute"),
        ("schema = 1\n[paths]\n\"/a/../b\" = \"ro\"", ".."),
        ("schema = 1\n[paths]\n\"/a\" = \"wo\"", "wo"),
        ("schema = 1\n[tools.x]\npath = \"vgpu\"", "absolute"),
        ("schema = 1\n[tools.x]\npath = \"/usr/../bin/sh\"", ".."),
        ("schema = 1\nconfiguration = [\"../passwd\"]", "etc"),
        ("schema = 1\n[limits]\nmemory-mib = 0", "memory-mib"),
        ("schema = 1\n[limits]\naction-seconds = { migrate = 9223372036854775807 }", "migrate"),
        ("schema = 1\njournal = \"here\"", "absolute"),
        ("schema = 1\nremote-directory = \"var/tmp/one\"", "remote-directory"),
        ("schema = 1\nremote-directory = \"/var/tmp/$(id)\"", "remote-directory"),
    ] {
        let message = parse(text).expect_err(text);
        assert!(message.contains("policy.toml") && message.contains(says), "{text:?}: {message}");
    }
}

#[test]
fn what_is_misspelt_is_an_error() {
    let libvirt = |line: &str| format!("schema = 1\n[libvirt]\nuris = [\"qemu:///system\"]\n{line}");
    for (text, says) in [
        ("schema = 1\n[limits]\naction-seconds = { migrat = 10 }".to_owned(), "\"migrat\"; expected one of"),
        ("schema = 1\n[limits]\neffects = 0".into(), "effects = 0: expected 1"),
        ("schema = 1\n[limits]\nlog-kib = 9223372036854775807".into(), "log-kib"),
        ("schema = 1\nhooks = [\"bogus\"]".into(), "\"bogus\"; expected pre, post, clean"),
        ("schema = 1\nhosts = [\"\"]".into(), "line 2"),
        ("schema = 1\n[links]\nbridges = [\"br{0,1\"]".into(), "unclosed brace"),
        ("schema = 1\n[paths]\n\"/a/*\" = \"rw\"".into(), "\"/a/*\": folders are granted by name"),
        ("schema = 1\n[tools.x]\npath = \"/x\"\narguments = [[\"...\", \"a\"]]".into(), "last place"),
        ("schema = 1\n[tools.x]\npath = \"/x\"\narguments = [[\"[a\"]]".into(), "unclosed"),
        (libvirt("domains = [\"one-*\"]\nhost-devices = [\"pcii\"]"), "\"pcii\" is not known; expected audio"),
        (libvirt("domains = [\"one-*\"]\nnetwork-storage = [\"rdb\"]"), "\"rdb\" is not known"),
        (libvirt("domains = [\"[a\"]"), "line 4"),
        (libvirt("domains = [\"\"]"), "empty pattern"),
    ] {
        let message = parse(&text).expect_err(&text);
        assert!(message.contains("policy.toml") && message.contains(says), "{text:?}: {message}");
    }
    // What is odd and has a meaning.
    for text in [
        "schema = 1\n[tools.x]\npath = \"/x\"\narguments = [[], [\"\"], [\"a\", \"...\"]]".to_owned(),
        libvirt(
            "domains = [\"[!a]\", \"!one-*\", \"a\\\\[b\"]\nhost-devices = [\"scsi_host\"]\nnetwork-storage = [\"volume\"]",
        ),
    ] {
        parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
}

#[test]
fn only_a_file_of_a_policys_size_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let says = |path: &Path, says: &str| {
        let message = Policy::read(path).unwrap_err().to_string();
        assert!(message.contains(says) && message.contains(path.to_str().unwrap()), "{message}");
    };
    says(folder.path(), "no regular file");
    let fifo = folder.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    says(&fifo, "no regular file");
    let large = folder.path().join("large");
    std::fs::write(&large, format!("schema = 1\n# {}", "x".repeat(1 << 20))).unwrap();
    says(&large, "longer than 1024 KiB");
    std::fs::write(&large, b"schema = 1 # \xff").unwrap();
    says(&large, "not UTF-8");
}

#[test]
fn nothing_is_granted_by_an_empty_policy() {
    let nothing = parse("schema = 1").unwrap();
    let effects = [
        Effect::Filesystem(filesystem::Effect::Stat { at: here("/etc/passwd") }),
        Effect::Libvirt(libvirt::Effect::Domains { on: Node::Here }),
        Effect::Tools(tools::Effect::Run { on: Node::Here, tool: "sh".into(), arguments: vec![], stdin: vec![] }),
    ];
    for effect in effects {
        let failure = nothing.check(&effect).expect_err(effect.name());
        assert_eq!(failure.kind, FailureKind::Denied);
        assert!(failure.message.starts_with(effect.name()), "{failure}");
    }
}

#[test]
fn a_denial_names_what_would_allow_it() {
    let write =
        |path: &str| Effect::Filesystem(filesystem::Effect::Write { at: here(path), content: vec![], mode: 0o600 });
    let (kind, message) = refusal(&write("/etc/cron.d/x"));
    assert_eq!(kind, FailureKind::Denied);
    assert!(message.contains("\"/etc/cron.d\"") && message.contains("[paths]"), "{message}");
    let (_, message) = refusal(&write("/usr/share/OVMF/OVMF_VARS.fd"));
    assert!(message.contains("\"/usr/share/OVMF\" = \"rw\""), "{message}");
    let (_, message) = refusal(&write("/var/lib/one/datastores"));
    assert!(message.contains("itself"), "{message}");
    let (_, message) = refusal(&Effect::Libvirt(libvirt::Effect::Destroy { on: Node::Here, domain: "router".into() }));
    assert!(message.contains("domains") && message.contains("one-*"), "{message}");
    let (_, message) =
        refusal(&Effect::Libvirt(libvirt::Effect::Find { on: Node::Host("db1".into()), domain: "one-1".into() }));
    assert!(message.contains("hosts"), "{message}");
}

#[test]
fn a_domain_is_known_by_the_name_in_its_description() {
    let create =
        |xml: &str| Effect::Libvirt(libvirt::Effect::Create { on: Node::Here, xml: xml.into(), paused: false });
    policy().check(&create("<domain type='kvm'><name>one-7</name></domain>")).unwrap();
    policy().check(&create("<domain><name><![CDATA[one-7]]></name></domain>")).unwrap();
    for (xml, kind) in [
        ("<domain><name>router</name></domain>", FailureKind::Denied),
        ("<domain><name>one-7</name><name>router</name></domain>", FailureKind::Invalid),
        ("<domain><name>one-7<!-- -->/x</name></domain>", FailureKind::Invalid),
        ("<domain/>", FailureKind::Invalid),
        ("<network><name>one-7</name></network>", FailureKind::Invalid),
        ("<!DOCTYPE d [<!ENTITY n 'router'>]><domain><name>&n;</name></domain>", FailureKind::Invalid),
        ("not xml", FailureKind::Invalid),
    ] {
        assert_eq!(refusal(&create(xml)).0, kind, "{xml}");
    }
}

#[test]
fn tools_take_only_the_arguments_listed() {
    let run = |arguments: &[&str]| {
        let arguments = arguments.iter().map(|a| (*a).to_owned()).collect();
        policy().check(&Effect::Tools(tools::Effect::Run {
            on: Node::Here,
            tool: "vgpu".into(),
            arguments,
            stdin: vec![],
        }))
    };
    run(&["CREATE", "/var/lib/one/datastores/0/7/vm.xml"]).unwrap();
    run(&["DELETE"]).unwrap();
    run(&["DELETE", "a", "b"]).unwrap();
    for bad in [
        &["CREATE"][..],
        &["CREATE", "/var/lib/one/datastores/0/7/vm.xml", "more"],
        &["CREATE", "/var/lib/one/datastores/../7/vm.xml"],
        &["CREATE", "/var/lib/one/datastores/0/7/8/vm.xml"],
        &["create", "/var/lib/one/datastores/0/7/vm.xml"],
        &[],
    ] {
        assert_eq!(run(bad).expect_err("refused").kind, FailureKind::Denied, "{bad:?}");
    }
}

#[test]
fn the_guest_agent_takes_only_commands_listed() {
    let send = |command: &str| {
        policy().check(&Effect::Libvirt(libvirt::Effect::GuestAgent {
            on: Node::Here,
            domain: "one-1".into(),
            command: command.into(),
            seconds: 5,
        }))
    };
    send(r#"{"execute":"guest-ping"}"#).unwrap();
    assert_eq!(send(r#"{"execute":"guest-exec"}"#).unwrap_err().kind, FailureKind::Denied);
    assert_eq!(send(r#"{"Execute":"guest-ping"}"#).unwrap_err().kind, FailureKind::Invalid);
    // Which of the two an agent would take, nobody knows.
    let twice = r#"{"execute":"guest-exec","execute":"guest-ping"}"#;
    assert_eq!(send(twice).unwrap_err().kind, FailureKind::Invalid);
    send(r#"{"execute":"guest-ping","arguments":{"id":1},"id":[2]}"#).unwrap();
    assert_eq!(send("guest-ping").unwrap_err().kind, FailureKind::Invalid);
}

fn component() -> impl Strategy<Value = String> {
    prop_oneof![Just("..".to_owned()), Just(".".to_owned()), Just(String::new()), "[a-c]{1,2}", "[ -.0-~]{1,8}"]
}

#[test]
fn wildcards_of_uris_stand_for_hosts_only() {
    let text = format!("{KVM}\n").replace(
        "[libvirt]\n",
        "[libvirt]\nmigration-targets = [\"qemu+ssh://*/system\", \"tcp://*\", \"test://root@*/x?a\"]\n",
    );
    let grant = parse(&text).unwrap().libvirt.unwrap();
    let uri = |uri: &str| grant.check_uri(uri).map_err(|failure| failure.message);
    let way = |uri: &str, by: Option<&str>| {
        let how = format!(
            r#"{{"uri": "{uri}", "paused": false, "disks": [], "allow-unsafe": false, "compressed": false,
            "auto-converge": false, "auto-converge-initial": null, "auto-converge-increment": null, "bandwidth": null,
            "parallel-connections": null, "peer-to-peer": false, "tunnelled": false, "tls": false, "post-copy": false,
            "abort-on-error": false, "migrate-uri": {}, "listen-address": null, "disks-port": null, "compression": null,
            "post-copy-bandwidth": null, "suspend-after": null, "post-copy-after": null}}"#,
            by.map_or("null".to_owned(), |by| format!("{by:?}"))
        );
        grant.check_migration(&serde_json::from_str(&how).unwrap()).map_err(|failure| failure.message)
    };
    uri("qemu+ssh://node7/system").unwrap();
    way("qemu+ssh://node7/system", None).unwrap();
    way("qemu+ssh://node7/system", Some("tcp://10.0.0.7")).unwrap();
    way("test://root@*/x?a", None).unwrap();
    for foreign in [
        "qemu:///system",
        "qemu+ssh://node7/session",
        "qemu+ssh://node7/system?command=/bin/x",
        "qemu+ssh://node7/system#x",
        "qemu+ssh://root@node7/system",
        "qemu+ssh://-oProxyCommand=x/system",
        "qemu+ssh://%2doProxyCommand=x/system",
        "test://root@node7/x?a",
    ] {
        assert!(way(foreign, None).unwrap_err().contains("`migration-targets` under [libvirt]"), "{foreign}");
        assert!(way("qemu+ssh://node7/system", Some(foreign)).unwrap_err().contains("by way of"), "{foreign}");
        if foreign != "qemu:///system" {
            assert!(uri(foreign).unwrap_err().contains("`uris` under [libvirt]"), "{foreign}");
        }
    }
}

proptest! {
    /// A path is granted only if its components, read literally, begin with those of a granted folder.
    #[test]
    fn paths_are_compared_by_component(parts in prop::collection::vec(component(), 1..6), folder in prop::collection::vec("[a-c]{1,2}", 1..3)) {
        let path = format!("/{}", parts.join("/"));
        let grants = PathGrants([(format!("/{}", folder.join("/")), Access::ReadWrite)].into());
        let plain: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        let expected = !plain.contains(&"..") && plain.len() > folder.len() && plain.iter().zip(&folder).all(|(a, b)| a == b);
        prop_assert_eq!(grants.check(&path, Access::ReadWrite).is_ok(), expected, "{}", path);
    }

    #[test]
    fn normalized_paths_have_no_way_up(path in "[ -~]{0,40}") {
        if let Ok(components) = normalized(&path) {
            prop_assert!(components.iter().all(|part| !part.is_empty() && part != "." && part != ".." && !part.contains('/')));
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,200}") {
        let _ = parse(&text);
        let _ = parse(&format!("schema = 1\n{text}"));
        let _ = remotes_effect::policy::domain_name(&text);
    }
}
