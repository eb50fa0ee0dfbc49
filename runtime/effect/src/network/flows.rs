//! Flows of Open vSwitch: how `ovs-ofctl` is told of one, and how it lists them.

use std::net::IpAddr;

use super::names;
use crate::openvswitch::{Action, Condition, Flow, ListedFlow, Protocol};
use crate::types::Failure;

/// The last table that packets may be sent to.
const LAST_TABLE: u8 = 253;
/// Longest note, in bytes.
const LONGEST_NOTE: usize = 64;
/// A flow's priority where its listing says none.
const PRIORITY: u16 = 32768;

/// What a listing tells of a flow besides what packets it is for.
const STATISTICS: [&str; 10] = [
    "cookie",
    "duration",
    "n_packets",
    "n_bytes",
    "idle_age",
    "hard_age",
    "idle_timeout",
    "hard_timeout",
    "importance",
    "send_flow_rem",
];

fn word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Arp => "arp",
        Protocol::Ipv4 => "ip",
        Protocol::Ipv6 => "ipv6",
        Protocol::Icmp => "icmp",
        Protocol::Icmpv6 => "icmp6",
        Protocol::Tcp => "tcp",
        Protocol::Tcp6 => "tcp6",
        Protocol::Udp => "udp",
        Protocol::Udp6 => "udp6",
    }
}

/// The fields for the addresses of a protocol's packets, and whether these are of IPv6.
fn fields(protocol: Protocol) -> (&'static str, &'static str, bool) {
    match protocol {
        Protocol::Arp => ("arp_spa", "arp_tpa", false),
        Protocol::Ipv4 | Protocol::Icmp | Protocol::Tcp | Protocol::Udp => ("nw_src", "nw_dst", false),
        Protocol::Ipv6 | Protocol::Icmpv6 | Protocol::Tcp6 | Protocol::Udp6 => ("ipv6_src", "ipv6_dst", true),
    }
}

fn address(text: &str, wants_ipv6: bool) -> Result<IpAddr, Failure> {
    let address = names::address(text)?;
    match address.is_ipv6() == wants_ipv6 {
        true => Ok(address),
        false => Err(Failure::invalid(format!("flow: {text} is of the other family than the flow's protocol"))),
    }
}

fn condition(protocol: Option<Protocol>, condition: &Condition) -> Result<String, Failure> {
    use Protocol as P;
    let wants = |fits: fn(P) -> bool, what: &str| {
        protocol.filter(|it| fits(*it)).ok_or_else(|| Failure::invalid(format!("flow: {what} needs another protocol")))
    };
    let has_ports = |it: P| matches!(it, P::Tcp | P::Tcp6 | P::Udp | P::Udp6);
    Ok(match condition {
        Condition::Protocol(protocol) => word(*protocol).to_owned(),
        Condition::FromMac(mac) => {
            names::mac(mac)?;
            format!("dl_src={}", mac.to_ascii_lowercase())
        }
        Condition::FromAddress(text) => {
            let (field, _, ipv6) = fields(wants(|_| true, "an address")?);
            format!("{field}={}", address(text, ipv6)?)
        }
        Condition::ToAddress(text) => {
            let (_, field, ipv6) = fields(wants(|_| true, "an address")?);
            format!("{field}={}", address(text, ipv6)?)
        }
        Condition::FromPort(port) => wants(has_ports, "a port").map(|_| format!("tp_src={port}"))?,
        Condition::ToPort(port) => wants(has_ports, "a port").map(|_| format!("tp_dst={port}"))?,
        Condition::IcmpType(kind) => {
            wants(|it| matches!(it, P::Icmp | P::Icmpv6), "an ICMP type").map(|_| format!("icmp_type={kind}"))?
        }
    })
}

fn action(action: &Action) -> Result<String, Failure> {
    match action {
        Action::Note(bytes) if bytes.len() > LONGEST_NOTE => {
            Err(Failure::invalid(format!("flow: a note of {} bytes: expected at most {LONGEST_NOTE}", bytes.len())))
        }
        Action::Note(bytes) => Ok(format!("note:{}", note(bytes))),
        Action::Resubmit(table) if *table > LAST_TABLE => {
            Err(Failure::invalid(format!("flow: table {table}: expected at most {LAST_TABLE}")))
        }
        Action::Resubmit(table) => Ok(format!("resubmit(,{table})")),
        Action::Normal => Ok("NORMAL".to_owned()),
    }
}

