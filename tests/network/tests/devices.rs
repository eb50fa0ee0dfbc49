//! Devices below bridges that are there already, and down: what made them was killed, or somebody took them down.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use remotes_network_tests::scene::Machine;
use remotes_network_tests::{By, Case, Grounds, State, assert_state, isolated, sh};
use remotes_simulation::Network;

const PRE: &str = "35-vxlan-pre-multicast";

/// The host of a recorded case, with its device outside the bridge and down.
fn down(by: By) -> (Case, Grounds) {
    let case = Case::read(PRE).by(by);
    let mut grounds = case.prepare();
    assert!(matches!(grounds.call(case.driver(), case.call()).result, Some(Ok(_))));
    let state = State::now();
    let device = state.links.values().find(|link| link["kind"] == "vxlan").unwrap()["ifname"].as_str().unwrap();
    sh(&format!("ip link set {device} nomaster down"));
    assert_ne!(State::now().links, case.after().links);
    (case, grounds)
}

#[test]
fn a_device_that_is_there_comes_up_by_any_way() {
    for by in By::ALL {
        isolated(move || {
            let (case, mut grounds) = down(by);
            let outcome = grounds.call(case.driver(), case.call());
            assert!(matches!(outcome.result, Some(Ok(_))), "{outcome:?}");
            // It was there: nobody made it.
            assert!(!outcome.log.iter().any(|line| line.contains("was made")), "{outcome:?}");
            assert_state(&State::now(), &case.after(), &format!("{by:?}: {outcome:?}"));
        });
    }
}

#[test]
fn killed_before_any_effect_it_comes_up_with_the_next_call() {
    for index in 0.. {
        let (send, receive) = std::sync::mpsc::channel();
        isolated(move || {
            let (case, mut grounds) = down(By::Own);
            grounds.stop_before(index);
            let first = grounds.call(case.driver(), case.call());
            let again = grounds.call(case.driver(), case.call());
            assert!(matches!(again.result, Some(Ok(_))), "{again:?}");
            assert_state(&State::now(), &case.after(), &format!("killed before effect {index}"));
            send.send(first.result.is_some()).unwrap();
        });
        // Nothing is sent where no namespace can be made.
        if receive.recv().unwrap_or(true) {
            return;
        }
    }
}

/// Not every kernel that this is built on has VLANs.
#[test]
fn a_vlan_that_is_there_comes_up_as_well() {
    isolated(|| {
        let network =
            Network::default().link("eth1", "", None).link("br0", "bridge", None).link("eth1.5", "vlan", None);
        let mut grounds = Grounds::default();
        grounds.simulate_links(network);
        let link = |grounds: &mut Grounds| {
            grounds.simulated().links.iter_mut().find(|link| link.name == "eth1.5").unwrap().clone()
        };
        for link in &mut grounds.simulated().links {
            link.up = link.name != "eth1.5";
        }
        let more = "<PHYDEV>eth1</PHYDEV><VLAN_ID>5</VLAN_ID>".to_owned();
        Machine { more, ..Machine::new(7, "802.1Q") }.act(&mut grounds, "pre");
        let link = link(&mut grounds);
        assert_eq!((link.up, link.master.as_deref()), (true, Some("br0")));
    });
}

/// Without its number a device cannot be made: the machine must not start on a bridge that leads nowhere.
#[test]
fn a_network_without_its_number_fails_with_the_bridge_made() {
    for (driver, more, missing) in [
        ("vxlan", "<PHYDEV>eth1</PHYDEV>", Some("VLAN_ID")),
        ("vxlan", "<PHYDEV>eth1</PHYDEV><VLAN_ID><![CDATA[]]></VLAN_ID>", Some("VLAN_ID")),
        ("802.1Q", "<PHYDEV>eth1</PHYDEV>", Some("VLAN_ID")),
        // Bridges of others' making.
        ("vxlan", "<VLAN_ID>5</VLAN_ID>", None),
        ("802.1Q", "<VLAN_ID>5</VLAN_ID>", None),
    ] {
        isolated(move || {
            sh("ip link add eth1 type veth peer name eth1p; ip link set eth1 up");
            let (machine, mut grounds) = (Machine { more: more.into(), ..Machine::new(7, driver) }, Grounds::default());
            for _ in 0..2 {
                let outcome = grounds.call(driver, machine.call("pre"));
                let failure = outcome.result.unwrap().err().map(|failure| failure.message);
                let expected = missing.map(|key| {
                    format!("NIC 0: its network has no {key}: bridge br0 leads nowhere; set it in the network")
                });
                assert_eq!(failure, expected, "{driver} {more}");
                assert_eq!(State::now().links.contains_key("br0"), missing.is_some(), "{driver} {more}");
            }
            machine.act(&mut grounds, "clean");
        });
    }
}

