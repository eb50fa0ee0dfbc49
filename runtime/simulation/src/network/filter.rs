//! The packet filter.

use remotes_effect::iptables::{
    AddressSet, Change, Condition, Executor, Family, ListedChain, ListedSet, Rule, Table, Transaction,
};
use remotes_effect::network::chains::{Chains, is_of_family};
use remotes_effect::types::Failure;

use super::Network;
use crate::Simulation;

impl Executor for Simulation {
    fn chains(&mut self, family: Family, beginning: &str) -> Result<Vec<ListedChain>, Failure> {
        let chains = self.here.network.tables.get(&key(family, Table::Filter));
        Ok(chains.map(|chains| chains.beginning(beginning)).unwrap_or_default())
    }

    fn sets(&mut self, beginning: &str) -> Result<Vec<ListedSet>, Failure> {
        let sets = self.here.network.sets.values().filter(|set| set.name.starts_with(beginning));
        let members = |set: &AddressSet| u32::try_from(set.members.len()).unwrap_or(u32::MAX);
        Ok(sets.map(|set| ListedSet { name: set.name.clone(), members: members(set) }).collect())
    }

    fn apply(&mut self, transaction: &Transaction) -> Result<(), Failure> {
        // Nothing of it happens unless all of it can.
        let mut after = self.here.network.clone();
        after.apply(transaction)?;
        self.here.network = after;
        Ok(())
    }

    fn add_members(&mut self, name: &str, members: &[String]) -> Result<bool, Failure> {
        let Some(set) = self.here.network.sets.get_mut(name) else { return Ok(false) };
        set.members.extend_from_slice(members);
        set.members.sort_unstable();
        set.members.dedup();
        Ok(true)
    }

    fn remove_members(&mut self, name: &str, members: &[String]) -> Result<bool, Failure> {
        let Some(set) = self.here.network.sets.get_mut(name) else { return Ok(false) };
        set.members.retain(|member| !members.contains(member));
        Ok(true)
    }
}

impl Network {
    /// The chains of a table.
    pub(crate) fn chains(&mut self, family: Family, table: Table) -> &mut Chains {
        self.tables.entry(key(family, table)).or_default()
    }

    fn apply(&mut self, transaction: &Transaction) -> Result<(), Failure> {
        for set in &transaction.sets {
            if let Some(other) = self.sets.get(&set.name).filter(|it| (it.kind, it.family) != (set.kind, set.family)) {
                return Err(Failure::exists(format!("set {}: is there, of kind {:?}", set.name, other.kind)));
            }
            let mut set = set.clone();
            set.members.sort_unstable();
            set.members.dedup();
            self.sets.insert(set.name.clone(), set);
        }
        for table in &transaction.tables {
            for change in &table.changes {
                self.check_lookups(change)?;
            }
            self.chains(table.family, table.table).change(table.family, &table.changes)?;
        }
        let wanted = |name: &str| transaction.sets.iter().any(|set| set.name == name);
        let obsolete: Vec<String> = self
            .sets
            .keys()
            .filter(|name| transaction.obsolete_sets.iter().any(|base| is_of_family(name, base)) && !wanted(name))
            .cloned()
            .collect();
        for name in obsolete {
            let used = |rule: &String| rule.split(' ').any(|word| word == name);
            if self.tables.values().flat_map(|chains| chains.0.values()).flatten().any(used) {
                return Err(Failure::busy(format!("set {name}: a rule looks into it")));
            }
            self.sets.remove(&name);
        }
        Ok(())
    }

    /// A rule cannot look into a set that is not there.
    fn check_lookups(&self, change: &Change) -> Result<(), Failure> {
        let rules: Vec<&Rule> = match change {
            Change::EnsureChain(chain) | Change::ReplaceChain(chain) => chain.rules.iter().collect(),
            Change::AddRule(placed) | Change::EnsureRule(placed) | Change::EnsureJump(placed) => vec![&placed.rule],
            Change::RemoveRule(_) | Change::RemoveChains(_) => Vec::new(),
        };
        for condition in rules.iter().flat_map(|rule| &rule.conditions) {
            if let Condition::Lookup(lookup) = condition
                && !self.sets.contains_key(&lookup.name)
            {
                return Err(Failure::not_found(format!("set {}: does not exist", lookup.name)));
            }
        }
        Ok(())
    }
}

fn key(family: Family, table: Table) -> String {
    let family = match family {
        Family::Ipv4 => "ipv4",
        Family::Ipv6 => "ipv6",
    };
    let table = match table {
        Table::Filter => "filter",
        Table::Nat => "nat",
    };
    format!("{family} {table}")
}
