//! Ways out of bridges: links of the host, VXLANs, and others in their place.

use remotes_effect::types::FailureKind;
use remotes_network_tests::{SwitchState, sh, switched};

use super::{clean, host, machine, names, nic, ok, post, pre, simple, unplug, update};

#[test]
fn an_uplink_is_exchanged() {
    switched(|| {
        let mut grounds = host(&[(7, 1)]);
        sh("ip link add eth2 type veth peer name eth2p; ip link set eth2 up");
        let update_of = |network: &str, old: &str| {
            update(7, machine(7, &format!("{}<VNET_UPDATE>{old}</VNET_UPDATE>", nic("ovswitch", 7, 0, network))))
        };
        let uplinks =
            || -> Vec<String> { names(&SwitchState::now()).into_iter().filter(|it| it.starts_with("eth")).collect() };
        for _ in 0..2 {
            ok(&mut grounds, "ovswitch", update_of("<PHYDEV>eth2</PHYDEV>", "<PHYDEV>eth1</PHYDEV>"));
            assert_eq!(uplinks(), ["eth2"]);
        }
        ok(&mut grounds, "ovswitch", update_of("", "<PHYDEV>eth2</PHYDEV>"));
        assert_eq!(uplinks(), [""; 0]);
        ok(&mut grounds, "ovswitch", update_of("<PHYDEV>eth1</PHYDEV>", "<PHYDEV><![CDATA[]]></PHYDEV>"));
        assert_eq!(uplinks(), ["eth1"]);
        // Nothing that concerns the uplink.
        ok(&mut grounds, "ovswitch", update_of("<PHYDEV>eth2</PHYDEV>", "<GATEWAY>10.0.0.1</GATEWAY>"));
        assert_eq!(uplinks(), ["eth1"]);
    });
}

#[test]
fn a_vxlan_is_exchanged() {
    switched(|| {
        let mut grounds = host(&[(7, 1)]);
        let driver = "ovswitch_vxlan";
        let network =
            |id: u32| format!("<PHYDEV>eth1</PHYDEV><OUTER_VLAN_ID>{id}</OUTER_VLAN_ID><VLAN_ID>12</VLAN_ID>");
        sh("ovs-vsctl --timeout=20 del-port eth1");
        ok(&mut grounds, driver, pre(simple(driver, 7, &network(900))));
        ok(&mut grounds, driver, post(7, simple(driver, 7, &network(900))));
        assert_eq!(names(&SwitchState::now()), ["eth1.900", "one-7-0", "ovsbr0"]);
        let changed = format!(
            "{}<VNET_UPDATE><OUTER_VLAN_ID>900</OUTER_VLAN_ID></VNET_UPDATE>",
            nic(driver, 7, 0, &network(901))
        );
        for _ in 0..2 {
            ok(&mut grounds, driver, update(7, machine(7, &changed)));
            assert_eq!(names(&SwitchState::now()), ["eth1.901", "one-7-0", "ovsbr0"]);
            assert!(!sh("ip -o link show").contains("eth1.900"));
        }
        // Somebody removed the device: the next one that comes makes it again.
        sh("ip link del eth1.901");
        ok(&mut grounds, driver, post(7, simple(driver, 7, &network(901))));
        assert!(sh("ip -o link show").contains("eth1.901"));
        // One interface more in another bridge on the same VXLAN: the device stays.
        sh(
            "ovs-vsctl --timeout=20 del-port eth1.901 -- add-br ovsbr1 -- set bridge ovsbr1 datapath_type=netdev -- add-port ovsbr1 eth1.901",
        );
        unplug("one-7-0");
        ok(&mut grounds, driver, clean(simple(driver, 7, &network(901))));
        assert_eq!(names(&SwitchState::now()), ["eth1.901", "ovsbr1"]);
        assert!(sh("ip -o link show").contains("eth1.901"));
    });
}

/// The kernel has no two VXLANs of one identifier; killed at any moment, the exchange is done by the next call.
#[test]
fn a_vxlan_moves_to_another_link() {
    let driver = "ovswitch_vxlan";
    let network =
        |phydev: &str| format!("<PHYDEV>{phydev}</PHYDEV><OUTER_VLAN_ID>900</OUTER_VLAN_ID><VLAN_ID>12</VLAN_ID>");
    for index in 0.. {
        let (send, receive) = std::sync::mpsc::channel();
        switched(move || {
            let mut grounds = host(&[(7, 1)]);
            sh("ovs-vsctl --timeout=20 del-port eth1; ip link add eth2 type veth peer name eth2p; ip link set eth2 up");
            ok(&mut grounds, driver, pre(simple(driver, 7, &network("eth1"))));
            let changed =
                format!("{}<VNET_UPDATE><PHYDEV>eth1</PHYDEV></VNET_UPDATE>", nic(driver, 7, 0, &network("eth2")));
            grounds.stop_before(index);
            let first = grounds.call(driver, update(7, machine(7, &changed))).result;
            for _ in 0..2 {
                ok(&mut grounds, driver, update(7, machine(7, &changed)));
                assert_eq!(names(&SwitchState::now()), ["eth2.900", "one-7-0", "ovsbr0"], "before effect {index}");
                let device = sh("ip -d -o link show type vxlan");
                assert!(device.contains("dev eth2 ") && !device.contains("eth1.900"), "{device}");
            }
            send.send(first.is_some()).unwrap();
        });
        // Nothing is sent where there is no switch.
        if receive.recv().unwrap_or(true) {
            break;
        }
    }
}

#[test]
fn a_network_without_its_number_fails_with_the_bridge_made() {
    switched(|| {
        let mut grounds = host(&[]);
        sh("ovs-vsctl --timeout=20 del-br ovsbr0");
        let driver = "ovswitch_vxlan";
        for (network, key) in
            [("<PHYDEV>eth1</PHYDEV>", "OUTER_VLAN_ID"), ("<OUTER_VLAN_ID>9</OUTER_VLAN_ID>", "PHYDEV")]
        {
            let document = || simple(driver, 7, &format!("{network}<VLAN_ID>12</VLAN_ID>"));
            let failure = grounds.call(driver, pre(document())).result.unwrap().unwrap_err();
            assert_eq!(failure.kind, FailureKind::Invalid);
            assert!(failure.message.starts_with(&format!("NIC 0: its network has no {key}: ")), "{failure}");
            assert_eq!(names(&SwitchState::now()), ["ovsbr0"]);
            ok(&mut grounds, driver, clean(document()));
        }
    });
}
