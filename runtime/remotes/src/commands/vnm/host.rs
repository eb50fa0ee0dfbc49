//! What was seen, put in order: bridges, what is plugged into them, and what filters it.

use std::collections::{BTreeMap, BTreeSet};

use remotes_effect::iptables::ListedSet;
use remotes_effect::links::Link;
use serde::Serialize;

use super::deployed::{Deployed, Group};
use super::filter::Filter;
use super::flows::{Flows, Key};
use super::look::Seen;
use super::switch::{self, Vlans};

/// The networks of a host.
#[derive(Debug, Serialize)]
pub struct Host {
    pub bridges: Vec<Bridge>,
    /// interfaces of machines on no bridge: routed, or left by machines that are gone
    pub elsewhere: Vec<Machine>,
    /// what could not be seen, and why
    pub unseen: Vec<String>,
}

#[derive(Debug, Serialize)]
pub struct Bridge {
    pub name: String,
    /// whether it is one of Open vSwitch, and none of the kernel's own
    pub openvswitch: bool,
    pub up: bool,
    /// none where the kernel has no link of it
    pub mtu: Option<u32>,
    /// ports that are no machine's
    pub uplinks: Vec<Uplink>,
    pub machines: Vec<Machine>,
}

#[derive(Debug, Serialize)]
pub struct Uplink {
    pub name: String,
    /// the kernel's name of its kind; empty for hardware; none where it has no link: what Open vSwitch makes itself
    pub kind: Option<String>,
    /// none where it has no link
    pub up: Option<bool>,
    /// VLAN, or VXLAN network identifier
    pub id: Option<u32>,
    /// the link below
    pub on: Option<String>,
    /// on a bridge of Open vSwitch
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlans: Option<Vlans>,
    /// the interface whose flows its packets meet
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flows_of: Option<Owner>,
}

#[derive(Debug, Serialize)]
pub struct Owner {
    pub vm: u32,
    pub nic: u32,
}

/// A virtual machine as far as it is on one bridge.
#[derive(Debug, Serialize)]
pub struct Machine {
    pub id: u32,
    pub interfaces: Vec<Interface>,
}

#[derive(Debug, Serialize)]
pub struct Interface {
    pub id: u32,
    /// the host's side of it
    pub port: Option<Port>,
    pub ipv4: Filter,
    pub ipv6: Filter,
    /// on a bridge of Open vSwitch
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlans: Option<Vlans>,
    /// on a bridge of Open vSwitch, or left on one
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flows: Option<Flows>,
    pub sets: Vec<Set>,
    /// Security groups that it was deployed with; none where no description of the machine tells.
    pub deployed_groups: Option<Vec<Group>>,
    /// Security groups that have networks. The chains do not say from which group a rule comes.
    pub groups_with_networks: Vec<u32>,
}

