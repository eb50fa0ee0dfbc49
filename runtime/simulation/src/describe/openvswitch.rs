//! Effects on Open vSwitch and on virtual functions, for people.

use remotes_effect::openvswitch::{Backing, Change, Column};
use remotes_effect::sriov::Function;
use remotes_effect::{openvswitch, sriov};

use super::shown;

pub(super) fn of_switch(effect: &openvswitch::Effect) -> String {
    use openvswitch::Effect as E;
    match effect {
        E::Bridges {} => String::new(),
        E::Apply { changes } => changes.iter().map(of_change).collect::<Vec<_>>().join("; "),
        E::RemoveUnusedBridge { name, .. } => shown(name),
        E::Flows { bridge } => shown(bridge),
        E::ReplaceFlows { bridge, port, flows } => {
            format!("{} of {}: {} flows", shown(port), shown(bridge), flows.len())
        }
        E::ForgetFlows { bridge, number } => format!("{}: port {number}", shown(bridge)),
        E::LimitVlans { limit } => format!("{limit} tags"),
    }
}

fn of_change(change: &Change) -> String {
    match change {
        Change::EnsureBridge(bridge) => {
            let settings: String =
                bridge.settings.iter().map(|it| format!(" {}={}", shown(&it.name), shown(&it.value))).collect();
            format!("have bridge {}{settings}", shown(&bridge.name))
        }
        Change::EnsurePort(port) => {
            let socket = if port.backing == Backing::VhostUser { " (vhost-user)" } else { "" };
            format!("have port {} on {}{socket}", shown(&port.name), shown(&port.bridge))
        }
        Change::SetPort(port) => {
            let columns: Vec<String> = port.columns.iter().map(of_column).collect();
            format!("{}: {}", shown(&port.name), columns.join(", "))
        }
        Change::RemovePort(port) => format!("no port {} on {}", shown(&port.name), shown(&port.bridge)),
    }
}

fn of_column(column: &Column) -> String {
    let number = |value: Option<u32>| value.map_or_else(|| "none".to_owned(), |value| value.to_string());
    let list = |ids: &[u16]| shown(&ids.iter().map(u16::to_string).collect::<Vec<_>>().join(" "));
    match column {
        Column::Tag(tag) => format!("tag {}", number(tag.map(u32::from))),
        Column::Trunks(ids) if ids.is_empty() => "trunks all".to_owned(),
        Column::Trunks(ids) => format!("trunks {}", list(ids)),
        Column::VlanMode(mode) => format!("mode {mode:?}").to_lowercase(),
        Column::Cvlans(ids) if ids.is_empty() => "cvlans all".to_owned(),
        Column::Cvlans(ids) => format!("cvlans {}", list(ids)),
        Column::QinqEthertype(kind) => format!("ethertype {kind:?}").to_lowercase(),
        Column::Mtu(mtu) => format!("mtu {}", number(*mtu)),
    }
}

pub(super) fn of_functions(effect: &sriov::Effect) -> String {
    let named = |function: &Function| format!("{} of {}", function.index, shown(&function.physical));
    match effect {
        sriov::Effect::Find { address } => shown(address),
        sriov::Effect::Offload { function } => named(function),
        sriov::Effect::Configure { function, settings } => {
            let switch = |on: &bool| if *on { "on" } else { "off" }.to_owned();
            let parts = [
                settings.mac.as_ref().map(|mac| format!(" mac {}", shown(mac))),
                settings.vlan.map(|vlan| format!(" vlan {vlan}")),
                settings.spoof_check.as_ref().map(|on| format!(" spoofchk {}", switch(on))),
                settings.trust.as_ref().map(|on| format!(" trust {}", switch(on))),
            ];
            named(function) + &parts.into_iter().flatten().collect::<String>()
        }
    }
}
