//! Security groups, as OpenNebula's documentation means them: what may pass, without a word of how.
//! Nothing here knows chains, sets or the driver.

use std::net::IpAddr;

/// What a packet is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// to a port
    Tcp(u16),
    /// to a port
    Udp(u16),
    /// of a type of ICMP or, between IPv6 addresses, of ICMPv6
    Icmp(u8),
    Esp,
    /// a machine that has no address asks for one
    Dhcp,
}

/// A packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub mac: [u8; 6],
    pub content: Content,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    All,
    Tcp,
    Udp,
    Icmp,
    Icmpv6,
    Ipsec,
}

/// What a rule says beyond its protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detail {
    Nothing,
    /// pairs of first and last
    Ports(Vec<(u16, u16)>),
    Type(u8),
}

/// A rule of a security group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub group: u32,
    pub inbound: bool,
    pub protocol: Protocol,
    pub detail: Detail,
    /// first addresses of ranges
    pub networks: Vec<IpAddr>,
    /// length of each range
    pub size: u32,
}

/// An interface of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    pub mac: [u8; 6],
    /// its own and those of its aliases
    pub addresses: Vec<IpAddr>,
    pub groups: Vec<u32>,
    pub filters_mac: bool,
    pub filters_ip: bool,
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

impl Rule {
    fn lets_through(&self, packet: &Packet, other_side: IpAddr) -> bool {
        let within = |first: &IpAddr| {
            first.is_ipv4() == other_side.is_ipv4()
                && (number(*first)..number(*first) + u128::from(self.size)).contains(&number(other_side))
        };
        let port = |port| match &self.detail {
            Detail::Ports(ports) => ports.iter().any(|(first, last)| (*first..=*last).contains(&port)),
            _ => true,
        };
        let of_kind = match (self.protocol, packet.content) {
            (Protocol::All, _) => true,
            (Protocol::Tcp, Content::Tcp(to)) | (Protocol::Udp, Content::Udp(to)) => port(to),
            (Protocol::Udp, Content::Dhcp) => port(67),
            (Protocol::Icmp, Content::Icmp(kind)) if packet.source.is_ipv4() => self.is_of_type(kind),
            (Protocol::Icmpv6, Content::Icmp(kind)) if packet.source.is_ipv6() => self.is_of_type(kind),
            (Protocol::Ipsec, Content::Esp) => true,
            _ => false,
        };
        of_kind && (self.networks.is_empty() || self.networks.iter().any(within))
    }

    fn is_of_type(&self, kind: u8) -> bool {
        match self.detail {
            Detail::Type(wanted) => wanted == kind,
            _ => true,
        }
    }
}

impl Interface {
    fn rules<'a>(&'a self, rules: &'a [Rule], inbound: bool) -> impl Iterator<Item = &'a Rule> {
        rules.iter().filter(move |rule| rule.inbound == inbound && self.groups.contains(&rule.group))
    }

    /// Whether a packet of no known connection may reach the machine.
    pub fn lets_in(&self, rules: &[Rule], packet: &Packet) -> bool {
        let is_neighbours = matches!(packet.content, Content::Icmp(134..=137)) && packet.source.is_ipv6();
        is_neighbours || self.rules(rules, true).any(|rule| rule.lets_through(packet, packet.source))
    }

    /// Whether a packet of no known connection may leave the machine.
    pub fn lets_out(&self, rules: &[Rule], packet: &Packet) -> bool {
        if is_search(packet) {
            return true;
        }
        if !self.is_honest(packet) {
            return false;
        }
        // A machine that asks for its address may always do so where its addresses are watched.
        (self.filters_ip && packet.content == Content::Dhcp)
            || self.rules(rules, false).any(|rule| rule.lets_through(packet, packet.destination))
    }

    /// Whether the answer to a packet that has passed may leave the machine.
    pub fn lets_answer(&self, answer: &Packet) -> bool {
        is_search(answer) || self.is_honest(answer)
    }

    fn is_honest(&self, packet: &Packet) -> bool {
        let own = self.addresses.contains(&packet.source) || packet.content == Content::Dhcp;
        (!self.filters_mac || packet.mac == self.mac) && (!self.filters_ip || own)
    }
}

/// The search for neighbours and routers, which IPv6 does not work without.
fn is_search(packet: &Packet) -> bool {
    matches!(packet.content, Content::Icmp(133 | 135 | 136)) && packet.source.is_ipv6()
}