#[derive(Debug, Serialize)]
pub struct Port {
    pub name: String,
    /// what the kernel knows of its link; none where it has none: QEMU serves the switch by a socket
    pub up: Option<bool>,
    pub mac: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct Set {
    pub name: String,
    pub members: u32,
}

/// The machine and interface of a name: `one-7-0`, `one-7-0-i`, `one-7-0-100-i-nr-inet`.
fn owner(name: &str) -> Option<Key> {
    let mut numbers = name.strip_prefix("one-")?.splitn(3, '-').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// The owner of a port, which has nothing behind its numbers.
pub fn numbers(name: &str) -> Option<Key> {
    owner(name).filter(|(vm, nic)| name == format!("one-{vm}-{nic}"))
}

fn plugged(link: &Link) -> Option<Key> {
    numbers(&link.name)
}

/// All interfaces that have something here.
fn keys(seen: &Seen) -> BTreeSet<Key> {
    let chains = seen.rules.iter().flatten().flat_map(|rules| &rules.chains).filter_map(|chain| owner(&chain.name));
    let sets = seen.sets.iter().flatten().filter_map(|set| owner(&set.name));
    let links = seen.links.iter().filter_map(plugged);
    links.chain(chains).chain(sets).chain(switch::keys(seen)).chain(switch::left_keys(seen)).collect()
}

/// The machines of all interfaces.
pub fn vms(seen: &Seen) -> BTreeSet<u32> {
    keys(seen).into_iter().map(|(vm, _)| vm).collect()
}

impl Host {
    /// Puts it in order.
    pub fn of(seen: Seen) -> Self {
        let bridges = seen.links.iter().filter(|link| link.kind == "bridge");
        let mut bridges: Vec<Bridge> = bridges.map(|link| bridge(link, &seen)).collect();
        bridges.extend(seen.switches.iter().map(|it| switch::bridge(it, &seen)));
        bridges.sort_by(|a, b| a.name.cmp(&b.name));
        // What has a link in no bridge, or rules and no link.
        let switched: Vec<Key> = switch::keys(&seen).collect();
        let bridged = |key: &Key| {
            switched.contains(key)
                || seen.links.iter().any(|link| plugged(link) == Some(*key) && is_in_a_bridge(link, &seen.links))
        };
        let others: Vec<Key> = keys(&seen).into_iter().filter(|key| !bridged(key)).collect();
        let elsewhere = machines(&others, &seen);
        Self { bridges, elsewhere, unseen: seen.unseen }
    }
}

fn is_in_a_bridge(link: &Link, links: &[Link]) -> bool {
    links.iter().any(|other| other.kind == "bridge" && link.master.as_ref() == Some(&other.name))
}

fn bridge(link: &Link, seen: &Seen) -> Bridge {
    let ports: Vec<&Link> = seen.links.iter().filter(|port| port.master.as_ref() == Some(&link.name)).collect();
    let uplinks = ports.iter().filter(|port| plugged(port).is_none()).map(|port| Uplink {
        name: port.name.clone(),
        kind: Some(port.kind.clone()),
        up: Some(port.up),
        id: port.vlan,
        on: port.lower.clone(),
        vlans: None,
        flows_of: None,
    });
    let keys: Vec<Key> = ports.iter().filter_map(|port| plugged(port)).collect();
    let (uplinks, machines) = (uplinks.collect(), machines(&keys, seen));
    Bridge { name: link.name.clone(), openvswitch: false, up: link.up, mtu: Some(link.mtu), uplinks, machines }
}

/// The machines of these interfaces.
pub fn machines(keys: &[Key], seen: &Seen) -> Vec<Machine> {
    let mut machines = BTreeMap::<u32, Vec<u32>>::new();
    keys.iter().for_each(|(vm, nic)| machines.entry(*vm).or_default().push(*nic));
    let machine = |(vm, mut nics): (u32, Vec<u32>)| {
        nics.sort_unstable();
        Machine { id: vm, interfaces: nics.into_iter().map(|nic| interface((vm, nic), seen)).collect() }
    };
    machines.into_iter().map(machine).collect()
}

fn interface(key: Key, seen: &Seen) -> Interface {
    let link = seen.links.iter().find(|link| plugged(link) == Some(key));
    let port = link.map(|link| Port { name: link.name.clone(), up: Some(link.up), mac: Some(link.mac.clone()) });
    let (unlinked, vlans, mut flows) = switch::interface(key, seen);
    // It may well be on a bridge that could not be seen.
    if seen.is_switch_unseen && link.is_some_and(|link| !is_in_a_bridge(link, &seen.links)) {
        flows.get_or_insert(Flows::Unseen);
    }
    let sets: Vec<&ListedSet> = seen.sets.iter().flatten().filter(|set| owner(&set.name) == Some(key)).collect();
    let mut groups: Vec<u32> = sets.iter().filter_map(|set| group(&set.name)).collect();
    groups.sort_unstable();
    groups.dedup();
    let base = format!("one-{}-{}", key.0, key.1);
    let bridge = link.and_then(|link| link.master.as_deref());
    let [ipv4, ipv6] = [0, 1].map(|family| Filter::of(&base, seen.rules[family].as_ref(), bridge));
    let sets = sets.into_iter().map(|set| Set { name: set.name.clone(), members: set.members }).collect();
    let port = port.or(unlinked);
    let deployed_groups = seen.deployed.get(&key).filter(|it| is_of(it, port.as_ref())).map(|it| it.groups.clone());
    let (id, groups_with_networks) = (key.1, groups);
    Interface { id, port, ipv4, ipv6, vlans, flows, sets, deployed_groups, groups_with_networks }
}

/// Whether the interface is the one that the description is about. One without a link has no address to tell by.
fn is_of(deployed: &Deployed, port: Option<&Port>) -> bool {
    port.is_some_and(|port| port.mac.as_ref().is_none_or(|mac| deployed.is_of(mac)))
}

/// The security group of a set: the third number of `one-7-0-100-i-nr-inet`.
fn group(set: &str) -> Option<u32> {
    let mut words = set.split('-').skip(3);
    let group = words.next()?.parse().ok()?;
    matches!(words.next(), Some("i" | "o")).then_some(group)
}

#[cfg(test)]
#[path = "host_tests.rs"]
mod tests;