/// A note's bytes, as flows are listed with it.
pub fn note(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(".")
}

/// A flow as it will be listed once packets of the port with this number meet it.
pub fn listed(flow: &Flow, input: u32) -> Result<ListedFlow, Failure> {
    if flow.table > LAST_TABLE {
        return Err(Failure::invalid(format!("flow: table {}: expected at most {LAST_TABLE}", flow.table)));
    }
    let protocol = flow.conditions.iter().find_map(|condition| match condition {
        Condition::Protocol(protocol) => Some(*protocol),
        _ => None,
    });
    let mut conditions = flow.conditions.iter().map(|it| condition(protocol, it)).collect::<Result<Vec<_>, _>>()?;
    // Fields follow the protocol that they are of.
    conditions.sort_by_key(|text| text.contains('='));
    let mut names: Vec<&str> = conditions.iter().map(|text| text.split('=').next().unwrap_or_default()).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) || conditions.iter().filter(|it| !it.contains('=')).count() > 1 {
        return Err(Failure::invalid("flow: two conditions of the same kind"));
    }
    let actions = flow.actions.iter().map(action).collect::<Result<Vec<_>, _>>()?;
    let actions = if actions.is_empty() { "drop".to_owned() } else { actions.join(",") };
    Ok(ListedFlow { table: flow.table, priority: flow.priority, input: Some(input), conditions, actions })
}

/// The script by which `ovs-ofctl --bundle add-flows` gives a port's packets these flows and no others.
pub fn script(input: u32, flows: &[Flow]) -> Result<String, Failure> {
    let mut script = forget(input);
    for flow in flows {
        let ListedFlow { table, priority, conditions, actions, .. } = listed(flow, input)?;
        let conditions: String = conditions.iter().map(|condition| format!(",{condition}")).collect();
        script += &format!("add table={table},priority={priority},in_port={input}{conditions},actions={actions}\n");
    }
    Ok(script)
}

/// The script that removes the flows of a port.
pub fn forget(input: u32) -> String {
    format!("delete in_port={input}\n")
}

