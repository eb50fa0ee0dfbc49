//! Security groups.
//!
//! Each interface has two chains, `one-VM-NIC-i` and `-o`, which drop what no rule of its groups lets
//! through. They are called from the chain `opennebula`, and that from FORWARD; the second one from INPUT
//! as well. A change of an action's interfaces is one transaction.

mod chains;
mod cidr;
mod rules;
mod scope;

use remotes_sdk::iptables::{
    AddressSet, Chain, Change, Condition, Family, Physdev, PlacedRule, Position, Rule, Table, TableChange, Target,
    Transaction,
};
use remotes_sdk::network::{Attached, Direction, GroupRule, Nic, Vm};
use remotes_sdk::{Failure, clock, error, iptables, links, locks, warning};

use crate::settings::Settings;
use crate::taps::Taps;
use chains::{Interface, base, removal, spoofing_set};

pub use scope::Scope;

/// The chain that all interfaces' chains are called from.
const ENTRY: &str = "opennebula";

/// The lock that all drivers with security groups share.
const LOCK: &str = "vnmmad::sgdriver";

/// The setting that has outbound rules hold for what the host routes as well. Without it they do not, as with the stock
/// drivers.
const ROUTED_FILTER: &str = "routed_outbound_filter";

/// How long a tap may take to appear, in milliseconds.
const PATIENCE: u64 = 3000;
const STEP: u64 = 100;

/// How packets reach an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// through a bridge
    Bridged,
    /// by its address
    Routed,
}

fn table(family: Family, changes: Vec<Change>) -> TableChange {
    TableChange { family, table: Table::Filter, changes }
}

/// A transaction of rules alone: those of IPv4, and those of IPv6.
fn only([ipv4, ipv6]: [Vec<Change>; 2]) -> Transaction {
    let tables = [table(Family::Ipv4, ipv4), table(Family::Ipv6, ipv6)].into_iter();
    let tables = tables.filter(|table| !table.changes.is_empty()).collect();
    Transaction { sets: Vec::new(), tables, obsolete_sets: Vec::new() }
}

/// Waits for other actions that change rules, and keeps those off that come until this one ends.
pub fn lock() -> Result<(), Failure> {
    locks::acquire(LOCK)
}

/// Puts the rules of a driver's interfaces in force.
pub fn activate(vm: &Vm, driver: &str, mode: Mode, scope: Scope, deploy_id: &str) -> Result<(), Failure> {
    lock()?;
    let nics = scope.to_build(vm, driver, mode)?;
    if !nics.is_empty() {
        build_all(vm, &nics, mode, deploy_id)?;
    }
    let rebuilt = |alias: &Nic| nics.iter().any(|nic| vm.aliases_of(nic).any(|its| its.id == alias.id));
    let aliases: Vec<&Nic> = scope.aliases(vm).into_iter().filter(|alias| !rebuilt(alias)).collect();
    let entry = if nics.is_empty() { entry(mode) } else { Vec::new() };
    add_aliases(vm, &aliases, mode, &entry)
}

/// Makes the rules of all interfaces whose taps are known, and closes the others. The action fails where one is not
/// known, or not there; but not every caller looks at that, and no interface may be open for it.
fn build_all(vm: &Vm, nics: &[&Nic], mode: Mode, deploy_id: &str) -> Result<(), Failure> {
    let taps = Taps::find(vm, deploy_id);
    let settings = Settings::default();
    let (mut known, mut unknown) = (Vec::new(), None);
    for nic in nics {
        match taps.require(nic) {
            Ok(tap) => known.push((*nic, tap)),
            Err(failure) => {
                close(vm, nic, &taps.possible(nic), mode, &settings);
                unknown.get_or_insert(failure);
            }
        }
    }
    let built = match known.is_empty() {
        true => Ok(()),
        false => build(vm, &known, mode, &settings),
    };
    match (unknown, built) {
        (None, built) => built?,
        (Some(failure), built) => {
            if let Err(other) = built {
                error!("{}", other.message);
            }
            return Err(failure);
        }
    }
    match mode {
        Mode::Bridged => wait_for(known.iter().map(|(_, tap)| tap.as_str())),
        Mode::Routed => Ok(()),
    }
}

