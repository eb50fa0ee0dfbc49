//! The life of a machine under each driver: each of its actions is killed before each of its effects and called
//! again, which must come to what it comes to undisturbed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::{Arc, Mutex};

use remotes_network_tests::scene::Machine;
use remotes_network_tests::{Grounds, State, SwitchState, isolated, sh, switched, without_carrier};
use remotes_simulation::Network;

/// Whether a driver's bridges are those of Open vSwitch.
fn is_switched(driver: &str) -> bool {
    driver.starts_with("ovswitch")
}

/// Actions in the order of a life, each with the machine as it is then.
fn life(driver: &'static str) -> Vec<(Machine, &'static str)> {
    let on = |phydev: &str, more: &str| {
        let phydev = if phydev.is_empty() { String::new() } else { format!("<PHYDEV>{phydev}</PHYDEV>") };
        let bridge = if driver == "elastic" || driver == "nodeport" { "br0" } else { "onebr5" };
        Machine { bridge, more: format!("{phydev}{more}"), ..Machine::new(7, driver) }
    };
    let changed =
        |machine: Machine, old: &str| Machine { template: format!("<VNET_UPDATE>{old}</VNET_UPDATE>"), ..machine };
    let (first, later, old) = match driver {
        "dummy" => (on("", ""), on("", ""), ""),
        "vxlan" => (on("eth1", "<VLAN_ID>77</VLAN_ID>"), on("eth1", "<VLAN_ID>78</VLAN_ID>"), "<VLAN_ID>77</VLAN_ID>"),
        "802.1Q" => (
            on("eth1", "<VLAN_ID>100</VLAN_ID><CVLANS>5,7-9</CVLANS>"),
            on("eth2", "<VLAN_ID>100</VLAN_ID><CVLANS>5,7-9</CVLANS>"),
            "<PHYDEV>eth1</PHYDEV>",
        ),
        "nodeport" => {
            let ports = "<GATEWAY>10.0.0.254</GATEWAY><EXTERNAL_PORT_RANGE>9000:9099</EXTERNAL_PORT_RANGE>\
                <INTERNAL_PORT_RANGE>1-100/9000</INTERNAL_PORT_RANGE>";
            (on("", ports), on("", ports), "")
        }
        "elastic" => (on("", ""), on("", ""), ""),
        "ovswitch" => {
            let network = |id: u32| format!("<TARGET>one-7-0</TARGET><VLAN_ID>{id}</VLAN_ID><MTU>1400</MTU>");
            (on("eth1", &network(42)), on("eth2", &network(43)), "<PHYDEV>eth1</PHYDEV><VLAN_ID>42</VLAN_ID>")
        }
        "ovswitch_vxlan" => {
            let network = "<TARGET>one-7-0</TARGET><OUTER_VLAN_ID>900</OUTER_VLAN_ID><VLAN_ID>12</VLAN_ID>";
            (on("eth1", network), on("eth2", network), "<PHYDEV>eth1</PHYDEV>")
        }
        _ => (on("eth1", ""), on("eth2", ""), "<PHYDEV>eth1</PHYDEV>"),
    };
    let (post, clean) = if driver == "elastic" { ("remote_post", "remote_clean") } else { ("post", "clean") };
    vec![
        (first.clone(), "vnet_create"),
        (first.clone(), "pre"),
        (first.clone(), post),
        (first.clone(), post),
        (Machine { rules: first.rules.replace("22,80:90", "443"), ..first }, "update_sg"),
        (changed(later.clone(), old), "update_nic"),
        (later.clone(), clean),
        (later.clone(), clean),
        (later, "vnet_delete"),
    ]
    .into_iter()
    .filter(|(_, action)| driver != "elastic" || !action.starts_with("vnet"))
    // These have no security groups.
    .filter(|(_, action)| !is_switched(driver) || *action != "update_sg")
    .collect()
}

/// What the host is like now.
fn seen(driver: &str, grounds: &mut Grounds) -> (State, String, Network, Option<SwitchState>) {
    let routes = sh("ip route; ip -6 route show scope link | grep -v fe80 || true; ip neighbour show proxy");
    (State::now(), without_carrier(&routes), grounds.simulated().clone(), is_switched(driver).then(SwitchState::now))
}