/// What the stock driver says.
#[test]
fn a_bridge_with_a_device_of_another_number_is_refused() {
    for (driver, kind) in [("802.1Q", "vlan"), ("vxlan", "vxlan")] {
        isolated(move || {
            let mut grounds = Grounds::default();
            let network = Network::default().link("eth1", "", None).link("br0", "bridge", None);
            // What it does not say of a device is no other number.
            let mut network = network.link("eth1.9", kind, Some("br0")).link("eth1.77", kind, Some("br0"));
            network.links.last_mut().unwrap().vlan = Some(77);
            grounds.simulate_links(network);
            let pre = |id: u32, grounds: &mut Grounds| {
                let more = format!("<PHYDEV>eth1</PHYDEV><VLAN_ID>{id}</VLAN_ID><CONF>validate_vlan_id=YES</CONF>");
                grounds.call(driver, Machine { more, ..Machine::new(7, driver) }.call("pre"))
            };
            let outcome = pre(78, &mut grounds);
            let failure = outcome.result.unwrap().unwrap_err();
            assert_eq!(failure.message, "Interface with an incorrect vlan_id is already in the bridge");
            let line = "Error: The interface eth1.77 has vlan_id = 77 but the network is configured with vlan_id = 78";
            assert_eq!(outcome.log, [line]);
            let outcome = pre(77, &mut grounds);
            assert!(matches!(outcome.result, Some(Ok(_))), "{outcome:?}");
        });
    }
}

/// Somebody removed the device below: what is left of the machine goes all the same.
#[test]
fn clean_does_without_the_device() {
    for by in By::ALL {
        isolated(move || {
            sh("ip link add eth1 type veth peer name eth1p; ip link set eth1 up");
            let more = "<PHYDEV>eth1</PHYDEV><VLAN_ID>77</VLAN_ID>".to_owned();
            let (machine, mut grounds) = (Machine { more, ..Machine::new(7, "vxlan") }, Grounds::by(by));
            grounds.domain(&machine.domain());
            machine.act(&mut grounds, "pre");
            machine.plug();
            machine.act(&mut grounds, "post");
            machine.unplug(0);
            sh("ip link del eth1.77");
            machine.act(&mut grounds, "clean");
            let now = State::now();
            assert!(!now.links.contains_key("br0") && !now.iptables.contains("one-7"), "{by:?}: {}", now.iptables);
            assert_eq!(now.ipset, "");
        });
    }
}

/// A network that has lost its link of the host.
#[test]
fn a_link_that_a_network_has_no_more_is_released() {
    for driver in ["bridge", "fw"] {
        isolated(move || {
            sh("ip link add eth1 type veth peer name eth1p; ip link set eth1 up");
            let mut grounds = Grounds::default();
            Machine { more: "<PHYDEV>eth1</PHYDEV>".into(), ..Machine::new(7, driver) }.act(&mut grounds, "pre");
            assert_eq!(State::now().links["eth1"]["master"], "br0");
            let template = "<VNET_UPDATE><PHYDEV>eth1</PHYDEV></VNET_UPDATE>".to_owned();
            let machine = Machine { template, ..Machine::new(7, driver) };
            for _ in 0..2 {
                machine.act(&mut grounds, "update_nic");
                assert!(State::now().links["eth1"]["master"].is_null(), "{driver}");
            }
        });
    }
}

/// The bridge that a link is a port of, `-` where it is none, nothing where there is no such link.
fn master(grounds: &mut Grounds, is_simulated: bool, name: &str) -> String {
    let master = match is_simulated {
        true => grounds.simulated().links.iter().find(|link| link.name == name).map(|link| link.master.clone()),
        false => State::now().links.get(name).map(|link| link["master"].as_str().map(str::to_owned)),
    };
    master.map(|master| master.unwrap_or_else(|| "-".to_owned())).unwrap_or_default()
}

/// Two networks of one device have it on the bridge that asked last. Who goes from the other one leaves it there.
#[test]
fn a_device_on_another_bridge_stays() {
    for (driver, is_simulated) in [("vxlan", false), ("802.1Q", true)] {
        for by in By::ALL {
            isolated(move || {
                sh("ip link add eth1 type veth peer name eth1p; ip link set eth1 up");
                let mut grounds = Grounds::by(by);
                if is_simulated {
                    grounds.simulate_links(Network::default().link("eth1", "", None));
                }
                let more = "<PHYDEV>eth1</PHYDEV><VLAN_ID>77</VLAN_ID>".to_owned();
                let first = Machine { more, ..Machine::new(7, driver) };
                let second = Machine { id: 8, bridge: "br1", ..first.clone() };
                first.act(&mut grounds, "pre");
                second.act(&mut grounds, "pre");
                let mut master = |name| self::master(&mut grounds, is_simulated, name);
                assert_eq!([master("eth1.77"), master("br0")], ["br1", "-"], "{driver}");
                first.act(&mut grounds, "clean");
                let mut master = |name| self::master(&mut grounds, is_simulated, name);
                assert_eq!([master("eth1.77"), master("br0")], ["br1", ""], "{driver} {by:?}");
                second.act(&mut grounds, "clean");
                let mut master = |name| self::master(&mut grounds, is_simulated, name);
                assert_eq!([master("eth1.77"), master("br1")], ["", ""], "{driver} {by:?}");
            });
        }
    }
}
