//! What a network driver's policy lets through, and that it lets nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use remotes_effect::iptables::{
    AddressSet, Chain, Change, Condition, Effect as Iptables, Family, Physdev, PlacedRule, Ports, Position,
    Redirection, Removal, Rule, SetKind, SetLookup, Side, Table, TableChange, Target, Transaction,
};
use remotes_effect::links::{Bridge, Effect as Links, Endpoint, PortVlan, Setting, Vlan, Vxlan};
use remotes_effect::policy::Policy;
use remotes_effect::types::FailureKind;
use remotes_effect::{Effect, hooks, locks};

const POLICY: &str = r#"
schema = 1
locks = ["vnmmad::*"]
hooks = ["post"]

[iptables]
chains = ["one-*"]
shared = ["opennebula"]
callers = ["FORWARD", "INPUT"]
sets = ["one-*"]
ports = ["one-*"]

[links]
bridges = ["onebr*", "br[0-9]*"]
uplinks = ["eth*", "bond*"]
devices = ["eth*.*"]
ports = ["one-*"]
"#;

fn policy(more: &str) -> Policy {
    let sets = "sets = [\"one-*\"]";
    Policy::parse(&POLICY.replace(sets, &format!("{sets}\n{more}")), Path::new("policy.toml")).unwrap()
}

fn verdict(policy: &Policy, effect: &Effect) -> Option<FailureKind> {
    policy.check(effect).err().map(|failure| failure.kind)
}

fn change(table: Table, change: Change) -> Effect {
    let tables = vec![TableChange { family: Family::Ipv4, table, changes: vec![change] }];
    Effect::Iptables(Iptables::Apply { transaction: Transaction { sets: vec![], tables, obsolete_sets: vec![] } })
}

fn filter(value: Change) -> Effect {
    change(Table::Filter, value)
}

#[test]
fn chains_and_sets_are_seen_where_all_that_begin_so_are_granted() {
    let policy = policy("");
    let chains =
        |beginning: &str| Effect::Iptables(Iptables::Chains { family: Family::Ipv6, beginning: beginning.into() });
    let sets = |beginning: &str| Effect::Iptables(Iptables::Sets { beginning: beginning.into() });
    for effect in [chains("one-"), chains("one-7-"), chains("opennebula"), sets("one-"), sets("one-7-0")] {
        assert_eq!(verdict(&policy, &effect), None, "{effect:?}");
    }
    // Where rules may be placed that lead there, it can be looked whether they are.
    for effect in [chains("FORWARD"), chains("INPUT")] {
        assert_eq!(verdict(&policy, &effect), None, "{effect:?}");
    }
    let only_own = Policy::parse("schema = 1\n[iptables]\nchains = [\"*\"]\n", Path::new("policy.toml")).unwrap();
    let denial = only_own.check(&chains("FORWARD")).unwrap_err();
    assert!(denial.message.contains("`callers` under [iptables]"), "{denial:?}");
    for effect in
        [chains("on"), chains("INPU"), chains("OUTPUT"), chains("DOCKER"), chains("one"), sets("on"), sets("other")]
    {
        assert_eq!(verdict(&policy, &effect), Some(FailureKind::Denied), "{effect:?}");
    }
    for effect in [chains(""), chains("-x"), chains("one-\n"), sets(""), sets("one 7")] {
        assert_eq!(verdict(&policy, &effect), Some(FailureKind::Invalid), "{effect:?}");
    }
}

fn rule(conditions: Vec<Condition>, target: Target) -> Rule {
    Rule { conditions, target }
}

fn jump(chain: &str) -> Target {
    Target::Jump(chain.into())
}

fn input(port: &str) -> Condition {
    Condition::Physdev(Physdev { input: Some(port.into()), output: None, bridged: false })
}

fn bridged() -> Condition {
    Condition::Physdev(Physdev { input: None, output: None, bridged: true })
}

