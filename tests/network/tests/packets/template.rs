//! Random machines, and packets to try them with.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::collection::SizeRange;
use proptest::prelude::*;
use proptest::sample::select;

use crate::model::{Content, Detail, Interface, Packet, Protocol, Rule};
use crate::wire::shown;

/// One interface of a machine.
#[derive(Debug, Clone)]
pub struct Nic {
    pub groups: Vec<u32>,
    pub filters_mac: bool,
    pub filters_ip: bool,
    pub has_ipv4: bool,
    pub has_ipv6: bool,
    pub aliases: u8,
}

/// A machine.
#[derive(Debug, Clone)]
pub struct Template {
    pub rules: Vec<Rule>,
    pub nics: Vec<Nic>,
}

/// Who sends a packet to whom: an interface by its place, or somebody else (none).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    pub from: Option<usize>,
    pub to: Option<usize>,
}

/// A packet that is tried.
#[derive(Debug, Clone)]
pub struct Trial {
    pub way: Way,
    pub packet: Packet,
}

/// The address of somebody else.
fn other(ipv6: bool, offset: u8) -> IpAddr {
    match ipv6 {
        false => Ipv4Addr::new(10, 9, 1, offset).into(),
        true => Ipv6Addr::new(0xfd00, 9, 0, 0, 0, 0, 1, offset.into()).into(),
    }
}

/// The address of an interface, or of one of its aliases, counted from 1.
fn own(nic: usize, alias: u8, ipv6: bool) -> IpAddr {
    let last = u8::try_from(nic).unwrap() * 16 + alias + 10;
    match ipv6 {
        false => Ipv4Addr::new(10, 9, 0, last).into(),
        true => Ipv6Addr::new(0xfd00, 9, 0, 0, 0, 0, 0, last.into()).into(),
    }
}

pub fn mac(nic: usize) -> [u8; 6] {
    [2, 0, 0, 0, 7, u8::try_from(nic).unwrap()]
}

/// The largest port and the offsets of addresses that rules and packets have to do with: few, so that they meet.
const PORTS: u16 = 20;
const OFFSETS: u8 = 64;

fn ports() -> impl Strategy<Value = Detail> {
    let range = (1..=PORTS, 0..4_u16).prop_map(|(first, more)| (first, first + more));
    proptest::collection::vec(range, 1..4).prop_map(Detail::Ports)
}

fn rule() -> impl Strategy<Value = Rule> {
    let kinds = select(vec![8, 8, 0, 3, 11]).prop_map(Detail::Type);
    let kinds6 = select(vec![128, 128, 1, 129, 133, 134]).prop_map(Detail::Type);
    let what = prop_oneof![
        1 => Just((Protocol::All, Detail::Nothing)),
        2 => (select(vec![Protocol::Tcp, Protocol::Udp]), prop_oneof![1 => Just(Detail::Nothing), 3 => ports()]),
        1 => prop_oneof![Just(Detail::Nothing), kinds].prop_map(|detail| (Protocol::Icmp, detail)),
        1 => prop_oneof![Just(Detail::Nothing), kinds6].prop_map(|detail| (Protocol::Icmpv6, detail)),
        1 => Just((Protocol::Ipsec, Detail::Nothing)),
    ];
    let networks = prop_oneof![
        2 => Just((false, false)),
        1 => Just((true, false)),
        1 => Just((false, true)),
        1 => Just((true, true)),
    ];
    (what, 1..=3_u32, any::<bool>(), networks, 0..OFFSETS, 1..48_u32).prop_map(
        |((protocol, detail), group, inbound, (ipv4, ipv6), offset, size)| Rule {
            group,
            inbound,
            networks: [(ipv4, false), (ipv6, true)].iter().filter(|it| it.0).map(|it| other(it.1, offset)).collect(),
            protocol,
            detail,
            size,
        },
    )
}

fn nic() -> impl Strategy<Value = Nic> {
    let groups = proptest::sample::subsequence(vec![1, 2, 3], 0..=3).prop_shuffle();
    let mostly = || proptest::bool::weighted(0.8);
    (groups, any::<bool>(), any::<bool>(), mostly(), mostly(), 0..3_u8).prop_map(
        |(groups, filters_mac, filters_ip, has_ipv4, has_ipv6, aliases)| Nic {
            groups,
            filters_mac,
            filters_ip,
            has_ipv4,
            has_ipv6,
            aliases,
        },
    )
}

