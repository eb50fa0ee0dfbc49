//! Which interfaces an action is about.

use std::collections::BTreeSet;

use remotes_sdk::iptables::Family;
use remotes_sdk::network::{Attached, Nic, Vm};
use remotes_sdk::{Failure, iptables};

use super::chains::base;
use super::{Mode, addresses};

/// Which interfaces an action is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// the one that is being attached or detached, or else all
    Attached,
    /// all, whatever is marked
    All,
}

impl Scope {
    fn holds(self, vm: &Vm, nic: &Nic) -> bool {
        match (self, vm.attached()) {
            // A PCI device has no rules that could be meant.
            (Self::All, _) | (_, None | Some(Attached::Pci(_))) => true,
            (_, Some(Attached::Nic(id) | Attached::Alias(id))) => nic.id == id,
        }
    }

    pub(super) fn nics<'a>(self, vm: &'a Vm, driver: &'a str) -> Vec<&'a Nic> {
        vm.nics_of(driver).filter(|nic| self.holds(vm, nic)).collect()
    }

    /// The interfaces whose rules are to be made, in their order. A mark spares only those that have rules: whoever owns
    /// a template may write one as well, and then the machine starts with it.
    pub(super) fn to_build<'a>(self, vm: &'a Vm, driver: &'a str, mode: Mode) -> Result<Vec<&'a Nic>, Failure> {
        let mut wanted = self.nics(vm, driver);
        if wanted.len() == vm.nics_of(driver).count() {
            return Ok(wanted);
        }
        if mode == Mode::Routed && wanted.is_empty() {
            wanted = self.completed(vm, driver);
        }
        let (wanted, has_rules) = (ids(&wanted), filtered(vm)?);
        Ok(vm.nics_of(driver).filter(|nic| wanted.contains(&nic.id) || !has_rules.contains(&nic.id)).collect())
    }

    /// The interfaces that have rules of an address family only with the aliases in scope: without these, nothing
    /// leads to their chains of that family.
    fn completed<'a>(self, vm: &'a Vm, driver: &'a str) -> Vec<&'a Nic> {
        let scope = self.aliases(vm);
        let is_in_scope = |alias: &Nic| scope.iter().any(|other| other.id == alias.id);
        let is_completed = |nic: &&Nic| {
            let (new, known): (Vec<&Nic>, Vec<&Nic>) = vm.aliases_of(nic).partition(|alias| is_in_scope(alias));
            let has = |nics: &[&Nic], at: usize| nics.iter().any(|nic| !addresses(nic)[at].1.is_empty());
            [0, 1].into_iter().any(|at| has(&new, at) && !has(&[*nic], at) && !has(&known, at))
        };
        vm.nics_of(driver).filter(is_completed).collect()
    }

    pub(super) fn aliases(self, vm: &Vm) -> Vec<&Nic> {
        vm.aliases.iter().filter(|alias| self.holds(vm, alias)).collect()
    }
}

fn ids(nics: &[&Nic]) -> BTreeSet<u32> {
    nics.iter().map(|nic| nic.id).collect()
}

/// The ids of a machine's interfaces that have rules of both families.
fn filtered(vm: &Vm) -> Result<BTreeSet<u32>, Failure> {
    let beginning = format!("one-{}-", vm.id);
    let mut lists = Vec::new();
    for family in [Family::Ipv4, Family::Ipv6] {
        lists.push(iptables::chains(family, &beginning)?);
    }
    let is_filtered = |nic: &&Nic| {
        let chains = ["-i", "-o"].map(|end| base(vm, nic.id) + end);
        // What only drops is an interface that was closed because something was not known then.
        lists
            .iter()
            .all(|list| chains.iter().all(|name| list.iter().any(|chain| chain.name == *name && chain.rules.len() > 1)))
    };
    Ok(vm.nics.iter().filter(is_filtered).map(|nic| nic.id).collect())
}