fn lookup(name: &str) -> Condition {
    Condition::Lookup(SetLookup { name: name.into(), sides: vec![Side::Source], inverted: false })
}

fn add(chain: &str, rule: Rule) -> Change {
    Change::AddRule(PlacedRule { chain: chain.into(), rule, position: Position::First })
}

fn chain(name: &str, rules: Vec<Rule>) -> Chain {
    Chain { name: name.into(), rules }
}

fn removal(base: &str, callers: &[&str]) -> Change {
    Change::RemoveChains(Removal { base: base.into(), callers: callers.iter().map(|it| (*it).into()).collect() })
}

fn address_set(name: &str, member: &str) -> Effect {
    let set = AddressSet {
        name: name.into(),
        kind: SetKind::HashNet,
        family: Family::Ipv4,
        max_members: None,
        members: vec![member.into()],
    };
    Effect::Iptables(Iptables::Apply {
        transaction: Transaction { sets: vec![set], tables: vec![], obsolete_sets: vec!["one-1-0".into()] },
    })
}

#[test]
fn what_the_drivers_do_is_granted() {
    let granted = [
        filter(Change::EnsureChain(chain("opennebula", vec![rule(vec![], Target::Accept)]))),
        filter(Change::EnsureJump(PlacedRule {
            chain: "FORWARD".into(),
            rule: rule(vec![bridged()], jump("opennebula")),
            position: Position::Last,
        })),
        filter(removal("one-1-0", &["opennebula", "INPUT"])),
        filter(Change::ReplaceChain(chain(
            "one-1-0-i",
            vec![rule(vec![lookup("one-1-0-x")], Target::Back), rule(vec![], Target::Drop)],
        ))),
        filter(add("opennebula", rule(vec![input("one-1-0")], jump("one-1-0-o")))),
        filter(add("INPUT", rule(vec![input("one-1-0")], jump("one-1-0-o")))),
        address_set("one-1-0-105-i-tcp-n-inet", "10.0.0.0/8"),
        Effect::Links(Links::Entries {}),
        Effect::Links(Links::Find { name: "eth7".into() }),
        Effect::Links(Links::MakeBridge { bridge: Bridge { name: "onebr.77".into(), settings: vec![] } }),
        Effect::Links(Links::SetMaster { name: "eth1".into(), master: Some("br0".into()) }),
        Effect::Links(Links::SetMaster { name: "eth1.77".into(), master: None }),
        Effect::Links(Links::RemoveUnusedBridge { name: "br0".into(), uplinks: vec!["eth1".into(), "br0b".into()] }),
        Effect::Links(Links::Remove { name: "eth1.77".into() }),
        Effect::Hooks(hooks::Effect::Entries { action: "post".into() }),
        Effect::Locks(locks::Effect::Acquire { name: "vnmmad::sgdriver".into() }),
        Effect::Locks(locks::Effect::TryAcquire { name: "vnmmad::sgdriver".into() }),
    ];
    let policy = policy("");
    for effect in granted {
        assert_eq!(policy.check(&effect), Ok(()), "{effect:?}");
    }
}

