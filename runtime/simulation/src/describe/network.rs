//! Network effects for people.

use remotes_effect::iptables::{Change, Family, Table, TableChange};
use remotes_effect::links::Endpoint;
use remotes_effect::network::proxies;
use remotes_effect::{hooks, iptables, links, tproxy};

use super::{quoted, shown, size};

pub(super) fn of_hooks(effect: &hooks::Effect) -> String {
    match effect {
        hooks::Effect::Entries { action } => format!("{}.d", shown(action)),
        hooks::Effect::Run { action, name, arguments, stdin } => {
            let arguments: String = arguments.iter().map(|argument| format!(" {}", quoted(argument))).collect();
            format!("{}.d/{}{arguments} < {}", shown(action), shown(name), size(stdin.len() as u64))
        }
    }
}

pub(super) fn of_iptables(effect: &iptables::Effect) -> String {
    match effect {
        iptables::Effect::Apply { transaction } => {
            let mut parts: Vec<String> = transaction.tables.iter().map(of_table).collect();
            let sets = transaction.sets.iter().map(|set| format!("set {} ({})", shown(&set.name), set.members.len()));
            parts.extend(sets);
            parts.extend(transaction.obsolete_sets.iter().map(|base| format!("no other sets {}", shown(base))));
            parts.join("; ")
        }
        iptables::Effect::Chains { beginning, .. } | iptables::Effect::Sets { beginning } => {
            format!("{}…", shown(beginning))
        }
        iptables::Effect::AddMembers { name, members } => format!("{} + {}", shown(name), shown(&members.join(" "))),
        iptables::Effect::RemoveMembers { name, members } => format!("{} - {}", shown(name), shown(&members.join(" "))),
    }
}

fn of_table(table: &TableChange) -> String {
    let family = match table.family {
        Family::Ipv4 => "ipv4",
        Family::Ipv6 => "ipv6",
    };
    let name = match table.table {
        Table::Filter => "filter",
        Table::Nat => "nat",
    };
    let changes: Vec<String> = table.changes.iter().map(of_change).collect();
    format!("{family} {name}: {}", changes.join(", "))
}

fn of_change(change: &Change) -> String {
    match change {
        Change::EnsureChain(chain) => format!("have {}", shown(&chain.name)),
        Change::ReplaceChain(chain) => format!("{} of {} rules", shown(&chain.name), chain.rules.len()),
        Change::RemoveChains(removal) => format!("no {}", shown(&removal.base)),
        Change::AddRule(placed) => format!("rule in {}", shown(&placed.chain)),
        Change::EnsureRule(placed) | Change::EnsureJump(placed) => format!("have a rule in {}", shown(&placed.chain)),
        Change::RemoveRule(placed) => format!("no such rule in {}", shown(&placed.chain)),
    }
}

pub(super) fn of_links(effect: &links::Effect) -> String {
    use links::Effect as E;
    match effect {
        E::Entries {} => String::new(),
        E::Find { name } => shown(name),
        E::MakeBridge { bridge } => shown(&bridge.name),
        E::MakeVlan { vlan } => format!("{} id {} on {}", shown(&vlan.name), vlan.id, shown(&vlan.lower)),
        E::MakeVxlan { vxlan } => {
            let endpoint = match &vxlan.endpoint {
                Endpoint::Device(device) => format!("on {}", shown(device)),
                Endpoint::Address(address) => format!("from {}", shown(address)),
            };
            format!("{} id {} {endpoint}", shown(&vxlan.name), vxlan.id)
        }
        E::Remove { name } | E::RemoveUnusedBridge { name, .. } | E::Addresses { name } => shown(name),
        E::SetMaster { name, master: Some(master) } => format!("{} to {}", shown(name), shown(master)),
        E::SetMaster { name, master: None } => format!("{} to none", shown(name)),
        E::SetMtu { name, mtu } => format!("{} {mtu}", shown(name)),
        E::FilterVlans { bridge } => shown(bridge),
        E::AddVlans { vlans } => {
            let vlans: Vec<String> = vlans.iter().map(|vlan| format!("{} on {}", vlan.id, vlan.port)).collect();
            shown(&vlans.join(", "))
        }
        E::RemoveVlans { port, first, last } => format!("{first}-{last} on {}", shown(port)),
        E::AddRoute { address, link }
        | E::RemoveRoute { address, link }
        | E::AddProxy { address, link }
        | E::RemoveProxy { address, link } => format!("{} by {}", shown(address), shown(link)),
    }
}

pub(super) fn of_proxies(effect: &tproxy::Effect) -> String {
    use tproxy::Effect as E;
    match effect {
        E::Resolve { name } => shown(name),
        E::Up { bridge, endpoints } => {
            let endpoints: Vec<String> = endpoints.iter().map(proxies::shown).collect();
            format!("{}: {}", shown(bridge), shown(&endpoints.join(", ")))
        }
        E::Down { bridge, .. } => shown(bridge),
    }
}
