//! The networks of a host as a graph: `remotes vnm show --dot | dot -Tsvg`.

use std::fmt::Write as _;

use remotes_effect::text::one_line;

use super::flows::Flows;
use super::picture::{Bridge, Host, Machine};
use super::tree::{shown_filters, shown_groups, shown_uplink};

/// The whole graph.
pub fn graph(host: &Host) -> String {
    let mut out = "graph vnm {\n    rankdir=LR;\n    node [shape=box];\n".to_owned();
    for bridge in &host.bridges {
        let (id, name) = (id(bridge), &bridge.name);
        let mtu = bridge.mtu.map(|mtu| format!("\nMTU {mtu}")).unwrap_or_default();
        let kind = if bridge.openvswitch { "\nOpen vSwitch" } else { "" };
        node(&mut out, &id, &format!("bridge {name}{kind}{mtu}"), "style=rounded");
        for uplink in &bridge.uplinks {
            let port = format!("link {}", uplink.name);
            node(&mut out, &port, &shown_uplink(uplink), "");
            edge(&mut out, &port, &id, "");
            if let Some(on) = &uplink.on {
                node(&mut out, &format!("link {on}"), on, "");
                edge(&mut out, &format!("link {on}"), &port, "");
            }
        }
        for machine in &bridge.machines {
            vm(&mut out, machine, Some(&id));
        }
    }
    host.elsewhere.iter().for_each(|machine| vm(&mut out, machine, None));
    for unseen in &host.unseen {
        node(&mut out, &format!("unseen {unseen}"), &format!("not seen: {unseen}"), "shape=note");
    }
    out + "}\n"
}

/// A bridge of the kernel's may have the name of one of Open vSwitch.
fn id(bridge: &Bridge) -> String {
    let kind = if bridge.openvswitch { "openvswitch" } else { "bridge" };
    format!("{kind} {}", bridge.name)
}

fn vm(out: &mut String, machine: &Machine, bridge: Option<&str>) {
    let id = format!("vm {}", machine.id);
    node(out, &id, &format!("VM {}", machine.id), "shape=ellipse");
    for interface in &machine.interfaces {
        let port = interface.port.as_ref().map_or("no interface", |port| &port.name);
        let lines = shown_filters(interface).into_iter().chain(shown_groups(interface));
        let filters: String = lines.map(|line| format!("\n{}", one_line(&line))).collect();
        let nic = format!("nic {} {}", machine.id, interface.id);
        let is_broken = interface.ipv4.is_broken()
            || interface.ipv6.is_broken()
            || matches!(interface.flows, Some(Flows::Broken(_) | Flows::Left { .. }));
        let colour = if is_broken { "color=red" } else { "" };
        node(out, &nic, &format!("{port}{filters}"), colour);
        edge(out, &nic, &id, "");
        if let Some(bridge) = bridge {
            edge(out, bridge, &nic, colour);
        }
    }
}

fn node(out: &mut String, id: &str, label: &str, more: &str) {
    let _ =
        writeln!(out, "    {} [label={}{}{more}];", quoted(id), quoted(label), if more.is_empty() { "" } else { ", " });
}

fn edge(out: &mut String, from: &str, to: &str, more: &str) {
    let _ = writeln!(out, "    {} -- {} [{more}];", quoted(from), quoted(to));
}

/// A string of the language: nothing in it ends it, and its lines are lines.
fn quoted(text: &str) -> String {
    let escaped = |line: &str| one_line(line).replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", text.split('\n').map(escaped).collect::<Vec<_>>().join("\\n"))
}
