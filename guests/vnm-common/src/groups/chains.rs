//! The chains of one interface.

use std::collections::BTreeSet;

use remotes_sdk::Failure;
use remotes_sdk::iptables::{
    AddressSet, Chain, Change, Condition, Family, Physdev, PlacedRule, Ports, Position, Removal, Rule, SetKind,
    SetLookup, Side, Target,
};
use remotes_sdk::network::{GroupRule, Nic, Vm};

use super::cidr;
use super::rules::{Group, Rules, index, name};
use super::{ENTRY, Mode};

/// An interface with all that its rules depend on.
pub(super) struct Interface<'a> {
    pub vm: &'a Vm,
    pub nic: &'a Nic,
    /// rules of the machine's groups
    pub groups: &'a [GroupRule],
    /// ids of the interface's groups
    pub ids: &'a [u32],
    /// the host's side of it
    pub tap: &'a str,
    pub mode: Mode,
    pub most_members: Option<u32>,
    /// whether its outbound rules are also for what the host routes, and not only for what passes the bridge
    pub filters_routed: bool,
}

/// `one-VM-NIC`
pub(super) fn base(vm: &Vm, nic: u32) -> String {
    format!("one-{}-{nic}", vm.id)
}

fn rule(conditions: Vec<Condition>, target: Target) -> Rule {
    Rule { conditions, target }
}

fn jump(chain: &str) -> Target {
    Target::Jump(chain.to_owned())
}

/// Removes all of an interface's chains and the jumps to them.
pub(super) fn removal(base: &str) -> Change {
    Change::RemoveChains(Removal { base: base.to_owned(), callers: vec![ENTRY.to_owned(), "INPUT".to_owned()] })
}

