//! What a policy lets through of transparent proxies, and that it lets nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use remotes_effect::Effect;
use remotes_effect::links::{Effect as Links, PortVlan};
use remotes_effect::policy::Policy;
use remotes_effect::tproxy::{Effect as Tproxy, Endpoint};
use remotes_effect::types::FailureKind;

const POLICY: &str = "schema = 1\n[tproxy]\nbridges = [\"onebr*\", \"br[0-9]*\"]\nuplinks = [\"eth*\"]\n\
    names = [\"*.example.org\"]\nnetworks = [\"10.0.0.0/8\"]\n";

fn up(bridge: &str, remote_address: &str) -> Tproxy {
    let endpoint = Endpoint { service_port: 5030, remote_address: remote_address.into(), remote_port: 80 };
    Tproxy::Up { bridge: bridge.into(), endpoints: vec![endpoint] }
}

fn down(bridge: &str, uplink: &str) -> Tproxy {
    Tproxy::Down { bridge: bridge.into(), uplinks: vec![uplink.into()] }
}

fn resolve(name: &str) -> Tproxy {
    Tproxy::Resolve { name: name.into() }
}

fn verdict(policy: &str, effect: Tproxy) -> Option<FailureKind> {
    let policy = Policy::parse(policy, Path::new("policy.toml")).unwrap();
    policy.check(&Effect::Tproxy(effect)).err().map(|failure| failure.kind)
}

#[test]
fn bridges_services_and_names_are_granted_by_pattern() {
    for effect in [
        up("br0", "10.1.2.3"),
        down("onebr7", "eth1"),
        down("br0", "br0b"),
        down("br0", "eth1.100"),
        resolve("a.example.org"),
    ] {
        assert_eq!(verdict(POLICY, effect.clone()), None, "{effect:?}");
    }
    for effect in [
        up("docker0", "10.1.2.3"),
        up("br0", "192.168.0.1"),
        up("br0", "127.0.0.1"),
        down("docker0", "eth1"),
        down("br0", "one-7-0"),
        down("br0", "br1b"),
        // What is looked up, others hear of.
        resolve("secret.attacker.net"),
        resolve("localhost"),
    ] {
        assert_eq!(verdict(POLICY, effect.clone()), Some(FailureKind::Denied), "{effect:?}");
        assert_eq!(verdict("schema = 1", effect.clone()), Some(FailureKind::Denied), "{effect:?}");
    }
    for effect in
        [up("onebr.123456789", "10.1.2.3"), up("br0", "onegate"), up("br0", "10.0.0.1 . 1};"), down("br0", "-x")]
    {
        assert_eq!(verdict(POLICY, effect.clone()), Some(FailureKind::Invalid), "{effect:?}");
    }
}

/// A network's VLANs concern its proxy as they do its machines.
#[test]
fn a_proxys_port_is_one_of_its_bridges() {
    let policy = "schema = 1\n[links]\nbridges = [\"br[0-9]*\"]\nports = [\"one-*\"]\n";
    let policy = Policy::parse(policy, Path::new("policy.toml")).unwrap();
    let add = |port: &str| {
        let vlans = vec![PortVlan { port: port.into(), id: 100, pvid: true, untagged: true }];
        policy.check(&Effect::Links(Links::AddVlans { vlans })).err().map(|failure| failure.kind)
    };
    let remove = |port: &str| {
        let effect = Links::RemoveVlans { port: port.into(), first: 2, last: 4094 };
        policy.check(&Effect::Links(effect)).err().map(|failure| failure.kind)
    };
    assert_eq!((add("br0b"), remove("br0b")), (None, None));
    for foreign in ["docker0b", "br0a", "b", "wg0b", "br"] {
        assert_eq!(
            (add(foreign), remove(foreign)),
            (Some(FailureKind::Denied), Some(FailureKind::Denied)),
            "{foreign}"
        );
    }
}

#[test]
fn a_table_that_cannot_be_meant_is_no_policy() {
    for (wrong, word) in [
        ("networks = [\"10.0.0.0/33\"]", "at most 32 bits"),
        ("program = \"vnm/tproxy\"", "expected an absolute path"),
        ("program = \"/usr/../tmp/x\"", "expected an absolute path"),
        ("bridge = [\"br0\"]", "unknown field"),
    ] {
        let error = Policy::parse(&format!("schema = 1\n[tproxy]\n{wrong}\n"), Path::new("policy.toml")).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
}
