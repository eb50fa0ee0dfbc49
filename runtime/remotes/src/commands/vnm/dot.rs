//! The networks of a host as a graph: `remotes vnm show --dot | dot -Tsvg`.

use std::fmt::Write as _;

use super::host::{Filter, Host, Machine};
use super::tree::{shown_filter, shown_uplink};

/// The whole graph.
pub fn graph(host: &Host) -> String {
    let mut out = "graph vnm {\n    rankdir=LR;\n    node [shape=box];\n".to_owned();
    for bridge in &host.bridges {
        let name = &bridge.name;
        node(&mut out, &format!("bridge {name}"), &format!("bridge {name}\nMTU {}", bridge.mtu), "style=rounded");
        for uplink in &bridge.uplinks {
            let id = format!("link {}", uplink.name);
            node(&mut out, &id, &shown_uplink(uplink), "");
            edge(&mut out, &id, &format!("bridge {name}"), "");
            if let Some(on) = &uplink.on {
                node(&mut out, &format!("link {on}"), on, "");
                edge(&mut out, &format!("link {on}"), &id, "");
            }
        }
        for machine in &bridge.machines {
            vm(&mut out, machine, Some(name));
        }
    }
    host.elsewhere.iter().for_each(|machine| vm(&mut out, machine, None));
    for unseen in &host.unseen {
        node(&mut out, &format!("unseen {unseen}"), &format!("not seen: {unseen}"), "shape=note");
    }
    out + "}\n"
}

fn vm(out: &mut String, machine: &Machine, bridge: Option<&str>) {
    let id = format!("vm {}", machine.id);
    node(out, &id, &format!("VM {}", machine.id), "shape=ellipse");
    for interface in &machine.interfaces {
        let port = interface.port.as_ref().map_or("no interface", |port| &port.name);
        let (ipv4, ipv6) = (shown_filter(interface.ipv4), shown_filter(interface.ipv6));
        let nic = format!("nic {} {}", machine.id, interface.id);
        let is_broken = [interface.ipv4, interface.ipv6].contains(&Filter::Broken);
        let colour = if is_broken { "color=red" } else { "" };
        node(out, &nic, &format!("{port}\nIPv4: {ipv4}\nIPv6: {ipv6}"), colour);
        edge(out, &nic, &id, "");
        if let Some(bridge) = bridge {
            edge(out, &format!("bridge {bridge}"), &nic, colour);
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

/// A string of the language: nothing in it ends it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            c if c.is_control() => quoted.push('?'),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}