/// What happens around an action: the machine comes, or has gone.
fn meanwhile(grounds: &mut Grounds, machine: &Machine, action: &str) {
    let simulated = machine.driver == "802.1Q";
    let network = grounds.simulated();
    let tap = "one-7-0";
    match action {
        "post" if is_switched(machine.driver) => {
            sh(&format!(
                "ip link show dev {tap} >/dev/null 2>&1 || {{ ip tuntap add dev {tap} mode tap; ip link set {tap} up; \
                 ovs-vsctl --timeout=20 add-port {} {tap}; }}",
                machine.bridge
            ));
        }
        "clean" if is_switched(machine.driver) => {
            sh(&format!("ovs-vsctl --timeout=20 --if-exists del-port {tap}; ip link del {tap} 2>/dev/null || true"));
        }
        "post" | "remote_post" if !simulated => machine.plug(),
        "post" if network.links.iter().all(|link| link.name != tap) => {
            *network = std::mem::take(network).link(tap, "tun", Some(machine.bridge));
        }
        "clean" | "remote_clean" if !simulated => drop(sh(&format!("ip link del {tap} 2>/dev/null || true"))),
        "clean" => network.links.retain(|link| link.name != tap),
        _ => {}
    }
}

/// A host on which the actions before this one have been.
fn until(driver: &'static str, step: usize) -> (Grounds, Machine, &'static str) {
    let mut grounds = Grounds::default();
    if driver == "802.1Q" {
        grounds.simulate_links(Network::default().link("eth1", "", None).link("eth2", "", None));
    } else {
        sh(
            "for n in 1 2; do ip link add eth$n type veth peer name peer$n; done; ip link set eth1 up; ip link set eth2 up",
        );
    }
    if is_switched(driver) {
        grounds.configuration(":ovs_bridge_conf:\n  :datapath_type: netdev\n");
    }
    // It has no bridges of its own.
    if driver == "dummy" {
        sh("ip link add onebr5 type bridge");
    }
    let steps = life(driver);
    grounds.domain(&steps[0].0.domain());
    for (machine, action) in &steps[..step] {
        meanwhile(&mut grounds, machine, action);
        machine.act(&mut grounds, action);
    }
    let (machine, action) = steps[step].clone();
    meanwhile(&mut grounds, &machine, action);
    (grounds, machine, action)
}

/// Runs a test in a namespace of its own, with what the driver needs, and returns what it returns; none where that
/// cannot be.
fn apart<T: Send + 'static>(driver: &str, test: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let result = Arc::new(Mutex::new(None));
    let kept = result.clone();
    let run = move || *kept.lock().unwrap() = Some(test());
    match is_switched(driver) {
        true => switched(run),
        false => isolated(run),
    }
    result.lock().unwrap().take()
}

fn every_action(driver: &'static str) {
    let mut kills = 0;
    for step in 0..life(driver).len() {
        let undisturbed = apart(driver, move || {
            let (mut grounds, machine, action) = until(driver, step);
            machine.act(&mut grounds, action);
            seen(driver, &mut grounds)
        });
        let Some(undisturbed) = undisturbed else { return };
        for index in 0.. {
            let expected = undisturbed.clone();
            let ended = apart(driver, move || {
                let (mut grounds, machine, action) = until(driver, step);
                grounds.stop_before(index);
                let ended = grounds.call(driver, machine.call(action)).result.is_some();
                machine.act(&mut grounds, action);
                assert_eq!(seen(driver, &mut grounds), expected, "{driver} {action}, killed before effect {index}");
                grounds.assert_unlocked();
                ended
            });
            if ended.unwrap_or(true) {
                break;
            }
            kills += 1;
        }
    }
    println!("{driver}: {kills} kills in {} actions", life(driver).len());
}

macro_rules! drivers {
    ($($test:ident $driver:literal,)*) => { $(#[test] fn $test() { every_action($driver); })* };
}

drivers! {
    dummy "dummy",
    bridge "bridge",
    fw "fw",
    vxlan "vxlan",
    vlan "802.1Q",
    nodeport "nodeport",
    elastic "elastic",
    ovswitch "ovswitch",
    ovswitch_vxlan "ovswitch_vxlan",
}
