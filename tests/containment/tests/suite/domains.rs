//! Drivers that reach for domains and hypervisors that are not theirs.

use remotes_containment::guest::{AGENT, CHECKPOINTS, DOCUMENTS, DOMAINS, HYPERVISOR, LISTING};
use remotes_containment::{Grounds, Trial};
use remotes_effect::libvirt::State;
use remotes_effect::policy::Policy;
use remotes_effect::types::{FailureKind, Node};
use remotes_simulation::Simulation;

use crate::common::{FOREIGN, LIBVIRT, assert_refused, assert_unchanged, host};

/// Documents over which an XML parser would sit for minutes, if it were let.
fn laborious() -> Vec<String> {
    let numbered = |count: u32, text: &dyn Fn(u32) -> String| (0..count).map(text).collect::<String>();
    let attributes = numbered(160_000, &|number| format!("a{number}='' "));
    let namespaces = numbered(5_000, &|number| format!("xmlns:a{number}='u{number}' "));
    let shielded = numbered(100_000, &|number| format!("a{number}='>' "));
    vec![
        format!("<domain {attributes}><name>one-9</name></domain>"),
        format!("<domain {shielded}><name>one-9</name></domain>"),
        format!("<domain><name>one-9</name><a {attributes}/></domain>"),
        format!("<domain {namespaces}><name>one-9</name>{}</domain>", "<a xmlns:b='c'/>".repeat(500)),
        format!("<domain><name>one-9</name>{}</domain>", "<a/>".repeat(1_500_000)),
        format!("<domain><name>one-9{}</name></domain>", " ".repeat(7 << 20)),
    ]
}

/// The usual grants, a folder, and one command of the guest agent.
fn grants() -> String {
    format!("{LIBVIRT}guest-agent = [\"guest-ping\"]\n[paths]\n\"/var/lib/one/datastores\" = \"rw\"\n")
}

/// The simulation, asking the policy as the real executor does.
fn asked(policy: &Policy) -> Simulation {
    host().policy(policy.clone())
}

#[test]
pub fn domains() {
    let upper = FOREIGN.to_uppercase();
    let plain = FOREIGN.replace('-', "");
    let names = [
        "db-1",
        FOREIGN,
        &upper,
        &plain,
        "2",
        "",
        "one",
        "One-5",
        "xone-5",
        "one-5/../../db-1",
        "db-1\none-5",
        "db-1\0one-5",
        " one-5",
        "*",
        "db-*",
    ];
    for name in names {
        let trial = Trial::of(DOMAINS).granting(&grants()).calling(remotes_effect::vmm::Call::Reboot {
            deploy_id: name.into(),
            host: "node1".into(),
            action: "/var/lib/one/datastores/0/5/checkpoint".into(),
        });
        let before = asked(&trial.policy());
        let ended = trial.on(before.clone());
        ended.assert_done();
        let asked: Vec<_> =
            ended.journal.entries.iter().filter(|entry| entry.effect.name().starts_with("libvirt.")).collect();
        assert_eq!(asked.len(), 28);
        for entry in asked {
            let failure = entry.answer.as_ref().and_then(remotes_effect::Answer::failure);
            let failure = failure.unwrap_or_else(|| panic!("{name:?}: {:?} was not refused", entry.effect));
            assert_eq!(failure.kind, FailureKind::Denied, "{name:?}: {failure:?}");
            assert!(failure.message.contains("`domains` under [libvirt]"), "{failure:?}");
        }
        assert_unchanged(&before, &ended);
    }
}

/// The own domain, to see that the guest's calls are not refused for another reason.
#[test]
fn the_own_domain_is_not_refused() {
    let trial = Trial::of(DOMAINS).granting(&grants()).with("one-5", "/var/lib/one/datastores/0/5/checkpoint");
    let before = asked(&trial.policy());
    let ended = trial.on(before.clone());
    ended.assert_done();
    for entry in &ended.journal.entries {
        let failure = entry.answer.as_ref().and_then(remotes_effect::Answer::failure);
        assert!(failure.is_none_or(|failure| failure.kind != FailureKind::Denied), "{failure:?}");
    }
    assert_ne!(before.here, ended.executor.here);
    assert_eq!(ended.executor.here.find("db-1").map(|domain| domain.state), Some(State::Running));
}

#[test]
fn no_hypervisor_is_granted() {
    let before = host();
    let ended = Trial::of(DOMAINS).with("one-5", "/checkpoint").on(before.clone());
    assert_refused(&ended, "libvirt.destroy", FailureKind::Denied, "a table [libvirt] would");
    assert_unchanged(&before, &ended);
}