/// Machines with so many interfaces.
pub fn template(nics: impl Into<SizeRange>) -> impl Strategy<Value = Template> {
    let (rules, nics) = (proptest::collection::vec(rule(), 0..12), proptest::collection::vec(nic(), nics));
    (rules, nics).prop_map(|(rules, nics)| Template { rules, nics })
}

/// Packets for a machine with two interfaces.
pub fn trials(template: &Template) -> impl Strategy<Value = Vec<Trial>> + use<> {
    let ways = [(None, Some(0)), (None, Some(1)), (Some(0), None), (Some(1), None), (Some(0), Some(1))];
    let way = select(ways.map(|(from, to)| Way { from, to }).to_vec());
    let content = |ipv6: bool| {
        let kinds = match ipv6 {
            false => vec![8, 8, 0, 3, 11, 13],
            true => vec![128, 128, 1, 2, 129, 133, 134, 135, 136, 137],
        };
        prop_oneof![
            3 => (1..PORTS + 4).prop_map(Content::Tcp),
            3 => (1..PORTS + 4).prop_map(Content::Udp),
            3 => select(kinds).prop_map(Content::Icmp),
            1 => Just(Content::Esp),
            1 => Just(if ipv6 { Content::Esp } else { Content::Dhcp }),
        ]
    };
    let content = any::<bool>().prop_flat_map(move |ipv6| (Just(ipv6), content(ipv6)));
    let source = prop_oneof![6 => Just(0_u8), 2 => Just(1), 1 => Just(2), 1 => Just(5)];
    let forged = proptest::bool::weighted(0.15);
    let aliases: Vec<u8> = template.nics.iter().map(|nic| nic.aliases).collect();
    let trial = (way, content, source, forged, 0..OFFSETS + 20).prop_map(
        move |(way, (ipv6, content), alias, forged, offset)| {
            let at = |nic: Option<usize>, alias| nic.map_or_else(|| other(ipv6, offset), |nic| own(nic, alias, ipv6));
            let mut packet = Packet {
                source: at(way.from, alias),
                destination: at(way.to, aliases[way.to.unwrap_or(0)].min(1)),
                mac: way.from.map_or(SOMEBODY, mac),
                content,
            };
            if forged && way.from.is_some() {
                packet.mac[0] = 6;
            }
            if content == Content::Dhcp {
                (packet.source, packet.destination) = (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::BROADCAST.into());
            }
            Trial { way, packet }
        },
    );
    proptest::collection::vec(trial, 40..60).prop_map(without_meetings)
}

/// The address of the machine that all others are behind.
pub const SOMEBODY: [u8; 6] = [2, 0, 0, 0, 9, 1];

/// ESP knows no ports: a second packet between the same two would belong to the first one's connection.
fn without_meetings(trials: Vec<Trial>) -> Vec<Trial> {
    let mut seen = BTreeSet::new();
    let is_first = |trial: &Trial| {
        let (a, b) = (trial.packet.source, trial.packet.destination);
        trial.packet.content != Content::Esp || seen.insert((a.min(b), a.max(b)))
    };
    trials.into_iter().filter(is_first).collect()
}

impl Template {
    /// The interfaces as the model has them.
    pub fn interfaces(&self) -> Vec<Interface> {
        let addresses = |place: usize, nic: &Nic| {
            let families = [(nic.has_ipv4, false), (nic.has_ipv6, true)];
            let families = families.into_iter().filter(|(has, _)| *has);
            families.flat_map(|(_, ipv6)| (0..=nic.aliases).map(move |alias| own(place, alias, ipv6))).collect()
        };
        let interface = |(place, nic): (usize, &Nic)| Interface {
            mac: mac(place),
            addresses: addresses(place, nic),
            groups: nic.groups.clone(),
            filters_mac: nic.filters_mac,
            filters_ip: nic.filters_ip,
        };
        self.nics.iter().enumerate().map(interface).collect()
    }

    /// The document that oned sends of the machine 7.
    pub fn document(&self) -> String {
        let rules: String = self.rules.iter().map(shown_rule).collect();
        let nics: String = self.nics.iter().enumerate().map(|(place, nic)| shown_nic(place, nic)).collect();
        format!(
            "<VM><ID>7</ID><DEPLOY_ID>one-7</DEPLOY_ID><HISTORY_RECORDS><HISTORY><VM_MAD>kvm</VM_MAD></HISTORY>\
            </HISTORY_RECORDS><TEMPLATE>{rules}{nics}</TEMPLATE></VM>"
        )
    }

