//! Bridges of Open vSwitch.

use remotes_effect::links::Link;
use remotes_effect::openvswitch;

use super::flows::{Flows, Key, noted};
use super::picture::{Bridge, Machine, Owner, Port, Uplink};
use super::seen::{Seen, Switch, plugged};
use super::vlans::Vlans;

/// A bridge with the machines on it. What the kernel knows of it is the host's own end.
pub fn bridge(switch: &Switch, machines: Vec<Machine>, seen: &Seen) -> Bridge {
    let openvswitch::Bridge { name, ports } = &switch.bridge;
    let link = link(name, seen);
    let uplinks = ports.iter().filter(|port| plugged(port).is_none()).map(|port| uplink(port, switch, seen));
    Bridge {
        name: name.clone(),
        openvswitch: true,
        up: link.is_some_and(|link| link.up),
        mtu: link.map(|link| link.mtu),
        uplinks: uplinks.collect(),
        machines,
    }
}

fn link<'a>(name: &str, seen: &'a Seen) -> Option<&'a Link> {
    seen.links.iter().find(|link| link.name == name)
}

fn uplink(port: &openvswitch::Port, switch: &Switch, seen: &Seen) -> Uplink {
    let link = link(&port.name, seen);
    let mut own = switch.flows.iter().flatten().filter(|flow| port.number.is_some() && flow.input == port.number);
    Uplink {
        name: port.name.clone(),
        kind: link.map(|link| link.kind.clone()),
        up: link.map(|link| link.up),
        id: link.and_then(|link| link.vlan),
        on: link.and_then(|link| link.lower.clone()),
        vlans: Some(Vlans::of(port)),
        flows_of: own.find_map(noted).map(|(vm, nic)| Owner { vm, nic }),
    }
}

/// The port of an interface where it has no link, and what the switch does with its packets.
pub fn interface(key: Key, seen: &Seen) -> (Option<Port>, Option<Vlans>, Option<Flows>) {
    let mut ports = seen.switches.iter().flat_map(|switch| switch.bridge.ports.iter().map(move |port| (switch, port)));
    if let Some((switch, port)) = ports.find(|(_, port)| plugged(port) == Some(key)) {
        let flows = Flows::of(switch.flows.as_deref(), port.number, key);
        let named = Port { name: port.name.clone(), up: None, mac: None };
        return (Some(named), Some(Vlans::of(port)), Some(flows));
    }
    let left = seen.switches.iter().find(|switch| switch.left().contains(&key));
    (None, None, left.map(|switch| Flows::Left { bridge: switch.bridge.name.clone() }))
}
