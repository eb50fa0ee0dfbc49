//! From one state of a table to another, a command at a time.
//!
//! At every moment a packet is let through if the rules from before and those from after both let it
//! through, and dropped if both drop it: a chain that gets other rules is filled under another name, called
//! in front of the old one, and takes its name when that has gone. What can be refused comes before anything
//! is in force.

use std::collections::{BTreeMap, BTreeSet};

use remotes_effect::network::chains::Chains;
use remotes_effect::network::names;
use remotes_effect::network::rules::target_of;
use remotes_effect::types::Failure;

use super::diff::edits;

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Make(String),
    Append(String, String),
    /// chain, number from 1, rule
    Insert(String, usize, String),
    Delete(String, String),
    Flush(String),
    Remove(String),
    Rename(String, String),
}

impl Step {
    /// Its words, as iptables takes them.
    pub fn words(&self) -> Result<Vec<String>, Failure> {
        let (mut words, rule) = match self {
            Self::Make(chain) => (vec!["-N".to_owned(), chain.clone()], None),
            Self::Append(chain, rule) => (vec!["-A".to_owned(), chain.clone()], Some(rule)),
            Self::Insert(chain, number, rule) => (vec!["-I".to_owned(), chain.clone(), number.to_string()], Some(rule)),
            Self::Delete(chain, rule) => (vec!["-D".to_owned(), chain.clone()], Some(rule)),
            Self::Flush(chain) => (vec!["-F".to_owned(), chain.clone()], None),
            Self::Remove(chain) => (vec!["-X".to_owned(), chain.clone()], None),
            Self::Rename(old, new) => (vec!["-E".to_owned(), old.clone(), new.clone()], None),
        };
        if let Some(rule) = rule {
            // Comments of other programs are quoted where rules are listed.
            let split = shell_words::split(rule);
            words.extend(split.map_err(|error| Failure::failed(format!("rule {rule:?} cannot be read: {error}")))?);
        }
        Ok(words)
    }

    /// What takes it back.
    pub fn undone(&self) -> Vec<Self> {
        match self {
            Self::Make(chain) => vec![Self::Flush(chain.clone()), Self::Remove(chain.clone())],
            Self::Insert(chain, _, rule) => vec![Self::Delete(chain.clone(), rule.clone())],
            Self::Append(chain, rule) => vec![Self::Delete(chain.clone(), rule.clone())],
            Self::Delete(chain, rule) => vec![Self::Insert(chain.clone(), 1, rule.clone())],
            Self::Flush(_) | Self::Remove(_) | Self::Rename(..) => Vec::new(),
        }
    }
}

/// The commands for one table of one family.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Steps {
    /// Chains that nothing leads to yet. Nothing of this is in force.
    pub prepare: Vec<Step>,
    /// What leads to them, and no longer to others.
    pub switch: Vec<Step>,
    /// What nothing leads to any more.
    pub tidy: Vec<Step>,
}

