#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::super::{dot, tree};
use super::*;

fn link(name: &str, kind: &str, master: Option<&str>) -> Link {
    Link {
        name: name.into(),
        kind: kind.into(),
        master: master.map(str::to_owned),
        lower: (kind == "vlan").then(|| "eth1".into()),
        vlan: (kind == "vlan").then_some(100),
        mtu: 1500,
        up: true,
        mac: "02:00:00:00:00:07".into(),
    }
}

fn chain(name: &str, rules: usize) -> ListedChain {
    ListedChain { name: name.into(), rules: vec!["-j RETURN".into(); rules] }
}

fn set(name: &str, members: u32) -> ListedSet {
    ListedSet { name: name.into(), members }
}

/// A host with machine 7 on a bridge, filtered for IPv4 and half for IPv6, and what machine 9 left.
fn seen() -> Seen {
    let called = |names: &[&str]| names.iter().map(|name| format!("-m physdev -j {name}")).collect();
    let both = || vec![chain("one-7-0-i", 3), chain("one-7-0-o", 1)];
    Seen {
        links: vec![
            link("eth1", "", None),
            link("onebr.100", "bridge", None),
            link("eth1.100", "vlan", Some("onebr.100")),
            link("one-7-0", "tun", Some("onebr.100")),
            link("one-7-1", "tun", Some("onebr.100")),
            link("one-7-1x", "tun", Some("onebr.100")),
        ],
        rules: [
            Some(Rules {
                chains: [both(), vec![chain("one-9-0-i", 1)]].concat(),
                entry: called(&["one-7-0-o", "one-7-0-i"]),
            }),
            Some(Rules { chains: both(), entry: called(&["one-7-0-o"]) }),
        ],
        sets: Some(vec![set("one-7-0-100-i-nr-inet", 4), set("one-7-0-ip-spoofing", 1), set("one-9-3-ip-spoofing", 0)]),
        unseen: vec![],
    }
}

/// No packet gets past a rule that accepts everything.
#[test]
fn rules_that_nothing_meets_are_not_in_force() {
    let mut seen = seen();
    let rules = seen.rules[0].as_mut().unwrap();
    assert!(matches!(filter("one-7-0", Some(rules)), Filter::InForce { .. }));
    rules.entry.push("-j ACCEPT".into());
    assert!(matches!(filter("one-7-0", Some(rules)), Filter::InForce { .. }));
    rules.entry.insert(1, "-j ACCEPT".into());
    assert!(matches!(filter("one-7-0", Some(rules)), Filter::Broken));
}

#[test]
fn the_tree_shows_who_is_where_and_what_filters_it() {
    let expected = "\
this host
├─ bridge onebr.100 (up, MTU 1500)
│  ├─ uplink eth1.100 (vlan 100 on eth1, up)
│  ├─ uplink one-7-1x (tun, up)
│  └─ VM 7
│     ├─ NIC 0: one-7-0 (02:00:00:00:00:07, up)
│     │  ├─ IPv4: 3 rules in, 1 out
│     │  ├─ IPv6: BROKEN: the chains are not in force; `update_sg` or `post` makes them again
│     │  ├─ security groups with networks: 100
│     │  ├─ set one-7-0-100-i-nr-inet: 4 members
│     │  └─ set one-7-0-ip-spoofing: 1 member
│     └─ NIC 1: one-7-1 (02:00:00:00:00:07, up)
│        ├─ IPv4: no rules, everything passes
│        └─ IPv6: no rules, everything passes
└─ on no bridge
   └─ VM 9
      ├─ NIC 0: no interface on this host
      │  ├─ IPv4: BROKEN: the chains are not in force; `update_sg` or `post` makes them again
      │  └─ IPv6: no rules, everything passes
      └─ NIC 3: no interface on this host
         ├─ IPv4: no rules, everything passes
         ├─ IPv6: no rules, everything passes
         └─ set one-9-3-ip-spoofing: 0 members
";
    let shown = tree::tree(&Host::of(seen()));
    assert_eq!(shown, expected, "{shown}");
}

#[test]
fn what_cannot_be_seen_is_said() {
    let links = vec![link("br0", "bridge", None), link("one-7-0", "tun", Some("br0"))];
    let unseen = vec!["rules of IPv4: who knows".to_owned()];
    let host = Host::of(Seen { links, unseen, ..Seen::default() });
    let shown = tree::tree(&host);
    assert!(shown.contains("IPv4: not seen\n") && shown.ends_with("└─ rules of IPv4: who knows\n"), "{shown}");
    assert!(dot::graph(&host).contains("not seen: rules of IPv4: who knows"));
    assert_eq!(
        serde_json::to_value(&host).unwrap()["bridges"][0]["machines"][0]["interfaces"][0]["ipv4"]["state"],
        "unseen"
    );
    assert!(tree::tree(&Host::of(Seen::default())).contains("no bridge"));
}

#[test]
fn names_cannot_break_out_of_the_graph() {
    let host = Host::of(Seen { links: vec![link("x\"]; y [\\", "bridge", None)], ..Seen::default() });
    let graph = dot::graph(&host);
    assert!(graph.contains(r#""bridge x\"]; y [\\" [label="bridge x\"]; y [\\\nMTU 1500""#), "{graph}");
}
