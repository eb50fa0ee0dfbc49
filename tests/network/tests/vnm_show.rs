//! `remotes vnm show` on what the drivers made: a switch of the test's own, and rules that somebody else's come before.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::Command;

use remotes_network_tests::{Case, Grounds, isolated, sh, switched};
use remotes_test_support::{dist, until};
use serde_json::Value;

/// What is shown, where this thread is.
fn show(arguments: &[&str]) -> String {
    let output = Command::new(dist().join("bin/remotes")).args(["vnm", "show"]).args(arguments).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The lines, without what is in front of their text, that say this.
fn lines(shown: &str, text: &str) -> Vec<String> {
    let lines = shown.lines().map(|line| line.trim_start_matches(['│', '├', '└', '─', ' ']).to_owned());
    lines.filter(|line| line.contains(text)).collect()
}

/// A machine that the driver has just made ready, with what it was made on.
fn ready(name: &str) -> Grounds {
    let case = Case::read(name);
    let mut grounds = case.prepare();
    let outcome = grounds.call(case.driver(), case.call());
    assert!(matches!(outcome.result, Some(Ok(_))), "{outcome:?}");
    grounds
}

#[test]
fn what_the_driver_of_open_vswitch_made_is_seen() {
    switched(|| {
        let _grounds = ready("51-ovswitch-post-spoofing");
        let shown = show(&[]);
        assert_eq!(lines(&shown, "bridge "), ["bridge ovsbr0 (Open vSwitch, up, MTU 1450)"], "{shown}");
        assert_eq!(lines(&shown, "NIC 0: one-61-0 (").len(), 1, "{shown}");
        assert_eq!(
            lines(&shown, "flows: "),
            ["flows: only the machine's own addresses pass (MAC, ARP, IP)"],
            "{shown}"
        );
        assert_eq!(lines(&shown, "VLANs: "), ["VLANs: all"], "{shown}");
        for nothing in ["on no bridge", "not seen", "IPv4", "ovs-netdev"] {
            assert!(!shown.contains(nothing), "{nothing}: {shown}");
        }
        sh("ovs-vsctl set Port one-61-0 vlan_mode=dot1q-tunnel tag=7 cvlans=5,6");
        let shown = show(&[]);
        assert_eq!(lines(&shown, "VLANs: "), ["VLANs: tag 7, dot1q-tunnel, cvlans 5-6"], "{shown}");
    });
}

#[test]
fn flows_that_do_not_hold_are_seen() {
    for (damage, expected) in [
        ("ovs-ofctl del-flows ovsbr0 in_port=1", "flows: none, everything passes"),
        (
            "ovs-ofctl add-flow ovsbr0 priority=60000,actions=NORMAL",
            "flows: BROKEN: another flow comes before them; `post` makes them again",
        ),
        (
            "ovs-vsctl del-port one-61-0 -- --id=@it create Interface name=one-61-0 ofport_request=9 \
             -- --id=@port create Port name=one-61-0 interfaces=@it -- add Bridge ovsbr0 ports @port",
            "flows: BROKEN: they are for port number 1, which this port has no more; `post` makes them again",
        ),
        ("ovs-vsctl del-port one-61-0", "flows: left on bridge ovsbr0; `clean` removes them"),
    ] {
        switched(move || {
            let _grounds = ready("51-ovswitch-post-spoofing");
            sh(damage);
            until(expected, || Ok((lines(&show(&[]), "flows: ") == [expected]).then_some(()))).unwrap();
        });
    }
}

#[test]
fn uplinks_of_a_switch_have_their_vlans() {
    switched(|| {
        let _grounds = ready("50-ovswitch-post-vlan");
        sh("ovs-vsctl set Port eth1 trunks=42,43 -- add-port ovsbr0 gre0 -- set Interface gre0 type=gre \
            options:remote_ip=192.0.2.1");
        let shown = show(&[]);
        assert_eq!(
            lines(&shown, "uplink "),
            ["uplink eth1 (veth, up, trunks 42-43)", "uplink gre0 (no link of the kernel's)"],
            "{shown}"
        );
        assert_eq!(lines(&shown, "VLANs: "), ["VLANs: tag 42, native-untagged"], "{shown}");
        assert_eq!(lines(&shown, "flows: ")[0], "flows: no address is looked at, everything passes", "{shown}");
        let host: Value = serde_json::from_str(&show(&["--json"])).unwrap();
        let bridge = &host["bridges"][0];
        assert_eq!((&bridge["openvswitch"], &bridge["uplinks"][0]["vlans"]["trunks"][1]), (&true.into(), &43.into()));
        assert_eq!(bridge["machines"][0]["interfaces"][0]["vlans"]["tag"], 42);
        assert!(show(&["--dot"]).contains("\"openvswitch ovsbr0\" -- \"nic 60 0\" [];"));
    });
}

/// The rules of a driver are as they are recorded, and then somebody else's come before them.
#[test]
fn rules_that_packets_do_not_get_to_are_seen() {
    const REMOVE: &str = "remove it or put it last, then `update_sg` or `post`";
    for (name, damage, expected) in [
        ("15-fw-post-net", "true", None),
        (
            "15-fw-post-net",
            "iptables -F FORWARD",
            Some(
                "BROKEN: FORWARD does not lead to the chain opennebula; `update_sg` or `post` adds the rule".to_owned(),
            ),
        ),
        (
            "15-fw-post-net",
            "iptables -I FORWARD -m physdev --physdev-is-bridged -j ACCEPT; iptables -I FORWARD -i lo -j ACCEPT",
            Some(format!("BROKEN: rule 2 of FORWARD takes packets before the chain opennebula: {REMOVE}")),
        ),
        (
            "15-fw-post-net",
            "sysctl -qw net.bridge.bridge-nf-call-iptables=0",
            Some("BROKEN: packets of the bridge do not meet them: net.bridge.bridge-nf-call-iptables".to_owned()),
        ),
        (
            "15-fw-post-net",
            "iptables -F INPUT",
            Some(
                "INPUT does not lead there, all may be sent to this host: `update_sg` or `post` mends that".to_owned(),
            ),
        ),
    ] {
        isolated(move || {
            let _grounds = ready(name);
            sh(damage);
            let shown = show(&[]);
            let [ipv4, ipv6] = ["IPv4: ", "IPv6: "].map(|family| lines(&shown, family));
            assert!(ipv4.len() == 1 && ipv6.len() == 1 && !ipv6[0].contains("BROKEN"), "{damage}: {shown}");
            match &expected {
                None => assert!(ipv4[0].ends_with(" out") && ipv6[0].ends_with(" out"), "{damage}: {shown}"),
                Some(expected) => assert!(ipv4[0].contains(expected), "{damage}: {shown}"),
            }
        });
    }
}

/// As the stock drivers have it, which nobody would guess.
#[test]
fn what_is_routed_past_the_outbound_rules_is_seen() {
    isolated(|| {
        let _grounds = ready("58-nodeport-post");
        let shown = show(&[]);
        let ipv4 = lines(&shown, "IPv4: ");
        assert!(ipv4.len() == 1 && ipv4[0].contains("out (not for what this host routes: "), "{shown}");
    });
}
