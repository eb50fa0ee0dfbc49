#![allow(clippy::unwrap_used, clippy::expect_used)]

use remotes_effect::iptables::ListedChain;
use remotes_effect::network::flows;
use remotes_effect::openvswitch::{self, VlanMode};
use remotes_network::iptables::bridged::Bridged;

use super::super::seen::{Rules, Switch};
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
    let called = |names: &[&str]| -> Vec<String> { names.iter().map(|it| format!("-m physdev -j {it}")).collect() };
    let forward = || vec!["-m physdev --physdev-is-bridged -j opennebula".to_owned()];
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
                forward: forward(),
                input: called(&["one-7-0-o"]),
                bridged: Bridged::All,
            }),
            Some(Rules {
                chains: both(),
                entry: called(&["one-7-0-o"]),
                forward: forward(),
                input: vec![],
                bridged: Bridged::All,
            }),
        ],
        sets: Some(vec![set("one-7-0-100-i-nr-inet", 4), set("one-7-0-ip-spoofing", 1), set("one-9-3-ip-spoofing", 0)]),
        ..Seen::default()
    }
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

fn port(name: &str, number: Option<u32>) -> openvswitch::Port {
    openvswitch::Port {
        name: name.into(),
        number,
        tag: None,
        trunks: vec![],
        vlan_mode: None,
        cvlans: vec![],
        mtu: None,
    }
}

/// A switch with machines 61, filtered, and 62, whose flows are for another port; 63 has left its own, and a function
/// of a card has those of 64. Beside it one whose flows were not seen.
fn switched() -> Seen {
    const FLOWS: &str = concat!(
        include_str!("../../../../../tests/golden/vnm/51-ovswitch-post-spoofing/after/ovs-flows.txt"),
        " priority=100,in_port=7 actions=note:00.00.00.3e.00.00,resubmit(,10)\n",
        " priority=100,in_port=8 actions=note:00.00.00.3f.00.02,resubmit(,10)\n",
        " priority=100,in_port=9 actions=note:00.00.00.40.00.00,resubmit(,10)\n",
    );
    let tagged = openvswitch::Port {
        tag: Some(42),
        trunks: vec![22, 10, 20, 21],
        vlan_mode: Some(VlanMode::NativeUntagged),
        ..port("one-61-0", Some(1))
    };
    let tunnel = openvswitch::Port {
        tag: Some(7),
        vlan_mode: Some(VlanMode::Dot1qTunnel),
        cvlans: vec![5, 6],
        ..port("one-62-0", Some(2))
    };
    let ports = vec![port("enp1s0_3", Some(9)), port("eth1.100", Some(3)), port("gre0", None), tagged, tunnel];
    let bridge = |name: &str, ports| openvswitch::Bridge { name: name.into(), ports };
    Seen {
        links: vec![
            link("enp1s0_3", "", Some("ovs-system")),
            link("eth1.100", "vlan", Some("ovs-system")),
            link("one-61-0", "tun", Some("ovs-system")),
            link("ovs-system", "openvswitch", None),
            link("ovsbr0", "tun", None),
        ],
        rules: [Some(Rules::default()), Some(Rules::default())],
        switches: vec![
            Switch { bridge: bridge("ovsbr0", ports), flows: Some(flows::parse(FLOWS)) },
            Switch { bridge: bridge("ovsbr1", vec![port("one-65-0", Some(1))]), flows: None },
        ],
        ..Seen::default()
    }
}

