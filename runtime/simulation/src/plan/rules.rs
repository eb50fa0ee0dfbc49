//! The packet filter of a plan. What a change names is copied into the overlay before it is made: a rule may be added
//! to a chain that is there, and look into a set that is.

use std::collections::BTreeSet;

use remotes_effect::iptables::{
    AddressSet, Change, Condition, Effect as OnIptables, Family, PlacedRule, Rule, SetKind, Table, Target, Transaction,
};
use remotes_effect::network::rules::target_name;
use remotes_effect::types::{Failure, Node};
use remotes_effect::{Answer, Effect, Executor};

use super::Plan;

/// What has been copied: chains by family and sets, by what their names begin with.
#[derive(Debug, Default)]
pub(super) struct Copied {
    chains: BTreeSet<(bool, String)>,
    sets: BTreeSet<String>,
    /// the sets that were copied so, whose kind is not known
    unknown: BTreeSet<String>,
}

impl Copied {
    fn has_chain(&self, family: Family, name: &str) -> bool {
        self.chains.iter().any(|(ipv6, beginning)| *ipv6 == (family == Family::Ipv6) && name.starts_with(beginning))
    }

    fn has_set(&self, name: &str) -> bool {
        self.sets.iter().any(|beginning| name.starts_with(beginning))
    }
}

impl<E: Executor> Plan<E> {
    /// Chains are listed as they would be. Sets are listed as they are: of real ones a listing tells no more than
    /// names and sizes.
    pub(super) fn iptables(&mut self, effect: &Effect, on_iptables: &OnIptables) -> Answer {
        match on_iptables {
            OnIptables::Chains { family, beginning } if !self.rules.chains.is_empty() => {
                if let Err(failure) = self.bring_chains(*family, beginning) {
                    return effect.decline(failure);
                }
            }
            OnIptables::Chains { .. } | OnIptables::Sets { .. } => return self.real.look(effect),
            // Where they cannot be seen, whoever tries a driver on a machine without rights has at least what follows.
            OnIptables::Apply { transaction } => drop(self.bring_rules(transaction)),
            OnIptables::AddMembers { name, .. } | OnIptables::RemoveMembers { name, .. } => {
                // Members may be of any kind.
                drop(self.bring_sets(name, Family::Ipv4, &[]));
            }
        }
        self.pretend(effect)
    }

    fn bring_rules(&mut self, transaction: &Transaction) -> Result<(), Failure> {
        // Of the kind that is wanted, for all that is known.
        for made in transaction.sets.iter().filter(|set| self.rules.unknown.contains(&set.name)) {
            if let Some(copy) = self.overlay.here.network.sets.get_mut(&made.name) {
                (copy.kind, copy.family) = (made.kind, made.family);
            }
        }
        for base in &transaction.obsolete_sets {
            self.bring_sets(base, Family::Ipv4, &transaction.sets)?;
        }
        for table in &transaction.tables {
            for change in &table.changes {
                for name in looked_into(change) {
                    self.bring_sets(name, table.family, &transaction.sets)?;
                }
                // Of the table of translations nothing can be listed.
                if table.table == Table::Filter {
                    for name in named(change) {
                        self.bring_chains(table.family, name)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Copies the chains whose names begin so; those that the plan has seen before are as it made them.
    fn bring_chains(&mut self, family: Family, beginning: &str) -> Result<(), Failure> {
        if self.rules.has_chain(family, beginning) {
            return Ok(());
        }
        let real = self.real.chains(&family, beginning)?;
        let new: Vec<_> = real.into_iter().filter(|chain| !self.rules.has_chain(family, &chain.name)).collect();
        let chains = self.machine(&Node::Here).network.chains(family, Table::Filter);
        for chain in new {
            chains.0.entry(chain.name).or_insert(chain.rules);
        }
        self.rules.chains.insert((family == Family::Ipv6, beginning.to_owned()));
        Ok(())
    }

    /// Copies the sets whose names begin so, without their members. Those `made` are made as they are to be.
    fn bring_sets(&mut self, beginning: &str, family: Family, made: &[AddressSet]) -> Result<(), Failure> {
        if self.rules.has_set(beginning) {
            return Ok(());
        }
        for set in self.real.sets(beginning)? {
            if self.rules.has_set(&set.name) || made.iter().any(|made| made.name == set.name) {
                continue;
            }
            let name = set.name.clone();
            let (kind, max_members, members) = (SetKind::HashNet, None, Vec::new());
            let copy = AddressSet { name: set.name, kind, family, max_members, members };
            self.rules.unknown.insert(name.clone());
            self.machine(&Node::Here).network.sets.entry(name).or_insert(copy);
        }
        self.rules.sets.insert(beginning.to_owned());
        Ok(())
    }
}

fn rules_of(change: &Change) -> &[Rule] {
    match change {
        Change::EnsureChain(chain) | Change::ReplaceChain(chain) => &chain.rules,
        Change::AddRule(placed) | Change::EnsureRule(placed) | Change::EnsureJump(placed) => {
            std::slice::from_ref(&placed.rule)
        }
        Change::RemoveRule(_) | Change::RemoveChains(_) => &[],
    }
}

/// The chains that a change depends on.
fn named(change: &Change) -> Vec<&str> {
    let mut names: Vec<&str> = match change {
        Change::EnsureChain(chain) | Change::ReplaceChain(chain) => vec![&chain.name],
        Change::RemoveChains(removal) => removal.callers.iter().chain([&removal.base]).map(String::as_str).collect(),
        Change::AddRule(PlacedRule { chain, .. })
        | Change::EnsureRule(PlacedRule { chain, .. })
        | Change::EnsureJump(PlacedRule { chain, .. })
        | Change::RemoveRule(PlacedRule { chain, .. }) => vec![chain],
    };
    let jumps = rules_of(change).iter().filter(|rule| matches!(rule.target, Target::Jump(_)));
    names.extend(jumps.map(|rule| target_name(&rule.target)));
    names
}

/// The sets that a change's rules look into.
fn looked_into(change: &Change) -> impl Iterator<Item = &str> {
    rules_of(change).iter().flat_map(|rule| &rule.conditions).filter_map(|condition| match condition {
        Condition::Lookup(lookup) => Some(lookup.name.as_str()),
        _ => None,
    })
}
