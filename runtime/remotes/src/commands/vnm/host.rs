//! What was seen, put in order: bridges, what is plugged into them, and what filters it.

use std::collections::BTreeMap;

use remotes_effect::iptables::ListedSet;
use remotes_effect::links::Link;

use super::deployed::Deployed;
use super::filter::Filter;
use super::flows::{Flows, Key};
use super::picture::{Bridge, Host, Interface, Machine, Port, Set, Uplink};
use super::seen::{Seen, numbers, owner};
use super::switch;

fn plugged(link: &Link) -> Option<Key> {
    numbers(&link.name)
}

impl Host {
    /// Puts it in order.
    pub fn of(seen: Seen) -> Self {
        let bridges = seen.links.iter().filter(|link| link.kind == "bridge");
        let mut bridges: Vec<Bridge> = bridges.map(|link| bridge(link, &seen)).collect();
        bridges.extend(seen.switches.iter().map(|it| switch::bridge(it, machines(&it.keys(), &seen), &seen)));
        bridges.sort_by(|a, b| a.name.cmp(&b.name));
        // What has a link in no bridge, or rules and no link.
        let switched: Vec<Key> = seen.switched().collect();
        let bridged = |key: &Key| {
            switched.contains(key)
                || seen.links.iter().any(|link| plugged(link) == Some(*key) && is_in_a_bridge(link, &seen.links))
        };
        let others: Vec<Key> = seen.keys().into_iter().filter(|key| !bridged(key)).collect();
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
fn machines(keys: &[Key], seen: &Seen) -> Vec<Machine> {
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