#[test]
fn bridges_of_open_vswitch_are_shown_with_their_vlans_and_flows() {
    let expected = "\
this host
├─ bridge ovsbr0 (Open vSwitch, up, MTU 1500)
│  ├─ uplink enp1s0_3 (hardware, up, with the flows of NIC 0 of VM 64)
│  ├─ uplink eth1.100 (vlan 100 on eth1, up)
│  ├─ uplink gre0 (no link of the kernel's)
│  ├─ VM 61
│  │  └─ NIC 0: one-61-0 (02:00:00:00:00:07, up)
│  │     ├─ VLANs: tag 42, trunks 10,20-22, native-untagged
│  │     └─ flows: only the machine's own addresses pass (MAC, ARP, IP)
│  └─ VM 62
│     └─ NIC 0: one-62-0 (no link of the kernel's)
│        ├─ VLANs: tag 7, dot1q-tunnel, cvlans 5-6
│        └─ flows: BROKEN: they are for port number 7, which this port has no more; `post` makes them again
├─ bridge ovsbr1 (Open vSwitch, down)
│  └─ VM 65
│     └─ NIC 0: one-65-0 (no link of the kernel's)
│        ├─ VLANs: all
│        └─ flows: not seen
└─ on no bridge
   └─ VM 63
      └─ NIC 2: no interface on this host
         └─ flows: left on bridge ovsbr0; `clean` removes them
";
    let shown = tree::tree(&Host::of(switched()));
    assert_eq!(shown, expected, "{shown}");
}

#[test]
fn the_graph_and_json_have_them_too() {
    let host = Host::of(switched());
    let graph = dot::graph(&host);
    for part in [
        r#""openvswitch ovsbr0" [label="bridge ovsbr0\nOpen vSwitch\nMTU 1500", style=rounded];"#,
        r#""openvswitch ovsbr0" -- "nic 61 0" [];"#,
        r#"label="one-61-0\nVLANs: tag 42, trunks 10,20-22, native-untagged\nflows: only the machine's own"#,
        r#""openvswitch ovsbr0" -- "nic 62 0" [color=red];"#,
        r#""link eth1.100" -- "openvswitch ovsbr0" [];"#,
    ] {
        assert!(graph.contains(part), "{part}: {graph}");
    }
    let json = serde_json::to_value(&host).unwrap();
    let bridge = &json["bridges"][0];
    assert_eq!((&bridge["openvswitch"], &bridge["uplinks"][0]["flows_of"]["vm"]), (&true.into(), &64.into()));
    let nic = &bridge["machines"][0]["interfaces"][0];
    assert_eq!(nic["vlans"]["trunks"], serde_json::json!([22, 10, 20, 21]));
    assert_eq!(nic["flows"], serde_json::json!({ "state": "in-force", "mac": true, "arp": true, "ip": true }));
    assert_eq!(
        bridge["machines"][1]["interfaces"][0]["flows"],
        serde_json::json!({ "state": "broken", "reason": "moved", "from": 7 })
    );
}

/// Nothing is said to pass that the switch may filter.
#[test]
fn what_a_switch_does_that_is_not_seen_is_not_known() {
    let links = vec![link("br0", "bridge", None), link("one-7-0", "tun", Some("br0")), link("one-8-0", "tun", None)];
    let rules = [Some(Rules::default()), Some(Rules::default())];
    let shown = tree::tree(&Host::of(Seen { links, rules, is_switch_unseen: true, ..Seen::default() }));
    let (bridged, other) = shown.split_once("on no bridge").unwrap();
    assert!(bridged.contains("IPv4: no rules, everything passes") && !bridged.contains("flows"), "{shown}");
    assert!(other.contains("└─ flows: not seen") && !other.contains("everything passes"), "{shown}");
}

/// The database takes any name.
#[test]
fn names_of_the_switch_stay_in_their_places() {
    let name = "x\"]; y [\n\u{1b}[2J";
    let bridge = openvswitch::Bridge { name: name.into(), ports: vec![port(name, None)] };
    let host = Host::of(Seen { switches: vec![Switch { bridge, flows: None }], ..Seen::default() });
    let (tree, graph) = (tree::tree(&host), dot::graph(&host));
    assert_eq!(tree.lines().count(), 3, "{tree}");
    assert!(![&tree, &graph].iter().any(|text| text.contains('\u{1b}')), "{tree}{graph}");
    assert!(graph.lines().all(|line| !line.trim_start().starts_with("y [")), "{graph}");
}

/// A bridge of the kernel's may have the name that the database has for one; each has its own ports.
#[test]
fn bridges_of_the_same_name_are_two() {
    let mut seen = seen();
    let bridge = openvswitch::Bridge { name: "onebr.100".into(), ports: vec![port("eth9", None)] };
    seen.switches.push(Switch { bridge, flows: Some(vec![]) });
    let host = Host::of(seen);
    assert_eq!(host.bridges.iter().map(|it| it.openvswitch).collect::<Vec<_>>(), [false, true]);
    let graph = dot::graph(&host);
    assert!(graph.contains("\"link eth9\" -- \"openvswitch onebr.100\"") && graph.contains("\"bridge onebr.100\" --"));
}