impl Steps {
    /// From `before` to `after`, of which these chains got their rules anew.
    pub fn between<'a>(before: &'a Chains, after: &'a Chains, replaced: &BTreeSet<&'a str>) -> Result<Self, Failure> {
        let staged = staged(before, after, replaced)?;
        let (mut steps, mut filled, mut deleted) = (Self::default(), Vec::new(), Vec::new());
        for (chain, rules) in &after.0 {
            let name = staged.get(chain.as_str()).map_or(chain, |spare| spare);
            let rules: Vec<String> = rules.iter().map(|rule| leading(rule, &staged)).collect();
            let old = match before.0.get(chain) {
                Some(old) if name == chain => old.as_slice(),
                // The system's chains are listed only once their table is used.
                None if names::is_reserved(chain) => &[],
                _ => {
                    steps.prepare.push(Step::Make(name.clone()));
                    filled.extend(rules.into_iter().map(|rule| Step::Append(name.clone(), rule)));
                    continue;
                }
            };
            // Two equal rules cannot be told apart: where one moves, it goes before it comes.
            let moved = edits(old, &rules).moved;
            steps.switch.extend(moved.iter().map(|rule| Step::Delete(chain.clone(), rule.clone())));
            let rest: Vec<String> = old.iter().filter(|rule| !moved.contains(rule)).cloned().collect();
            let edit = edits(&rest, &rules);
            let insert = |(index, rule)| Step::Insert(chain.clone(), index + 1, rule);
            steps.switch.extend(edit.inserted.into_iter().map(insert));
            deleted.extend(edit.deleted.into_iter().map(|rule| Step::Delete(chain.clone(), rule)));
        }
        steps.prepare.extend(filled);
        // Whatever leads to the new comes first, then what led to the old goes.
        steps.switch.extend(deleted);
        let gone = |chain: &&String| !after.0.contains_key(*chain) || staged.contains_key(chain.as_str());
        let gone: Vec<&String> = before.0.keys().filter(gone).collect();
        steps.tidy.extend(gone.iter().map(|chain| Step::Flush((*chain).clone())));
        steps.tidy.extend(gone.iter().map(|chain| Step::Remove((*chain).clone())));
        steps.tidy.extend(staged.into_iter().map(|(chain, spare)| Step::Rename(spare, chain.to_owned())));
        Ok(steps)
    }
}

/// Chains that are filled under another name, with that name: those with other rules, and those that are
/// called from another place of the same chain, since two equal rules cannot be told apart.
fn staged<'a>(
    before: &'a Chains,
    after: &'a Chains,
    replaced: &BTreeSet<&'a str>,
) -> Result<BTreeMap<&'a str, String>, Failure> {
    let both = |chain: &str| before.0.contains_key(chain) && after.0.contains_key(chain);
    let mut chains: BTreeSet<&str> = after.0.keys().map(String::as_str).collect();
    chains.retain(|chain| replaced.contains(chain) && both(chain) && before.0[*chain] != after.0[*chain]);
    for (chain, rules) in after.0.iter().filter(|(chain, _)| both(chain) && !replaced.contains(chain.as_str())) {
        // Which of two rules it is that has moved cannot be told either: those that lead to a chain which got its
        // rules anew are the ones that were taken out and put back, and under another name they are others.
        if !edits(&before.0[chain], rules).moved.is_empty() {
            let led = rules.iter().filter_map(|rule| target_of(rule)).filter_map(|target| replaced.get(target));
            chains.extend(led.filter(|target| both(target)));
        }
    }
    let taken: BTreeSet<&str> = before.0.keys().chain(after.0.keys()).map(String::as_str).collect();
    chains
        .into_iter()
        .filter_map(|chain| after.0.get_key_value(chain))
        .map(|(chain, _)| Ok((chain.as_str(), spare(chain, &taken)?)))
        .collect()
}

/// A name of the chain's own family, so that what a killed action leaves goes with the family.
fn spare(chain: &str, taken: &BTreeSet<&str>) -> Result<String, Failure> {
    let mut free = ('a'..='z').map(|letter| format!("{chain}-{letter}")).filter(|name| !taken.contains(name.as_str()));
    let name = free.next().unwrap_or_default();
    names::chain(&name).map_err(|_| {
        Failure::unsupported(format!(
            "chain {chain}: its name leaves no room for another chain while its rules change one by one; \
             install remotes-net, which changes them at once (share/doc/remotes/adoption.md)"
        ))
    })?;
    Ok(name)
}

/// The rule, leading to the staged chain where it leads to one that is.
fn leading(rule: &str, staged: &BTreeMap<&str, String>) -> String {
    match target_of(rule).and_then(|target| staged.get_key_value(target)) {
        Some((target, spare)) => {
            let at = format!(" {target}");
            match rule.strip_suffix(&at) {
                Some(rest) => format!("{rest} {spare}"),
                None => rule.replacen(&format!("-j{at} "), &format!("-j {spare} "), 1),
            }
        }
        None => rule.to_owned(),
    }
}

#[cfg(test)]
#[path = "steps_model.rs"]
mod model;