/// Drops everything of an interface under the names that its tap may have, unless it has rules: those stay.
fn close(vm: &Vm, nic: &Nic, names: &[String], mode: Mode, settings: &Settings) {
    // Where nobody knows what is wanted, nothing passes.
    let filters_routed = settings.is_asked_for(nic, ROUTED_FILTER).unwrap_or(true);
    for tap in names {
        let interface = Interface { vm, nic, groups: &[], ids: &[], tap, mode, most_members: None, filters_routed };
        let closed = [Family::Ipv4, Family::Ipv6].map(|family| [entry(mode), interface.closed(family)].concat());
        match iptables::apply(&only(closed)) {
            Ok(()) => warning!(
                "NIC {}: unless it has rules, it is closed as {tap} until `post` or `update_sg` succeeds",
                nic.id
            ),
            Err(failure) => {
                error!("NIC {}: it is not closed as {tap}: {}", nic.id, failure.message);
                // The host's own part does not depend on any machine.
                if let Err(other) = iptables::apply(&only([entry(mode), entry(mode)])) {
                    error!("chain {ENTRY} is not there either: {}", other.message);
                }
            }
        }
    }
}

fn build(vm: &Vm, nics: &[(&Nic, String)], mode: Mode, settings: &Settings) -> Result<(), Failure> {
    let everything = everything();
    let mut groups: &[GroupRule] = &vm.rules;
    let (mut interfaces, mut refused) = (Vec::new(), None);
    for (nic, tap) in nics {
        // oned always names groups. Where it does not, all is let through, for what follows as well.
        let ids: &[u32] = match &nic.security_groups {
            Some(ids) => ids,
            None => {
                groups = &everything;
                &[0]
            }
        };
        let most_members = settings.number(nic, "ipset_maxelem").unwrap_or_else(|failure| {
            refused.get_or_insert(failure);
            None
        });
        let filters_routed = settings.is_asked_for(nic, ROUTED_FILTER).unwrap_or_else(|failure| {
            refused.get_or_insert(failure);
            true
        });
        interfaces.push(Interface { vm, nic, groups, ids, tap, mode, most_members, filters_routed });
    }
    let built = refused.map_or_else(|| transaction(&interfaces, mode), Err);
    let built = built.and_then(|transaction| iptables::apply(&transaction));
    // What had rules keeps them; what had none is closed, each by itself: one may be what cannot be changed.
    built.inspect_err(|_| nics.iter().for_each(|(nic, tap)| close(vm, nic, std::slice::from_ref(tap), mode, settings)))
}

fn transaction(interfaces: &[Interface<'_>], mode: Mode) -> Result<Transaction, Failure> {
    let mut sets: Vec<AddressSet> = Vec::new();
    let (mut ipv4, mut ipv6) = (entry(mode), entry(mode));
    for interface in interfaces {
        let rules = interface.rules()?;
        ipv4.extend(interface.changes(Family::Ipv4, &rules));
        ipv6.extend(interface.changes(Family::Ipv6, &rules));
        sets.extend(interface.spoofing_sets());
        sets.extend(rules.sets);
    }
    let obsolete_sets = interfaces.iter().map(|interface| base(interface.vm, interface.nic.id)).collect();
    Ok(Transaction { sets, tables: vec![table(Family::Ipv4, ipv4), table(Family::Ipv6, ipv6)], obsolete_sets })
}

/// The chain that interfaces' chains are called from, and what leads there. What leads all packets there leads bridged
/// ones as well, but not the other way round: routed ones need the call without a condition, whoever came first.
fn entry(mode: Mode) -> Vec<Change> {
    let accept = Rule { conditions: vec![], target: Target::Accept };
    let bridged = Condition::Physdev(Physdev { input: None, output: None, bridged: true });
    let call = |conditions| {
        let rule = Rule { conditions, target: Target::Jump(ENTRY.to_owned()) };
        PlacedRule { chain: "FORWARD".to_owned(), rule, position: Position::Last }
    };
    vec![
        Change::EnsureChain(Chain { name: ENTRY.to_owned(), rules: vec![accept.clone()] }),
        Change::EnsureRule(PlacedRule { chain: ENTRY.to_owned(), rule: accept, position: Position::Last }),
        match mode {
            Mode::Bridged => Change::EnsureJump(call(vec![bridged])),
            Mode::Routed => Change::EnsureRule(call(vec![])),
        },
    ]
}

fn everything() -> Vec<GroupRule> {
    let rule = |direction| GroupRule {
        group: Some(0),
        direction: Some(direction),
        protocol: Some("all".to_owned()),
        ..GroupRule::default()
    };
    [Direction::Outbound, Direction::Inbound].map(rule).to_vec()
}

/// Waits until the host has all of these links.
fn wait_for<'a>(taps: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
    let mut missing: Vec<&str> = taps.collect();
    let mut waited = 0;
    loop {
        // On a host with many machines, looking for a few links costs less than listing all.
        while let Some(tap) = missing.last()
            && links::find(tap)?.is_some()
        {
            missing.pop();
        }
        let Some(tap) = missing.last() else { return Ok(()) };
        if waited >= PATIENCE {
            return Err(Failure::timeout(format!("Interface {tap} not available to apply SG rules")));
        }
        clock::sleep(STEP);
        waited += STEP;
    }
}