    /// What libvirt has of it.
    pub fn domain(&self) -> String {
        let interface = |place: usize| {
            let mac = shown(mac(place));
            format!("<interface type='bridge'><mac address='{mac}'/><target dev='one-7-{place}'/></interface>")
        };
        let interfaces: String = (0..self.nics.len()).map(interface).collect();
        format!("<domain type='kvm'><name>one-7</name><devices>{interfaces}</devices></domain>")
    }
}

fn shown_rule(rule: &Rule) -> String {
    let protocol = match rule.protocol {
        Protocol::All => "ALL",
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
        Protocol::Icmp => "ICMP",
        Protocol::Icmpv6 => "ICMPv6",
        Protocol::Ipsec => "IPSEC",
    };
    let detail = match &rule.detail {
        Detail::Nothing => String::new(),
        Detail::Ports(ports) => {
            let port = |(first, last): &(u16, u16)| match first == last {
                true => first.to_string(),
                false => format!("{first}:{last}"),
            };
            format!("<RANGE>{}</RANGE>", ports.iter().map(port).collect::<Vec<_>>().join(","))
        }
        Detail::Type(kind) if rule.protocol == Protocol::Icmpv6 => format!("<ICMPV6_TYPE>{kind}</ICMPV6_TYPE>"),
        Detail::Type(kind) => format!("<ICMP_TYPE>{kind}</ICMP_TYPE>"),
    };
    let network = |first: &IpAddr| match first {
        IpAddr::V4(v4) => format!("<IP>{v4}</IP>"),
        IpAddr::V6(v6) => format!("<IP6_GLOBAL>{v6}</IP6_GLOBAL>"),
    };
    let mut networks: String = rule.networks.iter().map(network).collect();
    if !rule.networks.is_empty() {
        networks += &format!("<SIZE>{}</SIZE>", rule.size);
    }
    let direction = if rule.inbound { "INBOUND" } else { "OUTBOUND" };
    format!(
        "<SECURITY_GROUP_RULE><PROTOCOL>{protocol}</PROTOCOL><RULE_TYPE>{direction}</RULE_TYPE>{detail}{networks}\
        <SECURITY_GROUP_ID>{}</SECURITY_GROUP_ID></SECURITY_GROUP_RULE>",
        rule.group
    )
}

fn shown_nic(place: usize, nic: &Nic) -> String {
    let addresses = |alias| {
        let ipv4 = nic.has_ipv4.then(|| format!("<IP>{}</IP>", own(place, alias, false)));
        let ipv6 = nic.has_ipv6.then(|| format!("<IP6_ULA>{}</IP6_ULA>", own(place, alias, true)));
        ipv4.into_iter().chain(ipv6).collect::<String>()
    };
    let yes = |filters: bool| if filters { "YES" } else { "NO" };
    let id = |alias: u8| 10 * (place + 1) + usize::from(alias);
    let ids: Vec<String> = (1..=nic.aliases).map(|alias| id(alias).to_string()).collect();
    let groups: Vec<String> = nic.groups.iter().map(u32::to_string).collect();
    let alias = |alias| {
        format!(
            "<NIC_ALIAS><NIC_ID>{}</NIC_ID><PARENT_ID>{place}</PARENT_ID>{}</NIC_ALIAS>",
            id(alias),
            addresses(alias)
        )
    };
    let aliases: String = (1..=nic.aliases).map(alias).collect();
    format!(
        "<NIC><NIC_ID>{place}</NIC_ID><VN_MAD>fw</VN_MAD><BRIDGE>br0</BRIDGE><MAC>{}</MAC>{}<ALIAS_IDS>{}</ALIAS_IDS>\
        <FILTER_MAC_SPOOFING>{}</FILTER_MAC_SPOOFING><FILTER_IP_SPOOFING>{}</FILTER_IP_SPOOFING>\
        <SECURITY_GROUPS><![CDATA[{}]]></SECURITY_GROUPS></NIC>{aliases}",
        shown(mac(place)),
        addresses(0),
        ids.join(","),
        yes(nic.filters_mac),
        yes(nic.filters_ip),
        groups.join(",")
    )
}