#[test]
fn foreign_chains_and_sets_are_denied() {
    let denied = [
        filter(Change::ReplaceChain(chain("DOCKER", vec![]))),
        filter(Change::ReplaceChain(chain("INPUT", vec![]))),
        filter(Change::ReplaceChain(chain("opennebula", vec![]))),
        filter(Change::EnsureChain(chain("libvirt_INP", vec![]))),
        filter(Change::EnsureChain(chain("opennebula", vec![rule(vec![], Target::Drop)]))),
        filter(removal("opennebula", &[])),
        filter(removal("LIBVIRT", &[])),
        filter(removal("one-1-0", &["DOCKER"])),
        filter(removal("one-1-0", &["OUTPUT"])),
        filter(add("INPUT", rule(vec![], Target::Accept))),
        filter(add("INPUT", rule(vec![], Target::Drop))),
        filter(add("INPUT", rule(vec![], jump("one-1-0-o")))),
        filter(add("INPUT", rule(vec![input("eth0")], jump("one-1-0-o")))),
        filter(add("INPUT", rule(vec![bridged()], jump("one-1-0-o")))),
        filter(add("INPUT", rule(vec![], jump("opennebula")))),
        filter(add("OUTPUT", rule(vec![input("one-1-0")], jump("one-1-0-o")))),
        filter(add("FORWARD", rule(vec![], Target::Drop))),
        filter(add("FORWARD", rule(vec![Condition::ToNetwork("0.0.0.0/0".into())], jump("one-1-0-i")))),
        filter(add("opennebula", rule(vec![], Target::Drop))),
        filter(add("opennebula", rule(vec![input("one-1-0")], Target::Accept))),
        filter(add("opennebula", rule(vec![input("one-1-0")], jump("DOCKER")))),
        filter(Change::ReplaceChain(chain("one-1-0-i", vec![rule(vec![], jump("DOCKER"))]))),
        filter(Change::ReplaceChain(chain("one-1-0-i", vec![rule(vec![], Target::Masquerade)]))),
        filter(Change::ReplaceChain(chain("one-1-0-i", vec![rule(vec![lookup("kube")], Target::Back)]))),
        change(Table::Nat, add("POSTROUTING", rule(vec![], Target::Masquerade))),
        address_set("kube-sets", "10.0.0.0/8"),
        Effect::Iptables(Iptables::AddMembers { name: "blocklist".into(), members: vec![] }),
    ];
    let policy = policy("");
    for effect in denied {
        assert_eq!(verdict(&policy, &effect), Some(FailureKind::Denied), "{effect:?}");
    }
}

#[test]
fn names_that_inject_are_invalid() {
    let invalid = [
        filter(Change::ReplaceChain(chain("one-1\n-A INPUT -j ACCEPT", vec![]))),
        filter(Change::ReplaceChain(chain("one-1 -j ACCEPT", vec![]))),
        filter(Change::ReplaceChain(chain("one-a-chain-with-a-name-too-long", vec![]))),
        filter(Change::ReplaceChain(chain("one-1", vec![rule(vec![input("one-1 -j ACCEPT")], Target::Back)]))),
        filter(Change::ReplaceChain(chain(
            "one-1",
            vec![rule(vec![Condition::Protocol("tcp -j X".into())], Target::Back)],
        ))),
        address_set("one-1 x", "10.0.0.0/8"),
        address_set("one-1", "10.0.0.0/8 comment"),
        address_set("one-1", "-exist"),
        Effect::Links(Links::MakeBridge { bridge: Bridge { name: "br0 up".into(), settings: vec![] } }),
        Effect::Links(Links::Remove { name: "../eth0".into() }),
        Effect::Locks(locks::Effect::Acquire { name: "vnmmad::../../etc/x".into() }),
        Effect::Locks(locks::Effect::TryAcquire { name: "vnmmad::../../etc/x".into() }),
        Effect::Hooks(hooks::Effect::Run {
            action: "post".into(),
            name: "../pre".into(),
            arguments: vec![],
            stdin: vec![],
        }),
    ];
    let policy = policy("");
    for effect in invalid {
        assert_eq!(verdict(&policy, &effect), Some(FailureKind::Invalid), "{effect:?}");
    }
}

