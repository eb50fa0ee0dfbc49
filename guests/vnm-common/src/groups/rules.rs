//! Rules of security groups as rules of chains and sets of addresses.

use std::collections::BTreeSet;

use remotes_sdk::Failure;
use remotes_sdk::iptables::{AddressSet, Condition, Family, Ports, Rule, SetKind, SetLookup, Side, Target};
use remotes_sdk::network::{Direction, GroupRule};

use super::cidr;

/// Longest name of a set, in bytes.
const LONGEST_SET: usize = 31;

/// Ports that one rule can have; a range counts for two.
const MOST_PORTS: usize = 15;

/// What the groups of one interface come to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rules {
    /// by family, IPv4 first: rules of the chain into the machine
    pub inbound: [Vec<Rule>; 2],
    /// the same for the chain out of it
    pub outbound: [Vec<Rule>; 2],
    /// sets that the rules look into
    pub sets: Vec<AddressSet>,
}

/// Where a family's rules are.
pub(super) fn index(family: Family) -> usize {
    match family {
        Family::Ipv4 => 0,
        Family::Ipv6 => 1,
    }
}

const FAMILIES: [Family; 2] = [Family::Ipv4, Family::Ipv6];

/// Builds the rules of one group for one interface.
pub(super) struct Group<'a> {
    /// `one-VM-NIC`
    pub base: &'a str,
    /// the group's id
    pub id: u32,
    /// how many members sets with ports may have
    pub most_members: Option<u32>,
    /// what is built
    pub rules: &'a mut Rules,
    /// Rules of this group that are there: equal ones collapse, by family and direction.
    pub seen: BTreeSet<String>,
}

impl Group<'_> {
    pub fn add(&mut self, rule: &GroupRule) -> Result<(), Failure> {
        // Nothing is made up for what a rule lacks: it would let through what nobody asked for.
        let protocol = match rule.protocol.as_deref() {
            None | Some("") => return Err(self.lacks("PROTOCOL, as in TCP or ALL")),
            Some("ipsec") => "esp",
            Some(other) => other,
        };
        if rule.direction.is_none() {
            return Err(self.lacks("RULE_TYPE: INBOUND or OUTBOUND"));
        }
        match (rule.is_for_networks, &rule.icmpv6_type, &rule.icmp_type, &rule.range) {
            (false, Some(kind), ..) => self.push(rule, Family::Ipv6, vec![Condition::Icmpv6Type(number(kind)?)]),
            (false, None, Some(kind), _) => self.push(rule, Family::Ipv4, vec![Condition::IcmpType(number(kind)?)]),
            (false, None, None, Some(range)) => {
                for part in parts(&ports(range)?) {
                    for family in FAMILIES {
                        let conditions =
                            vec![Condition::Protocol(protocol.to_owned()), Condition::ToAnyPort(part.clone())];
                        self.push(rule, family, conditions);
                    }
                }
            }
            (false, None, None, None) => {
                for family in FAMILIES {
                    let foreign = match family {
                        Family::Ipv4 => protocol == "icmpv6",
                        Family::Ipv6 => protocol == "icmp",
                    };
                    if !foreign {
                        self.push(rule, family, vec![Condition::Protocol(protocol.to_owned())]);
                    }
                }
            }
            (true, Some(kind), ..) => self.icmp(rule, Family::Ipv6, number(kind)?)?,
            (true, None, Some(kind), _) => self.icmp(rule, Family::Ipv4, number(kind)?)?,
            (true, None, None, Some(range)) => self.ports_of_networks(rule, protocol, range)?,
            (true, None, None, None) => self.networks(rule, protocol)?,
        }
        Ok(())
    }

    fn lacks(&self, what: &str) -> Failure {
        Failure::invalid(format!("security group {}: a rule has no {what}", self.id))
    }

    fn direction(&self, rule: &GroupRule) -> &'static str {
        if is_inbound(rule) { "i" } else { "o" }
    }

    fn push(&mut self, rule: &GroupRule, family: Family, conditions: Vec<Condition>) {
        let made = Rule { conditions, target: Target::Back };
        if self.seen.insert(format!("{} {} {made:?}", self.direction(rule), index(family))) {
            let chain = if is_inbound(rule) { &mut self.rules.inbound } else { &mut self.rules.outbound };
            chain[index(family)].push(made);
        }
    }

    /// Adds members to a set, which is made with its rule where it is new.
    fn fill(
        &mut self,
        rule: &GroupRule,
        (suffix, kind, family): (&str, SetKind, Family),
        protocol: Option<&str>,
        members: Vec<String>,
    ) {
        let name = name(self.base, &format!("{}-{}-{suffix}", self.id, self.direction(rule)));
        let sides = match (is_inbound(rule), kind) {
            (true, SetKind::HashNetPort) => vec![Side::Source, Side::Destination],
            (false, SetKind::HashNetPort) => vec![Side::Destination, Side::Destination],
            (true, _) => vec![Side::Source],
            (false, _) => vec![Side::Destination],
        };
        let lookup = Condition::Lookup(SetLookup { name: name.clone(), sides, inverted: false });
        let conditions =
            protocol.map(|name| Condition::Protocol(name.to_owned())).into_iter().chain([lookup]).collect();
        self.push(rule, family, conditions);
        match self.rules.sets.iter_mut().find(|set| set.name == name) {
            Some(set) => set.members.extend(members),
            None => {
                let max_members = self.most_members.filter(|_| suffix.starts_with("nr"));
                self.rules.sets.push(AddressSet { name, kind, family, max_members, members });
            }
        }
    }

    fn networks(&mut self, rule: &GroupRule, protocol: &str) -> Result<(), Failure> {
        for (family, networks) in blocks(rule)? {
            let suffix = format!("{protocol}-n-{}", shown(family));
            self.fill(rule, (&suffix, SetKind::HashNet, family), Some(protocol), networks);
        }
        Ok(())
    }

    fn ports_of_networks(&mut self, rule: &GroupRule, protocol: &str, range: &str) -> Result<(), Failure> {
        // An empty list has no ports, and lets nothing through.
        let ports = if range.is_empty() { Vec::new() } else { ports(range)? };
        for (family, networks) in blocks(rule)? {
            let members = networks.iter().flat_map(|network| {
                ports.iter().map(move |ports| match ports.first == ports.last {
                    true => format!("{network},{protocol}:{}", ports.first),
                    false => format!("{network},{protocol}:{}-{}", ports.first, ports.last),
                })
            });
            let suffix = format!("nr-{}", shown(family));
            self.fill(rule, (&suffix, SetKind::HashNetPort, family), None, members.collect());
        }
        Ok(())
    }

    fn icmp(&mut self, rule: &GroupRule, family: Family, kind: u8) -> Result<(), Failure> {
        let (suffix, protocol, codes) = match family {
            Family::Ipv4 => ("ni", "icmp", icmp_codes(kind)),
            Family::Ipv6 => ("ni6", "icmpv6", icmpv6_codes(kind)),
        };
        let mut members = Vec::new();
        // Addresses of the other family have no such type: there is nothing to let through.
        for (_, networks) in blocks(rule)?.into_iter().filter(|(other, _)| *other == family) {
            for network in networks {
                members.extend(codes.iter().map(|code| format!("{network},{protocol}:{kind}/{code}")));
            }
        }
        self.fill(rule, (suffix, SetKind::HashNetPort, family), None, members);
        Ok(())
    }
}

