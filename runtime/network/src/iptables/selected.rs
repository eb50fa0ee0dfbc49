//! What a change has to know of the rules that there are. On a host with many machines that is little of
//! all: listing everything would make each change the slower, the more machines there are.

use std::collections::{BTreeMap, BTreeSet};

use remotes_effect::iptables::{Change, Family, PlacedRule, Position, Table, TableChange, Target};
use remotes_effect::network::chains::{Chains, is_of_family};
use remotes_effect::network::rules::target_name;
use remotes_effect::types::Failure;
use remotes_process::system_program;

use super::{nftables, stepwise};
use crate::privileged::Privileged;

/// As long as there are fewer chains than this for each that is to be listed, one listing of all costs less than
/// one of each.
const WORTH: usize = 30;

/// Chains that changes depend on.
#[derive(Debug, Default)]
struct Needed<'a> {
    /// by all that their rules say
    rules: BTreeSet<&'a str>,
    /// by where their rules lead, and whether all packets go there
    targets: BTreeSet<&'a str>,
    /// by whether they have rules that lead so, for all packets
    always: BTreeMap<&'a str, Vec<&'a Target>>,
}

/// A listing in the form of `iptables-save` that has what these changes depend on: the names of all chains,
/// and the rules of those that matter.
pub(super) fn listing(privileged: &Privileged, family: Family, tables: &[&TableChange]) -> Result<String, Failure> {
    if tables.iter().all(|change| change.table == Table::Filter)
        && let Some(names) = chains(family)
    {
        let needed = needed(&names, tables.iter().flat_map(|change| &change.changes));
        if names.len() >= needed.rules.len() * WORTH
            && let Some(listing) = list(privileged, family, &names, &needed)?
        {
            return Ok(listing);
        }
    }
    all(privileged, family)
}

/// The chains of one table.
pub(super) fn chains_of(privileged: &Privileged, family: Family, table: &str) -> Result<Chains, Failure> {
    Ok(Chains::parse(&all(privileged, family)?, table))
}

/// A listing of everything.
fn all(privileged: &Privileged, family: Family) -> Result<String, Failure> {
    let program = match family {
        Family::Ipv4 => "iptables-save",
        Family::Ipv6 => "ip6tables-save",
    };
    let listing = privileged.must(program, &[], &format!("list the rules ({program})"))?;
    String::from_utf8(listing).map_err(|_| Failure::failed(format!("{program}: its listing is not UTF-8")))
}

/// None where the kernel does not say what is asked of it.
fn list(
    privileged: &Privileged,
    family: Family,
    names: &BTreeSet<String>,
    needed: &Needed<'_>,
) -> Result<Option<String>, Failure> {
    let program = stepwise::program(family);
    let mut listing = "*filter\n".to_owned();
    names.iter().for_each(|name| listing += &format!(":{name} - [0:0]\n"));
    let mut targets = needed.targets.clone();
    for (chain, wanted) in &needed.always {
        let wanted: Vec<String> = wanted.iter().map(|target| format!("-j {}", target_name(target))).collect();
        match wanted.iter().all(|rule| nftables::began_with(family, chain, rule).unwrap_or(false)) {
            true => wanted.iter().for_each(|rule| listing += &format!("-A {chain} {rule}\n")),
            false => drop(targets.insert(chain)),
        }
    }
    for chain in targets {
        let Ok(targets) = nftables::targets(family, chain) else { return Ok(None) };
        targets.iter().for_each(|target| listing += &format!("-A {chain} {target}\n"));
    }
    for chain in &needed.rules {
        let what = format!("list the rules of chain {chain} ({program})");
        let rules = privileged.must(program, &["-w", "10", "-S", chain], &what)?;
        let rules = String::from_utf8_lossy(&rules);
        rules.lines().filter(|line| line.starts_with("-A ")).for_each(|line| listing += &format!("{line}\n"));
    }
    Ok(Some(listing))
}

