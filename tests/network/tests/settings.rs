//! OpenNebulaNetwork.conf as operators write it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use remotes_effect::vnm::Call;
use remotes_network_tests::scene::Machine;
use remotes_network_tests::{Grounds, isolated, sh};

/// The examples of the file that OpenNebula ships, as they stand there but for the mark of a comment.
const EXAMPLES: &str = ":ip_bridge_conf:\n    :stp_state: on\n:keep_empty_bridge: on\n";

#[test]
fn the_shipped_examples_do_what_they_say() {
    isolated(|| {
        let mut grounds = Grounds::default();
        grounds.configuration(EXAMPLES);
        let machine = Machine::new(7, "bridge");
        machine.act(&mut grounds, "pre");
        assert!(sh("ip -d link show br0").contains("stp_state 1"));
        machine.act(&mut grounds, "clean");
        sh("ip link show br0");
    });
}

/// Rules that no packet meets filter nobody, and `post` comes to its end all the same.
#[test]
fn post_says_where_packets_of_bridges_do_not_meet_the_rules() {
    for (settings, expected) in [
        ("", None),
        (
            "net.bridge.bridge-nf-call-iptables=0",
            Some("`sysctl -w net.bridge.bridge-nf-call-iptables=1` has them do so"),
        ),
        (
            "net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0",
            Some(
                "`sysctl -w net.bridge.bridge-nf-call-ip6tables=1; sysctl -w net.bridge.bridge-nf-call-iptables=1` has",
            ),
        ),
    ] {
        isolated(move || {
            let mut grounds = Grounds::default();
            let machine = Machine::new(7, "fw");
            machine.act(&mut grounds, "pre");
            machine.plug();
            grounds.domain(&machine.domain());
            // The kernel's own settings are there when a bridge is.
            machine.act(&mut grounds, "post");
            if !settings.is_empty() {
                sh(&format!("sysctl -qw {settings}"));
            }
            let outcome = grounds.call("fw", machine.call("post"));
            assert!(matches!(outcome.result, Some(Ok(_))), "{outcome:?}");
            let told: Vec<&String> = outcome.log.iter().filter(|line| line.contains("packets of bridges")).collect();
            assert_eq!(told.len(), usize::from(expected.is_some()), "{outcome:?}");
            assert!(told.iter().all(|line| line.contains(expected.unwrap())), "{outcome:?}");
            // Who takes rules away needs not be told.
            let outcome = grounds.call("fw", machine.call("clean"));
            assert!(!outcome.log.iter().any(|line| line.contains("packets of bridges")), "{outcome:?}");
        });
    }
}

#[test]
fn of_two_entries_the_last_counts() {
    isolated(|| {
        let mut grounds = Grounds::default();
        grounds.configuration(":keep_empty_bridge: true\n:keep_empty_bridge: false\n");
        let machine = Machine::new(7, "bridge");
        machine.act(&mut grounds, "pre");
        machine.act(&mut grounds, "clean");
        assert!(!sh("ip -o link").contains("br0"));
    });
}

/// `CONF` of a network, and whether a bridge that nobody uses any more stays.
#[test]
fn a_networks_own_entries() {
    for (conf, stays) in [
        ("keep_empty_bridge=yes", true),
        ("keep_empty_bridge=true,keep_empty_bridge=no", false),
        ("keep_empty_bridge=false, keep_empty_bridge=True", true),
        ("keep_empty_bridge=1", true),
        ("keep_empty_bridge=off", false),
        ("keep_empty_bridge=OFF", false),
    ] {
        isolated(move || {
            let mut grounds = Grounds::default();
            let machine = Machine { more: format!("<CONF>{conf}</CONF>"), ..Machine::new(7, "bridge") };
            machine.act(&mut grounds, "pre");
            machine.act(&mut grounds, "clean");
            assert_eq!(sh("ip -o link").contains("br0"), stays, "{conf}");
        });
    }
}

/// The built-in settings are used; the hypervisor's address is in another file.
#[test]
fn a_file_that_is_none_stops_no_action() {
    isolated(|| {
        let mut grounds = Grounds::default();
        grounds.configuration(":a: [");
        let machine = Machine::new(7, "fw");
        machine.act(&mut grounds, "pre");
        machine.plug();
        grounds.domain(&machine.domain());
        for action in ["post", "update_sg", "clean"] {
            machine.act(&mut grounds, action);
        }
    });
}

