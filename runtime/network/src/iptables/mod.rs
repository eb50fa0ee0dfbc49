//! The packet filter: one transaction a family where this process may make one, otherwise a command a rule;
//! `ipset restore` around it.

pub mod bridged;
mod diff;
mod nftables;
mod restore;
mod retract;
mod selected;
mod sets;
mod steps;
mod stepwise;

use std::path::PathBuf;

use remotes_effect::iptables::{Executor, Family, ListedChain, ListedSet, Table, TableChange, Transaction};
use remotes_effect::network::chains::Chains;
use remotes_effect::network::names;
use remotes_effect::types::Failure;

use super::privileged::Privileged;
use super::turn;
use sets::Sets;

/// The executor of `iptables`.
#[derive(Debug, Clone)]
pub struct Iptables {
    privileged: Privileged,
    turns: PathBuf,
}

impl Iptables {
    /// Changes are made with these rights; `turns` is the folder of the lock that holds others off.
    pub fn new(privileged: Privileged, turns: PathBuf) -> Self {
        Self { privileged, turns }
    }

    /// The same, with the lock.
    fn alone(&self) -> Result<Privileged, Failure> {
        Ok(self.privileged.holding(turn::take(&self.turns, self.privileged.deadline())?))
    }
}

fn table(table: Table) -> &'static str {
    match table {
        Table::Filter => "filter",
        Table::Nat => "nat",
    }
}

fn commit(privileged: &Privileged, tables: &[TableChange]) -> Result<(), Failure> {
    match privileged.is_own() {
        true => restore::commit(privileged, tables),
        false => stepwise::commit(privileged, tables),
    }
}

fn list(privileged: &Privileged, family: Family, of: Table) -> Result<Chains, Failure> {
    match privileged.is_own() {
        true => selected::chains_of(privileged, family, table(of)),
        false => stepwise::list(privileged, family, table(of)),
    }
}

impl Executor for Iptables {
    fn chains(&mut self, family: Family, beginning: &str) -> Result<Vec<ListedChain>, Failure> {
        names::chain(beginning)?;
        Ok(list(&self.privileged, family, Table::Filter)?.beginning(beginning))
    }

    fn sets(&mut self, beginning: &str) -> Result<Vec<ListedSet>, Failure> {
        names::set(beginning)?;
        Sets(&self.privileged).listed(beginning)
    }

    fn apply(&mut self, transaction: &Transaction) -> Result<(), Failure> {
        let Transaction { sets, tables, obsolete_sets } = transaction;
        let privileged = self.alone()?;
        if sets.is_empty() && obsolete_sets.is_empty() {
            return commit(&privileged, tables);
        }
        // First the sets get what they lack, then the rules change, then the sets lose what is not theirs
        // any more: in between a packet is let through by what the old or the new rules let through.
        let own = Sets(&privileged);
        let names = own.names()?;
        let before = own.before(sets, &names)?;
        let changed = own.extend(sets, obsolete_sets, names);
        match changed.and_then(|extended| commit(&privileged, tables).map(|()| extended)) {
            Ok(extended) => own.settle(sets, extended),
            Err(failure) => Err(own.retract(&before, obsolete_sets, failure)),
        }
    }

    fn add_members(&mut self, name: &str, members: &[String]) -> Result<bool, Failure> {
        names::set(name)?;
        Sets(&self.alone()?).edit("add", name, members)
    }

    fn remove_members(&mut self, name: &str, members: &[String]) -> Result<bool, Failure> {
        names::set(name)?;
        Sets(&self.alone()?).edit("del", name, members)
    }
}