/// The chains of these names that the changes depend on.
fn needed<'a>(names: &BTreeSet<String>, changes: impl Iterator<Item = &'a Change>) -> Needed<'a> {
    let mut needed = Needed::default();
    for change in changes {
        match change {
            // Whether it is there says its name.
            Change::EnsureChain(_) => {}
            Change::ReplaceChain(chain) => drop(needed.rules.insert(chain.name.as_str())),
            // Nothing leads to chains that are not there.
            Change::RemoveChains(removal) if names.iter().any(|name| is_of_family(name, &removal.base)) => {
                needed.rules.extend(removal.callers.iter().map(String::as_str));
            }
            Change::RemoveChains(_)
            | Change::AddRule(PlacedRule { position: Position::First | Position::Last, .. }) => {}
            Change::EnsureJump(placed) => drop(needed.targets.insert(placed.chain.as_str())),
            Change::EnsureRule(placed) if placed.rule.conditions.is_empty() => {
                needed.always.entry(placed.chain.as_str()).or_default().push(&placed.rule.target);
            }
            Change::AddRule(placed) | Change::EnsureRule(placed) | Change::RemoveRule(placed) => {
                needed.rules.insert(placed.chain.as_str());
            }
        }
    }
    needed.rules.retain(|name| names.contains(*name));
    needed.targets.retain(|name| names.contains(*name) && !needed.rules.contains(name));
    let Needed { rules, targets, always } = &mut needed;
    always.retain(|name, _| names.contains(*name) && !rules.contains(name) && !targets.contains(name));
    needed
}

/// The names of all chains of the table of filters; none where iptables keeps its rules elsewhere than in
/// nf_tables, or the kernel does not say.
fn chains(family: Family) -> Option<BTreeSet<String>> {
    let program = system_program("iptables-save")?.canonicalize().ok()?;
    let is_nft = program.file_name()?.to_str()?.contains("nft");
    if is_nft { nftables::chains(family).ok() } else { None }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use remotes_effect::iptables::{Chain, Removal, Rule};

    use super::*;

    fn placed(chain: &str, position: Position) -> PlacedRule {
        PlacedRule { chain: chain.into(), rule: Rule { conditions: vec![], target: Target::Accept }, position }
    }

    #[test]
    fn only_chains_that_a_change_depends_on_are_needed() {
        let names: BTreeSet<String> =
            ["opennebula", "FORWARD", "INPUT", "one-1-0-i", "one-2-0-i"].map(str::to_owned).into();
        let removal = |base: &str| {
            Change::RemoveChains(Removal { base: base.into(), callers: vec!["opennebula".into(), "INPUT".into()] })
        };
        let chain = |name: &str| Chain { name: name.into(), rules: vec![] };
        let of = |changes: &[Change]| -> Vec<String> {
            let Needed { rules, targets, always } = needed(&names, changes.iter());
            let targets = targets.into_iter().map(|chain| format!("{chain}'s targets"));
            let always = always.into_keys().map(|chain| format!("{chain}'s end"));
            rules.into_iter().map(str::to_owned).chain(targets).chain(always).collect()
        };
        assert_eq!(of(&[removal("one-1-0")]), ["INPUT", "opennebula"]);
        assert_eq!(of(&[removal("one-1"), removal("one-3-0")]), ["INPUT", "opennebula"]);
        assert_eq!(of(&[removal("one-3-0"), Change::ReplaceChain(chain("one-3-0-i"))]), [""; 0]);
        assert_eq!(
            of(&[Change::ReplaceChain(chain("one-2-0-i")), Change::EnsureChain(chain("opennebula"))]),
            ["one-2-0-i"]
        );
        assert_eq!(of(&[Change::AddRule(placed("INPUT", Position::First))]), [""; 0]);
        assert_eq!(of(&[Change::AddRule(placed("INPUT", Position::BehindItsLike))]), ["INPUT"]);
        let accept = Change::EnsureRule(placed("opennebula", Position::Last));
        let jump = Change::EnsureJump(placed("FORWARD", Position::Last));
        assert_eq!(of(&[jump, accept.clone()]), ["FORWARD's targets", "opennebula's end"]);
        assert_eq!(of(&[removal("one-1"), accept]), ["INPUT", "opennebula"]);
        assert_eq!(of(&[Change::RemoveRule(placed("opennebula", Position::Last))]), ["opennebula"]);
    }
}