impl Interface<'_> {
    fn base(&self) -> String {
        base(self.vm, self.nic.id)
    }

    /// The rules of its groups, in their order.
    pub fn rules(&self) -> Result<Rules, Failure> {
        let (mut rules, base) = (Rules::default(), self.base());
        for id in self.ids {
            let most_members = self.most_members;
            let mut group = Group { base: &base, id: *id, most_members, rules: &mut rules, seen: BTreeSet::new() };
            self.groups.iter().filter(|rule| rule.group == Some(*id)).try_for_each(|rule| group.add(rule))?;
        }
        Ok(rules)
    }

    fn spoofing_set(&self, family: Family) -> String {
        spoofing_set(&self.base(), family)
    }

    /// The sets of addresses that it may send from.
    pub fn spoofing_sets(&self) -> Vec<AddressSet> {
        if !self.nic.filter_ip_spoofing {
            return Vec::new();
        }
        let all: Vec<&Nic> = std::iter::once(self.nic).chain(self.vm.aliases_of(self.nic)).collect();
        let set = |family, members: Vec<String>| AddressSet {
            name: self.spoofing_set(family),
            kind: SetKind::HashIp,
            family,
            max_members: None,
            members,
        };
        let ipv4 = all.iter().flat_map(|nic| [&nic.addresses.ip, &nic.vrouter.ip]).flatten().cloned().collect();
        let ipv6 =
            all.iter().flat_map(|nic| nic.addresses.ipv6().chain(nic.vrouter.ipv6())).map(str::to_owned).collect();
        vec![set(Family::Ipv4, ipv4), set(Family::Ipv6, ipv6)]
    }

    /// The changes of one family's table that put the interface's rules in place of others.
    pub fn changes(&self, family: Family, rules: &Rules) -> Vec<Change> {
        let base = self.base();
        let (inbound, outbound) = (format!("{base}-i"), format!("{base}-o"));
        let mut changes = vec![
            removal(&base),
            Change::ReplaceChain(Chain { name: inbound.clone(), rules: self.inbound(family, rules) }),
            Change::ReplaceChain(Chain { name: outbound.clone(), rules: self.outbound(family, rules) }),
        ];
        changes.extend(self.jumps(family, &inbound, &outbound).into_iter().map(Change::AddRule));
        changes
    }

    /// The changes that drop everything, unless there are rules already.
    pub fn closed(&self, family: Family) -> Vec<Change> {
        let base = self.base();
        let (inbound, outbound) = (format!("{base}-i"), format!("{base}-o"));
        let drop =
            |name: &str| Change::EnsureChain(Chain { name: name.to_owned(), rules: vec![rule(vec![], Target::Drop)] });
        let mut changes = vec![drop(&inbound), drop(&outbound)];
        // It may be an address that cannot be read why it is closed: no packet has that one.
        let is_readable = |placed: &PlacedRule| {
            placed.rule.conditions.iter().all(|condition| match condition {
                Condition::ToNetwork(address) => cidr::address(address).is_ok(),
                _ => true,
            })
        };
        let jumps = self.jumps(family, &inbound, &outbound).into_iter().filter(is_readable);
        changes.extend(jumps.map(Change::EnsureRule));
        changes
    }

    /// The jumps to its chains, each to be put in front of those before.
    fn jumps(&self, family: Family, inbound: &str, outbound: &str) -> Vec<PlacedRule> {
        let physdev = |input: Option<&str>, output: Option<&str>, bridged| {
            Condition::Physdev(Physdev { input: input.map(str::to_owned), output: output.map(str::to_owned), bridged })
        };
        let placed = |chain: &str, condition, target: &str| PlacedRule {
            chain: chain.to_owned(),
            rule: rule(vec![condition], jump(target)),
            position: Position::First,
        };
        let mut jumps: Vec<PlacedRule> = match self.mode {
            Mode::Bridged => vec![placed(ENTRY, physdev(None, Some(self.tap), true), inbound)],
            Mode::Routed => {
                let addresses = self.destinations(family);
                addresses.into_iter().map(|address| placed(ENTRY, Condition::ToNetwork(address), inbound)).collect()
            }
        };
        let filters_routed = self.mode == Mode::Routed && self.filters_routed;
        // A machine whose IPv6 nobody routes has no address to be reached by. It may send all the same.
        if self.mode == Mode::Routed && family == Family::Ipv6 && jumps.is_empty() && !filters_routed {
            return jumps;
        }
        jumps.push(placed(ENTRY, physdev(Some(self.tap), None, !filters_routed), outbound));
        jumps.push(placed("INPUT", physdev(Some(self.tap), None, false), outbound));
        jumps
    }

    fn destinations(&self, family: Family) -> Vec<String> {
        let all = std::iter::once(self.nic).chain(self.vm.aliases_of(self.nic));
        match family {
            Family::Ipv4 => all.filter_map(|nic| nic.addresses.ip.clone()).collect(),
            Family::Ipv6 => all.flat_map(|nic| nic.addresses.routed_ipv6()).map(str::to_owned).collect(),
        }
    }

    fn inbound(&self, family: Family, rules: &Rules) -> Vec<Rule> {
        let mut chain = neighbours(family, &[134, 135, 136, 137]);
        chain.push(rule(vec![Condition::Established], Target::Back));
        chain.extend(rules.inbound[index(family)].iter().cloned());
        chain.push(rule(vec![], Target::Drop));
        chain
    }

    fn outbound(&self, family: Family, rules: &Rules) -> Vec<Rule> {
        let mut chain = neighbours(family, &[133, 135, 136]);
        if self.nic.filter_mac_spoofing {
            chain.push(rule(vec![Condition::NotFromMac(self.nic.mac.clone())], Target::Drop));
        }
        if self.nic.filter_ip_spoofing {
            if family == Family::Ipv4 {
                chain.push(rule(dhcp(), Target::Back));
            }
            let name = self.spoofing_set(family);
            let lookup = SetLookup { name, sides: vec![Side::Source], inverted: true };
            chain.push(rule(vec![Condition::Lookup(lookup)], Target::Drop));
        }
        chain.push(rule(vec![Condition::Established], Target::Back));
        chain.extend(rules.outbound[index(family)].iter().cloned());
        chain.push(rule(vec![], Target::Drop));
        chain
    }
}

/// The name of the set of addresses that an interface may send from.
pub(super) fn spoofing_set(base: &str, family: Family) -> String {
    match family {
        Family::Ipv4 => name(base, "ip-spoofing"),
        Family::Ipv6 => name(base, "ip6-spoofing"),
    }
}

/// Neighbour discovery, which IPv6 does not work without.
fn neighbours(family: Family, types: &[u8]) -> Vec<Rule> {
    match family {
        Family::Ipv4 => Vec::new(),
        Family::Ipv6 => types.iter().map(|kind| rule(vec![Condition::Icmpv6Type(*kind)], Target::Back)).collect(),
    }
}

/// A machine that asks for its address has none yet.
fn dhcp() -> Vec<Condition> {
    let port = |port| Ports { first: port, last: port };
    vec![
        Condition::FromNetwork("0.0.0.0".to_owned()),
        Condition::ToNetwork("255.255.255.255".to_owned()),
        Condition::Protocol("udp".to_owned()),
        Condition::FromPorts(port(68)),
        Condition::ToPorts(port(67)),
    ]
}