#[test]
pub fn documents() {
    let named = |name: &str| format!("<domain type='kvm'>{name}<memory>1024</memory></domain>");
    let documents = [
        named("<name>db-1</name>"),
        named(""),
        named("<name/>"),
        named("<name>one-9</name><name>db-2</name>"),
        named("<name>db-2</name><name>one-9</name>"),
        named("<name>one-9</name><x:name xmlns:x='urn:x'>db-2</x:name>"),
        named("<name><!-- one-9 -->db-2</name>"),
        named("<name>one-9<!-- -->/../db-2</name>"),
        named("<name>db-2<![CDATA[]]></name>"),
        named("<name>one-9<b>db-2</b></name>"),
        named("<title>one-9</title><metadata><name>one-9</name></metadata><name>db-2</name>"),
        named("<name>&#100;b-2</name>"),
        "<!DOCTYPE domain [<!ENTITY n 'one-9'>]><domain><name>&n;</name></domain>".to_owned(),
        "<!DOCTYPE domain SYSTEM 'file:///etc/passwd'><domain><name>one-9</name></domain>".to_owned(),
        "<!DOCTYPE domain [<!ENTITY n SYSTEM '/etc/passwd'>]><domain><name>one-9</name><title>&n;</title></domain>"
            .to_owned(),
        "<?xml version='1.0' encoding='UTF-16'?><domain><name>one-9</name></domain>".to_owned(),
        "<?xml version='1.0' encoding='utf-7'?><domain><name>one-9</name>+ADw-name+AD4-db-2+ADw-/name+AD4-</domain>"
            .to_owned(),
        "<domains><domain><name>one-9</name></domain></domains>".to_owned(),
        "<network><name>one-9</name></network>".to_owned(),
        "<domain><name>one-9</name></domain><domain><name>db-2</name></domain>".to_owned(),
        "<domain><name>one-9</name>".to_owned(),
        "one-9".to_owned(),
        String::new(),
        "<a>".repeat(100_000),
        format!("<domain {}><name>db-2</name></domain>", (0..5000).map(|n| format!("a{n}='' ")).collect::<String>()),
    ];
    for document in documents.into_iter().chain(laborious()) {
        let checkpoint = "/var/lib/one/datastores/0/5/checkpoint";
        let trial = Trial::of(DOCUMENTS).granting(&grants()).calling(remotes_effect::vmm::Call::Reboot {
            deploy_id: "one-9".into(),
            host: checkpoint.into(),
            action: document.clone(),
        });
        let before = asked(&trial.policy());
        let ended = trial.on(before.clone());
        ended.assert_done();
        for effect in ["libvirt.create", "libvirt.define", "libvirt.restore"] {
            let failures = ended.journal.failures(effect);
            let shown = remotes_effect::text::shortened(&document, 200);
            assert_eq!(failures.len(), 1, "{effect} of {shown}");
            assert!(
                matches!(failures[0].kind, FailureKind::Denied | FailureKind::Invalid),
                "{effect} of {shown}: {failures:?}"
            );
        }
        assert_unchanged(&before, &ended);
    }
}

/// Somebody else's machine, in a file that the driver may read.
#[test]
pub fn checkpoints() {
    let path = "/var/lib/one/datastores/0/5/checkpoint";
    let mut before = host();
    remotes_effect::libvirt::Executor::save(&mut before, &Node::Here, "db-1", path).unwrap();
    let trial = Trial::of(CHECKPOINTS).granting(&grants()).with("one-5", path);
    let before = before.policy(Policy::clone(&trial.policy()));
    let ended = trial.on(before.clone());
    ended.assert_done();
    for effect in ["libvirt.saved-xml", "libvirt.restore"] {
        assert_refused(&ended, effect, FailureKind::Denied, "domain db-1");
    }
    assert_unchanged(&before, &ended);
    // One in a folder that is not granted.
    let trial = Trial::of(CHECKPOINTS).granting(&grants()).with("one-5", "/var/lib/libvirt/qemu/save/db-1.save");
    let ended = trial.on(before.clone());
    for effect in ["libvirt.saved-xml", "libvirt.restore"] {
        assert_refused(&ended, effect, FailureKind::Denied, "under [paths]");
    }
    assert_unchanged(&before, &ended);
}

#[test]
pub fn listing() {
    let trial = Trial::of(LISTING).granting(LIBVIRT);
    let before = asked(&trial.policy());
    let ended = trial.on(before.clone());
    ended.assert_done();
    assert_eq!(ended.journal.logged(), ["one-5"]);
    assert_unchanged(&before, &ended);
}

