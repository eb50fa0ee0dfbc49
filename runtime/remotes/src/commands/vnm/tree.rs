//! The networks of a host as a tree for people.

use std::fmt::Write as _;

use remotes_effect::text::one_line;

use super::host::{Bridge, Filter, Host, Interface, Machine, Uplink};

/// A line and those below it.
struct Node {
    text: String,
    below: Vec<Node>,
}

impl Node {
    fn leaf(text: String) -> Self {
        Self { text, below: Vec::new() }
    }

    fn print(&self, indent: &str, out: &mut String) {
        for (number, node) in self.below.iter().enumerate() {
            let is_last = number + 1 == self.below.len();
            let (branch, more) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            // Names of links may be anything that a user of the host came up with.
            let _ = writeln!(out, "{indent}{branch}{}", one_line(&node.text));
            node.print(&format!("{indent}{more}"), out);
        }
    }
}

/// The whole tree, a line each.
pub fn tree(host: &Host) -> String {
    let mut below: Vec<Node> = host.bridges.iter().map(bridge).collect();
    if !host.elsewhere.is_empty() {
        let machines = host.elsewhere.iter().map(machine).collect();
        below.push(Node { text: "on no bridge".to_owned(), below: machines });
    }
    if !host.unseen.is_empty() {
        let unseen = host.unseen.iter().map(|what| Node::leaf(what.clone())).collect();
        below.push(Node { text: "not seen".to_owned(), below: unseen });
    }
    if below.is_empty() {
        return "this host has no bridge and no virtual machine's interface\n".to_owned();
    }
    let mut out = "this host\n".to_owned();
    Node { text: String::new(), below }.print("", &mut out);
    out
}

fn state(up: bool) -> &'static str {
    if up { "up" } else { "down" }
}

fn bridge(bridge: &Bridge) -> Node {
    let below = bridge.uplinks.iter().map(uplink).chain(bridge.machines.iter().map(machine)).collect();
    Node { text: format!("bridge {} ({}, MTU {})", bridge.name, state(bridge.up), bridge.mtu), below }
}

/// `uplink eth1.100 (vlan 100 on eth1, up)`
pub fn shown_uplink(uplink: &Uplink) -> String {
    let kind = if uplink.kind.is_empty() { "hardware" } else { &uplink.kind };
    let id = uplink.id.map(|id| format!(" {id}")).unwrap_or_default();
    let on = uplink.on.as_ref().map(|on| format!(" on {on}")).unwrap_or_default();
    format!("uplink {} ({kind}{id}{on}, {})", uplink.name, state(uplink.up))
}

fn uplink(uplink: &Uplink) -> Node {
    Node::leaf(shown_uplink(uplink))
}

fn machine(machine: &Machine) -> Node {
    Node { text: format!("VM {}", machine.id), below: machine.interfaces.iter().map(interface).collect() }
}

fn interface(interface: &Interface) -> Node {
    let port = match &interface.port {
        Some(port) => format!("{} ({}, {})", port.name, port.mac, state(port.up)),
        None => "no interface on this host".to_owned(),
    };
    let mut below = vec![
        Node::leaf(format!("IPv4: {}", shown_filter(interface.ipv4))),
        Node::leaf(format!("IPv6: {}", shown_filter(interface.ipv6))),
    ];
    if !interface.groups_with_networks.is_empty() {
        let groups: Vec<String> = interface.groups_with_networks.iter().map(u32::to_string).collect();
        below.push(Node::leaf(format!("security groups with networks: {}", groups.join(", "))));
    }
    let set = |set: &super::host::Set| Node::leaf(format!("set {}: {}", set.name, counted(set.members, "member")));
    below.extend(interface.sets.iter().map(set));
    Node { text: format!("NIC {}: {port}", interface.id), below }
}

fn counted(count: impl Into<u64>, what: &str) -> String {
    match count.into() {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

/// What filters packets, in words.
pub fn shown_filter(filter: Filter) -> String {
    match filter {
        Filter::Unseen => "not seen".to_owned(),
        Filter::None => "no rules, everything passes".to_owned(),
        Filter::InForce { inbound, outbound } => {
            format!("{} in, {outbound} out", counted(inbound as u64, "rule"))
        }
        Filter::Broken => "BROKEN: the chains are not in force; `update_sg` or `post` makes them again".to_owned(),
    }
}