#[test]
fn foreign_links_are_denied() {
    let vxlan = |name: &str, lower: &str| Vxlan {
        name: name.into(),
        id: 77,
        endpoint: Endpoint::Device(lower.into()),
        group: None,
        ttl: None,
        mtu: None,
        settings: vec![],
    };
    let vlan =
        |name: &str, lower: &str| Vlan { name: name.into(), lower: lower.into(), id: 1, mtu: None, settings: vec![] };
    let denied = [
        Links::MakeBridge { bridge: Bridge { name: "docker0".into(), settings: vec![] } },
        Links::MakeBridge { bridge: Bridge { name: "virbr0".into(), settings: vec![] } },
        Links::MakeVlan { vlan: vlan("wlan0.1", "eth0") },
        Links::MakeVlan { vlan: vlan("eth0.1", "wg0") },
        Links::MakeVxlan { vxlan: vxlan("eth1.77", "wg0") },
        Links::Remove { name: "eth0".into() },
        Links::Remove { name: "br0".into() },
        Links::Remove { name: "one-1-0".into() },
        Links::RemoveUnusedBridge { name: "docker0".into(), uplinks: vec![] },
        Links::RemoveUnusedBridge { name: "br0".into(), uplinks: vec!["one-9-0".into()] },
        Links::RemoveUnusedBridge { name: "br0".into(), uplinks: vec!["br1b".into()] },
        Links::SetMaster { name: "wg0".into(), master: Some("br0".into()) },
        Links::SetMaster { name: "eth1".into(), master: Some("docker0".into()) },
        Links::SetMaster { name: "one-9-0".into(), master: None },
        Links::SetMtu { name: "eth0".into(), mtu: 68 },
        Links::FilterVlans { bridge: "docker0".into() },
        Links::AddVlans { vlans: vec![PortVlan { port: "veth1".into(), id: 1, pvid: false, untagged: false }] },
        Links::Addresses { name: "wg0".into() },
        Links::AddRoute { address: "10.0.0.1".into(), link: "br0".into() },
        Links::AddProxy { address: "10.0.0.1".into(), link: "eth0".into() },
    ];
    let policy = policy("");
    for effect in denied {
        assert_eq!(verdict(&policy, &Effect::Links(effect.clone())), Some(FailureKind::Denied), "{effect:?}");
    }
    let settings = vec![Setting { name: "master".into(), value: Some("docker0".into()) }];
    let bridge = Effect::Links(Links::MakeBridge { bridge: Bridge { name: "br0".into(), settings } });
    assert_eq!(verdict(&policy, &bridge), Some(FailureKind::Invalid));
}

#[test]
fn port_forwarding_is_for_granted_addresses() {
    let policy =
        policy("port-forwarding = [\"1024:65535\"]\nnetworks = [\"10.0.0.0/8\"]\nforwarded = [\"10.0.0.0/8\"]");
    let forward = |address: &str| {
        let ports = Condition::ToPorts(Ports { first: 9000, last: 9099 });
        let redirection =
            Redirection { address: address.into(), ports: Ports { first: 1, last: 100 }, base: Some(9000) };
        let rule = rule(vec![Condition::Protocol("tcp".into()), ports], Target::Redirect(redirection));
        change(Table::Nat, add("PREROUTING", rule))
    };
    let low = |first| {
        let redirection = Redirection { address: "10.70.0.20".into(), ports: Ports { first: 1, last: 1 }, base: None };
        let to = Condition::ToPorts(Ports { first, last: 2000 });
        let rule = rule(vec![Condition::Protocol("tcp".into()), to], Target::Redirect(redirection));
        change(Table::Nat, add("PREROUTING", rule))
    };
    // The host's own services stay the host's.
    assert_eq!(policy.check(&low(1024)), Ok(()));
    assert_eq!(verdict(&policy, &low(1023)), Some(FailureKind::Denied));
    let masquerade = |from: &str| {
        change(Table::Nat, add("POSTROUTING", rule(vec![Condition::FromNetwork(from.into())], Target::Masquerade)))
    };
    assert_eq!(policy.check(&forward("10.70.0.20")), Ok(()));
    assert_eq!(policy.check(&masquerade("10.70.0.20")), Ok(()));
    for effect in [forward("192.168.0.1"), forward("127.0.0.1"), masquerade("10.0.0.0/8"), masquerade("0.0.0.0/0")] {
        assert_eq!(verdict(&policy, &effect), Some(FailureKind::Denied), "{effect:?}");
    }
    let to = |address: &str| rule(vec![Condition::ToNetwork(address.into())], jump("one-1-0-i"));
    assert_eq!(policy.check(&filter(add("opennebula", to("10.70.0.20")))), Ok(()));
    assert_eq!(verdict(&policy, &filter(add("opennebula", to("192.168.0.1")))), Some(FailureKind::Denied));
    // It could be the host's own address.
    assert_eq!(verdict(&policy, &filter(add("INPUT", to("10.70.0.20")))), Some(FailureKind::Denied));
    assert_eq!(verdict(&policy, &filter(add("FORWARD", to("10.70.0.20")))), Some(FailureKind::Denied));
    // Where rules may lead is not where anybody's traffic may be led.
    let wide = self::policy("port-forwarding = [\"1024:65535\"]\nnetworks = [\"0.0.0.0/0\"]");
    assert_eq!(wide.check(&filter(add("opennebula", to("203.0.113.9")))), Ok(()));
    for effect in [forward("203.0.113.9"), masquerade("203.0.113.9"), forward("10.70.0.20")] {
        assert_eq!(verdict(&wide, &effect), Some(FailureKind::Denied), "{effect:?}");
    }
}

