//! Bridges of Open vSwitch.

use remotes_effect::links::Link;
use remotes_effect::network::switch;
use remotes_effect::openvswitch;
use serde::Serialize;

use super::flows::{Flows, Key, noted};
use super::host::{Bridge, Owner, Port, Uplink, machines, numbers};
use super::look::{Seen, Switch};

/// What a port does with VLANs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Vlans {
    pub tag: Option<u16>,
    /// none: all
    pub trunks: Vec<u16>,
    /// in the database's words
    pub mode: Option<&'static str>,
    /// inside of a tunnel; none: all
    pub cvlans: Vec<u16>,
}

impl Vlans {
    fn of(port: &openvswitch::Port) -> Self {
        Self {
            tag: port.tag,
            trunks: port.trunks.clone(),
            mode: port.vlan_mode.map(switch::mode),
            cvlans: port.cvlans.clone(),
        }
    }

    /// Whether packets of all VLANs pass as they are.
    pub fn are_all(&self) -> bool {
        self.tag.is_none()
            && self.trunks.is_empty()
            && self.cvlans.is_empty()
            && matches!(self.mode, None | Some("trunk"))
    }

    /// `tag 42, trunks 10,20-22, native-untagged`
    pub fn shown(&self) -> String {
        let list = |what: &str, ids: &[u16]| (!ids.is_empty()).then(|| format!("{what} {}", ranges(ids)));
        let says = [
            self.tag.map(|tag| format!("tag {tag}")),
            list("trunks", &self.trunks),
            self.mode.map(str::to_owned),
            list("cvlans", &self.cvlans),
        ];
        match self.are_all() {
            true => "all".to_owned(),
            false => says.into_iter().flatten().collect::<Vec<_>>().join(", "),
        }
    }
}

/// `10,20-22`
fn ranges(ids: &[u16]) -> String {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    let runs = ids.chunk_by(|a, b| a.checked_add(1) == Some(*b));
    let shown = runs.filter_map(|run| match (run.first()?, run.last()?) {
        (first, last) if first == last => Some(first.to_string()),
        (first, last) => Some(format!("{first}-{last}")),
    });
    shown.collect::<Vec<_>>().join(",")
}

/// The interface of a machine that a port is by its name.
fn plugged(port: &openvswitch::Port) -> Option<Key> {
    numbers(&port.name)
}

/// The interfaces on bridges of Open vSwitch.
pub fn keys(seen: &Seen) -> impl Iterator<Item = Key> {
    seen.switches.iter().flat_map(|switch| &switch.bridge.ports).filter_map(plugged)
}

/// The interfaces that have flows and no port.
pub fn left_keys(seen: &Seen) -> impl Iterator<Item = Key> {
    seen.switches.iter().flat_map(left)
}

/// Those of one bridge. A port of another name, a virtual function of a card say, is shown with whose flows it has.
fn left(switch: &Switch) -> Vec<Key> {
    let is_other = |input: u32| {
        let mut ports = switch.bridge.ports.iter();
        ports.any(|port| port.number == Some(input) && plugged(port).is_none())
    };
    let flows = switch.flows.iter().flatten().filter(|flow| !flow.input.is_some_and(is_other));
    flows.filter_map(noted).collect()
}

/// A bridge. What the kernel knows of it is the host's own end.
pub fn bridge(switch: &Switch, seen: &Seen) -> Bridge {
    let openvswitch::Bridge { name, ports } = &switch.bridge;
    let link = link(name, seen);
    let uplinks = ports.iter().filter(|port| plugged(port).is_none()).map(|port| uplink(port, switch, seen));
    let keys: Vec<Key> = ports.iter().filter_map(plugged).collect();
    Bridge {
        name: name.clone(),
        openvswitch: true,
        up: link.is_some_and(|link| link.up),
        mtu: link.map(|link| link.mtu),
        uplinks: uplinks.collect(),
        machines: machines(&keys, seen),
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
    let left = seen.switches.iter().find(|switch| left(switch).contains(&key));
    (None, None, left.map(|switch| Flows::Left { bridge: switch.bridge.name.clone() }))
}
