//! What was seen of a host's networks, and whose it is by its name.

use std::collections::{BTreeMap, BTreeSet};

use remotes_effect::iptables::{ListedChain, ListedSet};
use remotes_effect::links::Link;
use remotes_effect::openvswitch::{Bridge, ListedFlow, Port};
use remotes_network::iptables::bridged::Bridged;

use super::deployed::Deployed;
use super::flows::{Key, noted};

/// The chain that the interfaces' chains are called from.
pub const ENTRY: &str = "opennebula";

/// What was seen.
#[derive(Debug, Default)]
pub struct Seen {
    pub links: Vec<Link>,
    /// rules of IPv4 and of IPv6; none where they could not be seen
    pub rules: [Option<Rules>; 2],
    /// none where they could not be seen
    pub sets: Option<Vec<ListedSet>>,
    /// bridges of Open vSwitch
    pub switches: Vec<Switch>,
    /// whether there may be such that could not be seen
    pub is_switch_unseen: bool,
    /// what interfaces were deployed with
    pub deployed: BTreeMap<Key, Deployed>,
    /// what could not be seen, and why
    pub unseen: Vec<String>,
}

/// One family's chains.
#[derive(Debug, Default)]
pub struct Rules {
    /// of the interfaces
    pub chains: Vec<ListedChain>,
    /// rules of the chain that calls them
    pub entry: Vec<String>,
    /// those of FORWARD, which leads there
    pub forward: Vec<String>,
    /// those of INPUT, which leads to the chains of what machines send
    pub input: Vec<String>,
    /// the bridges whose packets meet them
    pub bridged: Bridged,
}

/// A bridge of Open vSwitch.
#[derive(Debug)]
pub struct Switch {
    pub bridge: Bridge,
    /// none where they could not be seen
    pub flows: Option<Vec<ListedFlow>>,
}

impl Seen {
    /// All interfaces that have something here.
    pub fn keys(&self) -> BTreeSet<Key> {
        let chains = self.rules.iter().flatten().flat_map(|rules| &rules.chains).map(|chain| &chain.name);
        let sets = self.sets.iter().flatten().map(|set| &set.name);
        let links = self.links.iter().filter_map(|link| numbers(&link.name));
        let left = self.switches.iter().flat_map(Switch::left);
        links.chain(chains.chain(sets).filter_map(|name| owner(name))).chain(self.switched()).chain(left).collect()
    }

    /// The interfaces on bridges of Open vSwitch.
    pub fn switched(&self) -> impl Iterator<Item = Key> {
        self.switches.iter().flat_map(Switch::keys)
    }

    /// The machines of all interfaces.
    pub fn vms(&self) -> BTreeSet<u32> {
        self.keys().into_iter().map(|(vm, _)| vm).collect()
    }
}

impl Switch {
    /// The interfaces of its ports.
    pub fn keys(&self) -> Vec<Key> {
        self.bridge.ports.iter().filter_map(plugged).collect()
    }

    /// The interfaces that have flows and no port. A port of another name, a virtual function of a card say, is shown with
    /// whose flows it has.
    pub fn left(&self) -> Vec<Key> {
        let is_other = |input: u32| {
            let mut ports = self.bridge.ports.iter();
            ports.any(|port| port.number == Some(input) && plugged(port).is_none())
        };
        let flows = self.flows.iter().flatten().filter(|flow| !flow.input.is_some_and(is_other));
        flows.filter_map(noted).collect()
    }
}

/// The interface of a machine that a port is by its name.
pub fn plugged(port: &Port) -> Option<Key> {
    numbers(&port.name)
}

/// The machine and interface of a name: `one-7-0`, `one-7-0-i`, `one-7-0-100-i-nr-inet`.
pub fn owner(name: &str) -> Option<Key> {
    let mut numbers = name.strip_prefix("one-")?.splitn(3, '-').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// The owner of a port, which has nothing behind its numbers.
pub fn numbers(name: &str) -> Option<Key> {
    owner(name).filter(|(vm, nic)| name == format!("one-{vm}-{nic}"))
}
