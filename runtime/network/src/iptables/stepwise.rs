//! One command a rule: what the stock sudoers rules allow.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use remotes_effect::iptables::{Change, Family, TableChange};
use remotes_effect::network::chains::{Chains, is_of_family};
use remotes_effect::types::Failure;

use super::steps::{Step, Steps};
use super::table;
use crate::privileged::{Privileged, failure};

/// How long a command waits for others to have changed their rules, in seconds, as the stock drivers do.
const PATIENCE: &str = "3";

/// The commands that a change comes to, in one table of one family.
struct Plan {
    program: &'static str,
    table: &'static str,
    steps: Steps,
}

/// Makes the changes of all tables and families. Where a rule is refused, those from before stay in force.
pub(super) fn commit(privileged: &Privileged, tables: &[TableChange]) -> Result<(), Failure> {
    let plans = plans(privileged, tables)?;
    let mut done = Vec::new();
    let parts: [fn(&Steps) -> &[Step]; 2] = [|steps| &steps.prepare, |steps| &steps.switch];
    for part in parts {
        for plan in &plans {
            for step in part(&plan.steps) {
                if let Err(failure) = run(privileged, plan, step) {
                    undo(privileged, &done);
                    return Err(failure);
                }
                done.push((plan, step));
            }
        }
    }
    plans.iter().try_for_each(|plan| plan.steps.tidy.iter().try_for_each(|step| run(privileged, plan, step)))
}

/// Takes back what was done, the last first. What cannot be taken back is left: the next change of the same
/// interfaces removes it.
fn undo(privileged: &Privileged, done: &[(&Plan, &Step)]) {
    for (plan, step) in done.iter().rev() {
        for step in step.undone() {
            let _ = run(privileged, plan, &step);
        }
    }
}

fn plans(privileged: &Privileged, tables: &[TableChange]) -> Result<Vec<Plan>, Failure> {
    let mut listed = BTreeMap::<(&str, &str), (Chains, Chains, BTreeSet<&str>)>::new();
    for change in tables {
        let (program, table) = (program(change.family), table(change.table));
        let (_, after, replaced) = match listed.entry((program, table)) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let chains = list(privileged, change.family, table)?;
                entry.insert((chains.clone(), chains, BTreeSet::new()))
            }
        };
        after.change(change.family, &change.changes)?;
        replaced.extend(replaced_by(&change.changes));
    }
    let plan = |((program, table), (before, after, replaced))| {
        Ok(Plan { program, table, steps: Steps::between(&before, &after, &replaced)? })
    };
    listed.into_iter().map(plan).collect()
}

/// Chains that get their rules anew. One that is only to be there keeps its own, unless it has gone before.
fn replaced_by(changes: &[Change]) -> Vec<&str> {
    let removed = |chain: &str| {
        let of =
            |change: &Change| matches!(change, Change::RemoveChains(removal) if is_of_family(chain, &removal.base));
        changes.iter().any(of)
    };
    let mut replaced = Vec::new();
    for change in changes {
        match change {
            Change::ReplaceChain(chain) => replaced.push(chain.name.as_str()),
            Change::EnsureChain(chain) if removed(&chain.name) => replaced.push(&chain.name),
            _ => {}
        }
    }
    replaced
}

pub(super) fn program(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "iptables",
        Family::Ipv6 => "ip6tables",
    }
}

fn arguments(table: &str, words: &[String]) -> Vec<String> {
    let table: &[&str] = if table == "filter" { &[] } else { &["-t", table] };
    ["-w", PATIENCE].iter().chain(table).map(|word| (*word).to_owned()).chain(words.iter().cloned()).collect()
}

pub(super) fn list(privileged: &Privileged, family: Family, table: &str) -> Result<Chains, Failure> {
    let program = program(family);
    let arguments = arguments(table, &["-S".to_owned()]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let listing = privileged.must(program, &arguments, &format!("list the rules ({program})"))?;
    let listing =
        String::from_utf8(listing).map_err(|_| Failure::failed(format!("{program}: its listing is not UTF-8")))?;
    Ok(Chains::parse(&as_saved(&listing, table), table))
}

/// The listing of `iptables -S` in the form of `iptables-save`.
fn as_saved(listing: &str, table: &str) -> String {
    let line = |line: &str| match line.strip_prefix("-N ").or_else(|| line.strip_prefix("-P ")) {
        Some(chain) => format!(":{chain} -\n"),
        None => format!("{line}\n"),
    };
    format!("*{table}\n{}", listing.lines().map(line).collect::<String>())
}

fn run(privileged: &Privileged, plan: &Plan, step: &Step) -> Result<(), Failure> {
    let arguments = arguments(plan.table, &step.words()?);
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = privileged.run(plan.program, &words, &[])?;
    // Somebody else may have removed it meanwhile.
    let gone = matches!(step, Step::Delete(..))
        && String::from_utf8_lossy(&outcome.stderr).contains("does a matching rule exist");
    match outcome.status == 0 || gone {
        true => Ok(()),
        false => Err(failure(&format!("change the rules ({}, {:?})", plan.program, words[2..].join(" ")), &outcome)),
    }
}
