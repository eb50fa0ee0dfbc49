//! What was seen, put in order: bridges, what is plugged into them, and what filters it.

use std::collections::BTreeMap;

use remotes_effect::iptables::{ListedChain, ListedSet};
use remotes_effect::links::Link;
use serde::Serialize;

use super::look::{Rules, Seen};

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
    pub up: bool,
    pub mtu: u32,
    /// ports that are no machine's
    pub uplinks: Vec<Uplink>,
    pub machines: Vec<Machine>,
}

#[derive(Debug, Serialize)]
pub struct Uplink {
    pub name: String,
    /// the kernel's name of its kind; empty for hardware
    pub kind: String,
    pub up: bool,
    /// VLAN, or VXLAN network identifier
    pub id: Option<u32>,
    /// the link below
    pub on: Option<String>,
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
    pub sets: Vec<Set>,
    /// Security groups that have networks. The chains do not say from which group a rule comes.
    pub groups_with_networks: Vec<u32>,
}

#[derive(Debug, Serialize)]
pub struct Port {
    pub name: String,
    pub up: bool,
    pub mac: String,
}

/// What filters an interface's packets of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Filter {
    /// could not be seen
    Unseen,
    /// no chains: everything passes
    None,
    /// Chains in force, with how many rules into the machine and out of it.
    InForce { inbound: usize, outbound: usize },
    /// There are chains, but nothing leads to one of them, or one is missing.
    Broken,
}

#[derive(Debug, Serialize)]
pub struct Set {
    pub name: String,
    pub members: u32,
}

/// The machine and interface of a name: `one-7-0`, `one-7-0-i`, `one-7-0-100-i-nr-inet`.
fn owner(name: &str) -> Option<(u32, u32)> {
    let mut numbers = name.strip_prefix("one-")?.splitn(3, '-').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// The owner of a link, which has nothing behind its numbers.
fn plugged(link: &Link) -> Option<(u32, u32)> {
    owner(&link.name).filter(|(vm, nic)| link.name == format!("one-{vm}-{nic}"))
}

impl Host {
    /// Puts it in order.
    pub fn of(seen: Seen) -> Self {
        let bridges = seen.links.iter().filter(|link| link.kind == "bridge");
        let mut bridges: Vec<Bridge> = bridges.map(|link| bridge(link, &seen)).collect();
        bridges.sort_by(|a, b| a.name.cmp(&b.name));
        // What has a link in no bridge, or rules and no link.
        let bridged = |key: &(u32, u32)| {
            seen.links.iter().any(|link| plugged(link) == Some(*key) && is_in_a_bridge(link, &seen.links))
        };
        let chains = seen.rules.iter().flatten().flat_map(|rules| &rules.chains).filter_map(|chain| owner(&chain.name));
        let sets = seen.sets.iter().flatten().filter_map(|set| owner(&set.name));
        let mut others: Vec<(u32, u32)> = seen.links.iter().filter_map(plugged).chain(chains).chain(sets).collect();
        others.sort_unstable();
        others.dedup();
        others.retain(|key| !bridged(key));
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
        kind: port.kind.clone(),
        up: port.up,
        id: port.vlan,
        on: port.lower.clone(),
    });
    let keys: Vec<(u32, u32)> = ports.iter().filter_map(|port| plugged(port)).collect();
    let (uplinks, machines) = (uplinks.collect(), machines(&keys, seen));
    Bridge { name: link.name.clone(), up: link.up, mtu: link.mtu, uplinks, machines }
}

fn machines(keys: &[(u32, u32)], seen: &Seen) -> Vec<Machine> {
    let mut machines = BTreeMap::<u32, Vec<u32>>::new();
    keys.iter().for_each(|(vm, nic)| machines.entry(*vm).or_default().push(*nic));
    let machine = |(vm, mut nics): (u32, Vec<u32>)| {
        nics.sort_unstable();
        Machine { id: vm, interfaces: nics.into_iter().map(|nic| interface((vm, nic), seen)).collect() }
    };
    machines.into_iter().map(machine).collect()
}

fn interface(key: (u32, u32), seen: &Seen) -> Interface {
    let link = seen.links.iter().find(|link| plugged(link) == Some(key));
    let port = link.map(|link| Port { name: link.name.clone(), up: link.up, mac: link.mac.clone() });
    let sets: Vec<&ListedSet> = seen.sets.iter().flatten().filter(|set| owner(&set.name) == Some(key)).collect();
    let mut groups: Vec<u32> = sets.iter().filter_map(|set| group(&set.name)).collect();
    groups.sort_unstable();
    groups.dedup();
    let base = format!("one-{}-{}", key.0, key.1);
    let [ipv4, ipv6] = [0, 1].map(|family| filter(&base, seen.rules[family].as_ref()));
    let sets = sets.into_iter().map(|set| Set { name: set.name.clone(), members: set.members }).collect();
    Interface { id: key.1, port, ipv4, ipv6, sets, groups_with_networks: groups }
}

/// The security group of a set: the third number of `one-7-0-100-i-nr-inet`.
fn group(set: &str) -> Option<u32> {
    let mut words = set.split('-').skip(3);
    let group = words.next()?.parse().ok()?;
    matches!(words.next(), Some("i" | "o")).then_some(group)
}

fn filter(base: &str, rules: Option<&Rules>) -> Filter {
    let Some(rules) = rules else { return Filter::Unseen };
    let chain = |end: &str| -> Option<&ListedChain> {
        let name = format!("{base}-{end}");
        rules.chains.iter().find(|chain| chain.name == name)
    };
    // What follows a rule that accepts everything is met by no packet.
    let reached = rules.entry.iter().take_while(|rule| rule.as_str() != "-j ACCEPT");
    let is_called = |chain: &ListedChain| {
        let jump = format!("-j {}", chain.name);
        reached.clone().any(|rule| rule.ends_with(&jump))
    };
    match (chain("i"), chain("o")) {
        (None, None) => Filter::None,
        (Some(inbound), Some(outbound)) if is_called(inbound) && is_called(outbound) => {
            Filter::InForce { inbound: inbound.rules.len(), outbound: outbound.rules.len() }
        }
        _ => Filter::Broken,
    }
}

#[cfg(test)]
#[path = "host_tests.rs"]
mod tests;