#[test]
fn a_filter_that_is_meant_is_there() {
    isolated(|| {
        let mut grounds = Grounds::default();
        let more = "<FILTER_MAC_SPOOFING>YES </FILTER_MAC_SPOOFING>".to_owned();
        let machine = Machine { more, ..Machine::new(7, "fw") };
        machine.act(&mut grounds, "pre");
        machine.plug();
        grounds.domain(&machine.domain());
        machine.act(&mut grounds, "post");
        assert!(sh("iptables -S one-7-0-o").contains("! --mac-source"), "{}", sh("iptables -S"));
    });
}

/// What a network does not say, or says wrongly, is not made up.
#[test]
fn a_network_that_cannot_be_is_refused() {
    for (driver, more, word) in [
        ("vxlan", "<PHYDEV>eth1</PHYDEV><VLAN_ID>7</VLAN_ID><MTU>large</MTU>", "MTU is \"large\""),
        ("bridge", "", "has no BRIDGE"),
    ] {
        isolated(move || {
            sh("ip link add eth1 type veth peer name eth1peer");
            let mut grounds = Grounds::default();
            let machine = Machine { more: more.to_owned(), ..Machine::new(7, driver) };
            let vm = match more {
                "" => machine.document().replace("<BRIDGE>br0</BRIDGE>", ""),
                _ => machine.document(),
            };
            let outcome = grounds.call(driver, Call::Pre { vm });
            let Some(Err(failure)) = &outcome.result else { panic!("{outcome:?}") };
            assert!(failure.message.contains(word), "{failure}");
        });
    }
}

/// `:vxlan_ttl: false` leaves it to the kernel.
#[test]
fn the_hops_of_a_vxlan_may_be_unset() {
    isolated(|| {
        sh("ip link add eth1 type veth peer name eth1peer; ip link set eth1 up");
        let mut grounds = Grounds::default();
        grounds.configuration(":vxlan_ttl:\tfalse\n:vxlan_mtu: 1400\n");
        let more = "<PHYDEV>eth1</PHYDEV><VLAN_ID>7</VLAN_ID>".to_owned();
        Machine { more, ..Machine::new(7, "vxlan") }.act(&mut grounds, "pre");
        let link = sh("ip -d link show eth1.7");
        assert!(link.contains("mtu 1400") && !link.contains("ttl 16"), "{link}");
    });
}

#[test]
fn keys_as_people_write_them() {
    for (file, conf) in [("keep_empty_bridge: true\n", ""), ("", "<CONF> keep_empty_bridge = yes</CONF>")] {
        isolated(move || {
            let mut grounds = Grounds::default();
            grounds.configuration(&format!(":vlan_mtu: 1500\n{file}"));
            let machine = Machine { more: conf.to_owned(), ..Machine::new(7, "bridge") };
            machine.act(&mut grounds, "pre");
            machine.act(&mut grounds, "clean");
            assert!(sh("ip -o link").contains("br0"), "{file}{conf}");
        });
    }
}

/// VLANs that are none would be let through, or nothing would.
#[test]
fn a_list_of_vlans_that_is_none_is_refused() {
    for (driver, more, word) in [
        ("bridge", "<PHYDEV>eth1</PHYDEV><VLAN_TAGGED_ID>x</VLAN_TAGGED_ID>", "VLAN_TAGGED_ID is \"x\""),
        ("802.1Q", "<PHYDEV>eth1</PHYDEV><VLAN_ID>7</VLAN_ID><CVLANS>1-</CVLANS>", "CVLANS is \"1-\""),
    ] {
        isolated(move || {
            let mut grounds = Grounds::default();
            let machine = Machine { more: more.to_owned(), ..Machine::new(7, driver) };
            grounds.domain(&machine.domain());
            let post = Call::Post { vm: machine.document(), deploy_id: "one-7".into(), host: "node1".into() };
            let outcome = grounds.call(driver, post);
            let Some(Err(failure)) = &outcome.result else { panic!("{outcome:?}") };
            assert!(failure.message.contains(word), "{failure}");
        });
    }
}

#[test]
fn numbers_may_have_underscores() {
    isolated(|| {
        let mut grounds = Grounds::default();
        grounds.configuration(":ipset_maxelem: 100_000\n");
        let machine = Machine::new(7, "fw");
        machine.act(&mut grounds, "pre");
        machine.plug();
        grounds.domain(&machine.domain());
        machine.act(&mut grounds, "post");
        assert!(sh("ipset save").contains("maxelem 100000"), "{}", sh("ipset save"));
    });
}