#[test]
fn the_hosts_packet_filter_is_not_opened() {
    let call = |conditions: Vec<Condition>, position| {
        let rule = rule(conditions, jump("opennebula"));
        filter(Change::EnsureJump(PlacedRule { chain: "FORWARD".into(), rule, position }))
    };
    let bridges = policy("");
    assert_eq!(bridges.check(&call(vec![bridged()], Position::Last)), Ok(()));
    // In front of the host's own rules; and all that is forwarded.
    assert_eq!(verdict(&bridges, &call(vec![bridged()], Position::First)), Some(FailureKind::Denied));
    assert_eq!(verdict(&bridges, &call(vec![], Position::Last)), Some(FailureKind::Denied));
    let routed = policy("routed = true");
    assert_eq!(routed.check(&call(vec![], Position::Last)), Ok(()));
    assert_eq!(verdict(&routed, &call(vec![], Position::First)), Some(FailureKind::Denied));
    // What INPUT sends there is what a guest sends to the host.
    let accepting = filter(Change::ReplaceChain(chain("one-1-0-o", vec![rule(vec![], Target::Accept)])));
    assert_eq!(verdict(&routed, &accepting), Some(FailureKind::Denied));
}

#[test]
fn without_tables_everything_is_denied() {
    let policy = Policy::parse("schema = 1", Path::new("policy.toml")).unwrap();
    for effect in [
        Effect::Links(Links::Entries {}),
        Effect::Links(Links::Find { name: "eth7".into() }),
        address_set("one-1", "10.0.0.0/8"),
        Effect::Hooks(hooks::Effect::Entries { action: "post".into() }),
        Effect::Locks(locks::Effect::Acquire { name: "vnmmad::sgdriver".into() }),
        Effect::Locks(locks::Effect::TryAcquire { name: "vnmmad::sgdriver".into() }),
    ] {
        let failure = policy.check(&effect).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Denied, "{effect:?}");
        assert!(failure.message.contains("would"), "{failure}");
    }
}

#[test]
fn files_of_the_test_driver_are_granted_by_what_the_drivers_ship() {
    let text = "schema = 1\n[libvirt]\nuris = [\"qemu:///system\", \"test:///**\"]\ndomains = [\"one-*\"]";
    let policy = Policy::parse(text, Path::new("policy.toml")).unwrap();
    let grant = policy.libvirt.unwrap();
    assert_eq!(grant.check_uri("test:///tmp/a.b/node.xml"), Ok(()));
    assert!(grant.check_uri("test+ssh://host/default").is_err());
    assert!(grant.check_uri("test:///x?command=id").is_err());
}