/// Reads what `ovs-ofctl dump-flows` prints.
pub fn parse(listing: &str) -> Vec<ListedFlow> {
    listing.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<ListedFlow> {
    // A flow that anything goes for begins with its actions.
    let (left, actions) = format!(" {line}").split_once(" actions=").map(|(l, r)| (l.to_owned(), r.to_owned()))?;
    let mut flow = ListedFlow {
        table: 0,
        priority: PRIORITY,
        input: None,
        conditions: Vec::new(),
        actions: actions.trim().into(),
    };
    for part in left.split([',', ' ']).map(str::trim).filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        match name {
            "table" => flow.table = value.parse().ok()?,
            "priority" => flow.priority = value.parse().ok()?,
            "in_port" if flow.input.is_none() && value.parse::<u32>().is_ok() => flow.input = value.parse().ok(),
            name if STATISTICS.contains(&name) => {}
            _ => flow.conditions.push(part.to_owned()),
        }
    }
    Some(flow)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use proptest::prelude::*;

    use super::*;

    fn flow(table: u8, priority: u16, conditions: Vec<Condition>, actions: Vec<Action>) -> Flow {
        Flow { table, priority, conditions, actions }
    }

    fn protocol(protocol: Protocol) -> Condition {
        Condition::Protocol(protocol)
    }

    #[test]
    fn a_script_replaces_the_flows_of_a_port() {
        let flows = [
            flow(0, 100, vec![], vec![Action::Note(vec![0, 0, 0, 0x3c, 0, 0]), Action::Resubmit(10)]),
            flow(
                20,
                44000,
                vec![
                    Condition::FromAddress("0.0.0.0".into()),
                    protocol(Protocol::Udp),
                    Condition::FromPort(68),
                    Condition::ToAddress("255.255.255.255".into()),
                    Condition::ToPort(67),
                ],
                vec![Action::Normal],
            ),
            flow(20, 50000, vec![protocol(Protocol::Arp), Condition::FromAddress("10.0.0.1".into())], vec![]),
        ];
        assert_eq!(
            script(2, &flows).unwrap(),
            "delete in_port=2\n\
             add table=0,priority=100,in_port=2,actions=note:00.00.00.3c.00.00,resubmit(,10)\n\
             add table=20,priority=44000,in_port=2,udp,nw_src=0.0.0.0,tp_src=68,nw_dst=255.255.255.255,tp_dst=67,actions=NORMAL\n\
             add table=20,priority=50000,in_port=2,arp,arp_spa=10.0.0.1,actions=drop\n"
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for conditions in [
            vec![Condition::FromAddress("10.0.0.1".into())],
            vec![protocol(Protocol::Ipv4), Condition::FromAddress("fe80::1".into())],
            vec![protocol(Protocol::Ipv6), Condition::FromAddress("10.0.0.1".into())],
            vec![protocol(Protocol::Ipv4), Condition::FromAddress("10.0.0.1,actions=NORMAL".into())],
            vec![protocol(Protocol::Ipv4), Condition::FromPort(1)],
            vec![protocol(Protocol::Ipv4), protocol(Protocol::Ipv6)],
            vec![Condition::FromMac("02:00".into())],
            vec![Condition::FromMac("02:00:00:00:00:01\nadd actions=NORMAL".into())],
            vec![Condition::FromMac("02:00:00:00:00:01".into()), Condition::FromMac("02:00:00:00:00:02".into())],
            vec![Condition::IcmpType(8)],
        ] {
            assert!(listed(&flow(0, 1, conditions.clone(), vec![]), 1).is_err(), "{conditions:?}");
        }
        for action in [Action::Resubmit(254), Action::Note(vec![0; 65])] {
            assert!(listed(&flow(0, 1, vec![], vec![action.clone()]), 1).is_err(), "{action:?}");
        }
        assert!(listed(&flow(255, 1, vec![], vec![]), 1).is_err());
    }

    #[test]
    fn listings_are_read() {
        let listing = "NXST_FLOW reply (xid=0x4):\n \
            cookie=0x0, duration=0.007s, table=10, n_packets=0, n_bytes=0, idle_age=0, priority=45000,arp,in_port=3,arp_spa=10.0.0.1 actions=resubmit(,20)\n \
            priority=100,in_port=2 actions=note:00.00.00.3c.00.00,resubmit(,10)\n \
            priority=5,in_port=LOCAL actions=drop\n actions=NORMAL\n";
        let flows = parse(listing);
        assert_eq!(flows.len(), 4);
        assert_eq!((flows[0].table, flows[0].priority, flows[0].input), (10, 45000, Some(3)));
        assert_eq!(flows[0].conditions, ["arp", "arp_spa=10.0.0.1"]);
        assert_eq!((flows[1].input, flows[1].actions.as_str()), (Some(2), "note:00.00.00.3c.00.00,resubmit(,10)"));
        assert_eq!((flows[2].input, flows[2].conditions.as_slice()), (None, &["in_port=LOCAL".to_owned()][..]));
        assert_eq!((flows[3].priority, flows[3].actions.as_str()), (32768, "NORMAL"));
    }

    proptest! {
        #[test]
        fn any_listing_is_read_without_panic(text in "\\PC{0,200}|[a-z0-9=, .:()\n]{0,200}") {
            parse(&text);
        }

        #[test]
        fn a_script_is_one_line_a_flow(mac in "\\PC{0,24}", address in "\\PC{0,24}", note in proptest::collection::vec(any::<u8>(), 0..80)) {
            let flows = [
                flow(1, 1, vec![Condition::FromMac(mac)], vec![Action::Note(note)]),
                flow(2, 1, vec![protocol(Protocol::Ipv4), Condition::FromAddress(address.clone())], vec![]),
                flow(2, 1, vec![protocol(Protocol::Ipv6), Condition::ToAddress(address)], vec![]),
            ];
            for flow in flows {
                if let Ok(script) = script(7, std::slice::from_ref(&flow)) {
                    prop_assert_eq!(script.lines().count(), 2);
                    prop_assert!(script.lines().all(|line| line.contains("in_port=7")), "{}", script);
                }
            }
        }
    }
}