/// The name of a set of the interface. One that would be too long keeps its beginning, by which it is
/// found and removed, and a sum of the rest.
pub(super) fn name(base: &str, suffix: &str) -> String {
    let name = format!("{base}-{suffix}");
    if name.len() <= LONGEST_SET {
        return name;
    }
    let sum =
        name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    format!("{base}-{:08x}", sum >> 32 ^ sum & 0xffff_ffff)
}

fn shown(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "inet",
        Family::Ipv6 => "inet6",
    }
}

/// The rule's networks by family, in the order in which the families first appear.
fn blocks(rule: &GroupRule) -> Result<Vec<(Family, Vec<String>)>, Failure> {
    let mut blocks: Vec<(Family, Vec<String>)> = Vec::new();
    let Some(size) = rule.size.as_deref().filter(|size| !size.is_empty()) else { return Ok(blocks) };
    let size: u128 = size.parse().map_err(|_| Failure::invalid(format!("SIZE is {size:?}, expected a number")))?;
    for first in &rule.networks {
        let first = cidr::address(first)?;
        let networks = cidr::networks(first, size);
        let family = cidr::family(first);
        match blocks.iter_mut().find(|(other, _)| *other == family) {
            Some((_, list)) => list.extend(networks),
            None => blocks.push((family, networks)),
        }
    }
    blocks.retain(|(_, networks)| !networks.is_empty());
    Ok(blocks)
}

fn is_inbound(rule: &GroupRule) -> bool {
    rule.direction == Some(Direction::Inbound)
}

fn number(text: &str) -> Result<u8, Failure> {
    text.trim().parse().map_err(|_| Failure::invalid(format!("ICMP type {text:?}: expected a number up to 255")))
}

/// Reads `22,80:90`.
fn ports(range: &str) -> Result<Vec<Ports>, Failure> {
    let refused = || Failure::invalid(format!("RANGE {range:?}: expected ports as in 22,80:90"));
    let port = |text: &str| text.trim().parse::<u16>().map_err(|_| refused());
    let part = |text: &str| {
        let (first, last) = text.split_once(':').unwrap_or((text, text));
        let (first, last) = (port(first)?, port(last)?);
        if first <= last { Ok(Ports { first, last }) } else { Err(refused()) }
    };
    range.split(',').map(part).collect()
}

/// As many rules as the ports need.
fn parts(ports: &[Ports]) -> Vec<Vec<Ports>> {
    let mut parts: Vec<Vec<Ports>> = Vec::new();
    let weight = |ports: &Ports| if ports.first == ports.last { 1 } else { 2 };
    for ports in ports {
        match parts.last_mut() {
            Some(part) if part.iter().map(weight).sum::<usize>() + weight(ports) <= MOST_PORTS => part.push(*ports),
            _ => parts.push(vec![*ports]),
        }
    }
    parts
}

fn icmp_codes(kind: u8) -> Vec<u8> {
    match kind {
        3 => (0..=7).chain(9..=15).collect(),
        5 => (0..=3).collect(),
        9 => vec![0, 16],
        11 => vec![0, 1],
        12 => (0..=2).collect(),
        _ => vec![0],
    }
}

fn icmpv6_codes(kind: u8) -> Vec<u8> {
    match kind {
        1 => (0..=7).collect(),
        3 => vec![0, 1],
        4 => (0..=3).collect(),
        138 => vec![0, 1, 255],
        139 | 140 => (0..=2).collect(),
        _ => vec![0],
    }
}