/// Takes the rules of a driver's interfaces away. Nothing there is fine.
pub fn deactivate(vm: &Vm, driver: &str, mode: Mode) -> Result<(), Failure> {
    // That one device goes must not open the others.
    if let Some(Attached::Pci(_)) = vm.attached() {
        return Ok(());
    }
    let (nics, aliases) = (Scope::Attached.nics(vm, driver), Scope::Attached.aliases(vm));
    let removed = |alias: &Nic| nics.iter().any(|nic| Some(nic.id) == alias.parent_id);
    let aliases: Vec<&Nic> = aliases.into_iter().filter(|alias| !removed(alias)).collect();
    if nics.is_empty() && aliases.is_empty() {
        return Ok(());
    }
    lock()?;
    aliases.into_iter().try_for_each(|alias| remove_alias(vm, alias, mode))?;
    if nics.is_empty() {
        return Ok(());
    }
    let bases: Vec<String> = nics.iter().map(|nic| base(vm, nic.id)).collect();
    let changes = || bases.iter().map(|base| removal(base)).collect();
    let tables = vec![table(Family::Ipv4, changes()), table(Family::Ipv6, changes())];
    iptables::apply(&Transaction { sets: Vec::new(), tables, obsolete_sets: bases.clone() })
}

/// The addresses that lead to an interface, or to that of an alias.
fn addresses(nic: &Nic) -> [(Family, Vec<String>); 2] {
    [
        (Family::Ipv4, nic.addresses.ip.iter().cloned().collect()),
        (Family::Ipv6, nic.addresses.routed_ipv6().map(str::to_owned).collect()),
    ]
}

/// The rule by which an alias' address leads to its interface's chain.
fn alias_rule(parent: &str, address: String) -> PlacedRule {
    let target = Target::Jump(format!("{parent}-i"));
    let rule = Rule { conditions: vec![Condition::ToNetwork(address)], target };
    PlacedRule { chain: ENTRY.to_owned(), rule, position: Position::BehindItsLike }
}

/// Has aliases' addresses let through where their interfaces' are, in one transaction with what has to be there
/// before.
fn add_aliases(vm: &Vm, aliases: &[&Nic], mode: Mode, before: &[Change]) -> Result<(), Failure> {
    let mut changes = [before.to_vec(), before.to_vec()];
    for alias in aliases {
        let Some(parent) = alias.parent_id.map(|parent| base(vm, parent)) else { continue };
        for ((family, addresses), changes) in addresses(alias).into_iter().zip(&mut changes) {
            if addresses.is_empty() {
                continue;
            }
            iptables::add_members(&spoofing_set(&parent, family), &addresses)?;
            // A bridge asks for ports, not for addresses.
            if mode == Mode::Routed {
                changes.extend(addresses.into_iter().map(|address| Change::EnsureRule(alias_rule(&parent, address))));
            }
        }
    }
    apply(changes)
}

fn remove_alias(vm: &Vm, alias: &Nic, mode: Mode) -> Result<(), Failure> {
    let Some(parent) = alias.parent_id.map(|parent| base(vm, parent)) else { return Ok(()) };
    let mut changes = [Vec::new(), Vec::new()];
    for ((family, addresses), changes) in addresses(alias).into_iter().zip(&mut changes) {
        if addresses.is_empty() {
            continue;
        }
        iptables::remove_members(&spoofing_set(&parent, family), &addresses)?;
        if mode == Mode::Routed {
            changes.extend(addresses.into_iter().map(|address| Change::RemoveRule(alias_rule(&parent, address))));
        }
    }
    apply(changes)
}

fn apply(changes: [Vec<Change>; 2]) -> Result<(), Failure> {
    match changes.iter().all(Vec::is_empty) {
        true => Ok(()),
        false => iptables::apply(&only(changes)),
    }
}
