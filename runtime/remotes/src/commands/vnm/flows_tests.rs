#![allow(clippy::unwrap_used, clippy::expect_used)]

use remotes_effect::network::flows;

use super::*;

/// What `post` makes for NIC 0 of VM 61, at port 1, with all filters.
const FILTERED: &str = include_str!("../../../../../tests/golden/vnm/51-ovswitch-post-spoofing/after/ovs-flows.txt");
/// For NIC 0 of VM 62, without.
const OPEN: &str = include_str!("../../../../../tests/golden/vnm/52-ovswitch-post-trunk/after/ovs-flows.txt");

fn of(listing: &str, number: u32, key: Key) -> Flows {
    Flows::of(Some(&flows::parse(listing)), Some(number), key)
}

#[test]
fn what_the_driver_makes_is_understood() {
    assert_eq!(of(FILTERED, 1, (61, 0)), Flows::InForce { mac: true, arp: true, ip: true });
    assert_eq!(of(OPEN, 1, (62, 0)), Flows::InForce { mac: false, arp: false, ip: false });
    assert_eq!(of(OPEN, 2, (63, 0)), Flows::None);
    assert_eq!(Flows::of(None, Some(1), (61, 0)), Flows::Unseen);
    let without = |text: &str| FILTERED.lines().filter(|line| !line.contains(text)).collect::<Vec<_>>().join("\n");
    assert_eq!(
        of(&without("table=20, priority=40000,ipv6"), 1, (61, 0)),
        Flows::InForce { mac: true, arp: true, ip: false }
    );
    assert_eq!(of(&without("priority=49000,arp"), 1, (61, 0)), Flows::InForce { mac: true, arp: false, ip: true });
    assert_eq!(
        of(&without("table=10, priority=40000"), 1, (61, 0)),
        Flows::InForce { mac: false, arp: true, ip: true }
    );
}

#[test]
fn flows_that_do_not_do_what_they_are_for_are_broken() {
    assert_eq!(of(FILTERED, 4, (61, 0)), Flows::Broken(Broken::Moved { from: 1 }));
    assert_eq!(of(FILTERED, 1, (7, 1)), Flows::Broken(Broken::Others { vm: 61, nic: 0 }));
    assert_eq!(Flows::of(Some(&[]), None, (61, 0)), Flows::Broken(Broken::NoNumber));
    for before in [
        "priority=200,in_port=1 actions=NORMAL",
        "priority=200 actions=NORMAL",
        "table=10, priority=60000,in_port=1 actions=NORMAL",
    ] {
        assert_eq!(of(&format!("{before}\n{FILTERED}"), 1, (61, 0)), Flows::Broken(Broken::Bypassed), "{before}");
    }
    // What is for other ports, or for some packets only.
    for other in ["priority=200,in_port=2 actions=NORMAL", "priority=200,tcp actions=drop"] {
        assert!(matches!(of(&format!("{other}\n{FILTERED}"), 1, (61, 0)), Flows::InForce { .. }), "{other}");
    }
    let passing = format!("table=20, priority=60000,in_port=1 actions=NORMAL\n{FILTERED}");
    assert_eq!(of(&passing, 1, (61, 0)), Flows::InForce { mac: true, arp: false, ip: false });
    assert_eq!(of("in_port=1,tcp,tp_dst=25 actions=drop", 1, (61, 0)), Flows::Foreign { flows: 1 });
}

#[test]
fn notes_name_an_interface() {
    let noted = |actions: &str| flows::parse(&format!("in_port=1 actions={actions}")).iter().find_map(noted);
    assert_eq!(noted("note:00.01.00.3c.00.07,resubmit(,10)"), Some((65596, 7)));
    for other in ["note:00.00,NORMAL", "note:,NORMAL", "note:00.00.00.3c.00.0g", "note:1.2.3.4.5.6.7.8", "drop"] {
        assert_eq!(noted(other), None, "{other}");
    }
}