/// That this URI, set by the operator's configuration, is refused before anything is started.
fn refused_uri(granted: &str, uri: &str) {
    let grounds = Grounds::new();
    grounds.program("tree/bin/remotes-libvirt", "#!/bin/sh\ntouch \"$0.started\"\n");
    std::fs::write(grounds.path("tree/etc/vmm/kvm/kvmrc"), format!("export LIBVIRT_URI=\"{uri}\"\n")).unwrap();
    let before = grounds.snapshot();
    let grants =
        format!("configuration = [\"vmm/kvm/kvmrc\"]\n[libvirt]\nuris = [{granted:?}]\ndomains = [\"one-*\"]\n");
    let ended = Trial::of(HYPERVISOR).granting(&grants).made(|policy, deadline| grounds.machine(policy, deadline));
    assert_eq!(ended.failure().kind, FailureKind::Denied, "{uri}");
    assert_refused(&ended, "libvirt.find", FailureKind::Denied, "`uris` under [libvirt]");
    assert_eq!(grounds.snapshot(), before, "{uri}: the libvirt server was started");
}

#[test]
fn a_hypervisor_outside_the_grant() {
    for uri in [
        "qemu+ssh://elsewhere/system",
        "qemu:///session",
        "qemu:///system?socket=/tmp/mine",
        "qemu:///system#x",
        "qemu+ext:///system?command=/bin/sh",
        "qemu+ssh://-oProxyCommand=id/system",
        "test:///default",
        "QEMU:///system",
        "qemu:///system ",
    ] {
        refused_uri("qemu:///system", uri);
    }
    // A wildcard stands for names of hosts, not for parameters, which name commands and sockets.
    for uri in ["qemu+ext://node1/system?command=/bin/sh", "qemu+ssh://node1/system?netcat=/bin/sh", "qemu+unix:///#/x"]
    {
        refused_uri("qemu+*://**", uri);
    }
}

#[test]
fn a_uri_that_a_pattern_would_cover_but_is_an_option() {
    for uri in ["-c", "--help", "qemu:///system\u{1b}[2K"] {
        let grounds = Grounds::new();
        grounds.program("tree/bin/remotes-libvirt", "#!/bin/sh\ntouch \"$0.started\"\n");
        std::fs::write(grounds.path("tree/etc/vmm/kvm/kvmrc"), format!("LIBVIRT_URI='{uri}'\n")).unwrap();
        let before = grounds.snapshot();
        let grants = "configuration = [\"vmm/kvm/kvmrc\"]\n[libvirt]\nuris = [\"**\"]\ndomains = [\"one-*\"]\n";
        let ended = Trial::of(HYPERVISOR).granting(grants).made(|policy, deadline| grounds.machine(policy, deadline));
        assert!(
            matches!(ended.failure().kind, FailureKind::Invalid | FailureKind::Denied),
            "{uri}: {:?}",
            ended.failure()
        );
        assert_eq!(grounds.snapshot(), before, "{uri}: the libvirt server was started");
    }
}

#[test]
pub fn agent() {
    let commands = [
        r#"{"execute":"guest-exec","arguments":{"path":"/bin/sh"}}"#,
        r#"{"execute":"guest-set-user-password"}"#,
        r#"{"execute":"guest-ping","execute":"guest-exec"}"#,
        r#"{"execute":"guest-exec","execute":"guest-ping"}"#,
        r#"{"execute":"guest-ping","\u0065xecute":"guest-exec"}"#,
        r#"{"execute":["guest-ping"]}"#,
        r#"{"execute":"guest-ping "}"#,
        r#"{"execute":""}"#,
        r#"{"exec-oob":"guest-exec"}"#,
        r#"{"execute":"guest-ping","exec-oob":"guest-exec"}"#,
        r#"[{"execute":"guest-ping"}]"#,
        r#"{"execute":"guest-ping"}{"execute":"guest-exec"}"#,
        r#"{"execute":"guest-ping"} trailing"#,
        r#""guest-ping""#,
        "{}",
        "",
        "guest-ping",
    ];
    let deep = "[".repeat(100_000);
    for command in commands.into_iter().chain([deep.as_str()]) {
        let trial = Trial::of(AGENT).granting(&grants()).with("one-5", command);
        let before = asked(&trial.policy());
        let ended = trial.on(before.clone());
        ended.assert_done();
        let failures = ended.journal.failures("libvirt.guest-agent");
        assert_eq!(failures.len(), 1, "{command}");
        assert!(matches!(failures[0].kind, FailureKind::Denied | FailureKind::Invalid), "{command}: {failures:?}");
        assert_unchanged(&before, &ended);
    }
}
