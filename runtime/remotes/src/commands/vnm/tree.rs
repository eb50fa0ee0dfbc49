//! The networks of a host as a tree for people.

use std::fmt::Write as _;

use remotes_effect::text::one_line;

use super::deployed::Group;
use super::filter::Filter;
use super::picture::{Bridge, Host, Interface, Machine, Port, Uplink};
use super::vlans::Vlans;

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
    Node { text: shown_bridge(bridge), below }
}

/// `bridge ovsbr0 (Open vSwitch, up, MTU 1500)`
pub fn shown_bridge(bridge: &Bridge) -> String {
    let says = [
        bridge.openvswitch.then(|| "Open vSwitch".to_owned()),
        Some(state(bridge.up).to_owned()),
        bridge.mtu.map(|mtu| format!("MTU {mtu}")),
    ];
    format!("bridge {} ({})", bridge.name, says.into_iter().flatten().collect::<Vec<_>>().join(", "))
}

/// `uplink eth1.100 (vlan 100 on eth1, up)`
pub fn shown_uplink(uplink: &Uplink) -> String {
    let kind = match uplink.kind.as_deref() {
        None => "no link of the kernel's",
        Some("") => "hardware",
        Some(kind) => kind,
    };
    let id = uplink.id.map(|id| format!(" {id}")).unwrap_or_default();
    let on = uplink.on.as_ref().map(|on| format!(" on {on}")).unwrap_or_default();
    let more = [
        uplink.up.map(|up| state(up).to_owned()),
        uplink.vlans.as_ref().filter(|vlans| !vlans.are_all()).map(Vlans::shown),
        uplink.flows_of.as_ref().map(|of| format!("with the flows of NIC {} of VM {}", of.nic, of.vm)),
    ];
    let more: String = more.into_iter().flatten().map(|more| format!(", {more}")).collect();
    format!("uplink {} ({kind}{id}{on}{more})", uplink.name)
}

fn uplink(uplink: &Uplink) -> Node {
    Node::leaf(shown_uplink(uplink))
}

fn machine(machine: &Machine) -> Node {
    Node { text: format!("VM {}", machine.id), below: machine.interfaces.iter().map(interface).collect() }
}

fn interface(interface: &Interface) -> Node {
    let port = match &interface.port {
        Some(port) => shown_port(port),
        None => "no interface on this host".to_owned(),
    };
    let mut below: Vec<Node> = shown_filters(interface).into_iter().map(Node::leaf).collect();
    below.extend(shown_groups(interface).into_iter().map(Node::leaf));
    let set = |set: &super::picture::Set| Node::leaf(format!("set {}: {}", set.name, counted(set.members, "member")));
    below.extend(interface.sets.iter().map(set));
    Node { text: format!("NIC {}: {port}", interface.id), below }
}

/// `security groups: 0 (default), 100 (web)`, and those that are in force besides.
pub fn shown_groups(interface: &Interface) -> Vec<String> {
    let name = |group: &Group| match &group.name {
        Some(name) => format!("{} ({name})", group.id),
        None => group.id.to_string(),
    };
    let deployed = interface.deployed_groups.as_deref().unwrap_or_default();
    let others = interface.groups_with_networks.iter().filter(|id| deployed.iter().all(|group| group.id != **id));
    let line = |what: &str, groups: Vec<String>| (!groups.is_empty()).then(|| format!("{what}: {}", groups.join(", ")));
    let lines = [
        line("security groups, as deployed", deployed.iter().map(name).collect()),
        line("security groups with networks", others.map(u32::to_string).collect()),
    ];
    lines.into_iter().flatten().collect()
}

fn counted(count: impl Into<u64>, what: &str) -> String {
    match count.into() {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

fn shown_port(port: &Port) -> String {
    match (&port.mac, port.up) {
        (Some(mac), Some(up)) => format!("{} ({mac}, {})", port.name, state(up)),
        _ => format!("{} (no link of the kernel's)", port.name),
    }
}

/// What becomes of an interface's packets, a line each.
pub fn shown_filters(interface: &Interface) -> Vec<String> {
    let vlans = interface.vlans.as_ref().map(|vlans| format!("VLANs: {}", vlans.shown()));
    let flows = interface.flows.as_ref().map(|flows| format!("flows: {}", flows.shown()));
    // Drivers of Open vSwitch make no chains.
    let family = |name: &str, filter: Filter| {
        (filter != Filter::None || flows.is_none()).then(|| format!("{name}: {}", filter.shown()))
    };
    let families = [family("IPv4", interface.ipv4), family("IPv6", interface.ipv6)];
    [vlans, flows.clone()].into_iter().chain(families).flatten().collect()
}
