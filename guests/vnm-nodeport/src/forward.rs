//! Ports of the host that lead to an interface.

use remotes_sdk::iptables::{
    Change, Condition, Family, PlacedRule, Ports, Position, Redirection, Rule, Table, TableChange, Target, Transaction,
};
use remotes_sdk::network::{Nic, Vm};
use remotes_sdk::{Failure, error, iptables, links, warning};
use vnm_common::concerned;

use crate::guests;

/// What one interface needs.
#[derive(Debug, Clone, PartialEq)]
struct Forward {
    address: String,
    bridge: String,
    gateway: Option<String>,
    external: Ports,
    internal: Ports,
    base: Option<u16>,
}

/// The interfaces that an action is about and that say which ports lead to them; whether one of them does not, which
/// the log says.
fn known<'a>(vm: &'a Vm, driver: &'a str) -> (Vec<&'a Nic>, bool) {
    let is_known = |nic: &&Nic| nic.external_port_range.is_some() && nic.internal_port_range.is_some();
    let (known, unknown): (Vec<&Nic>, Vec<&Nic>) = concerned(vm, driver).partition(is_known);
    if !unknown.is_empty() {
        error!("NIC information is wrong");
    }
    (known, unknown.is_empty())
}

/// Opens the ports of the interfaces that an action is about. Where one does not say which, none is served, and the
/// action goes on.
pub fn open(vm: &Vm, driver: &str) -> Result<(), Failure> {
    let (nics, true) = known(vm, driver) else { return Ok(()) };
    // All are read before any is opened.
    let forwards = nics.into_iter().map(Forward::read).collect::<Result<Vec<_>, Failure>>()?;
    forwards.iter().try_for_each(Forward::open)
}

/// Closes them as far as that goes: whatever is left, the machine is gone, and what follows must be done.
pub fn close(vm: &Vm, driver: &str) {
    // Each may have been attached by itself.
    for nic in known(vm, driver).0 {
        let failures = match Forward::read(nic) {
            Ok(forward) => forward.close(guests::others_on(vm, driver, &forward.bridge)),
            Err(failure) => vec![failure],
        };
        failures
            .iter()
            .for_each(|failure| warning!("NIC {}: not all of its ports are closed: {}", nic.id, failure.message));
    }
}

impl Forward {
    fn read(nic: &Nic) -> Result<Self, Failure> {
        let missing = |what: &str| Failure::invalid(format!("NIC {}: has no {what}", nic.id));
        let external = nic.external_port_range.as_deref().unwrap_or_default();
        let (internal, base) = match nic.internal_port_range.as_deref().unwrap_or_default().split_once('/') {
            Some((ports, base)) => (ports, Some(base)),
            None => (nic.internal_port_range.as_deref().unwrap_or_default(), None),
        };
        Ok(Self {
            address: nic.addresses.ip.clone().ok_or_else(|| missing("IP"))?,
            bridge: nic.bridge.clone().ok_or_else(|| missing("BRIDGE"))?,
            gateway: nic.gateway.clone(),
            external: ports(external, ':')?,
            internal: ports(internal, '-')?,
            base: base.map(port).transpose()?,
        })
    }

    /// Opens the ports.
    fn open(&self) -> Result<(), Failure> {
        links::add_route(&self.address, &self.bridge)?;
        if let Some(gateway) = &self.gateway {
            links::add_proxy(gateway, &self.bridge)?;
        }
        let [redirect, masquerade] = self.rules();
        let changes = [&redirect, &masquerade].map(|rule| Change::RemoveRule(rule.clone()));
        self.apply(changes.into_iter().chain([Change::AddRule(redirect), Change::AddRule(masquerade)]).collect())
    }

    /// Closes them, each step whatever became of those before. What is not there is fine. The gateway is that of all
    /// machines on the bridge: it is answered for while there are others, or while that is not known.
    fn close(&self, others: Result<bool, Failure>) -> Vec<Failure> {
        let proxy = match (&self.gateway, others) {
            (Some(gateway), Ok(false)) => links::remove_proxy(gateway, &self.bridge),
            (Some(_), others) => others.map(drop),
            (None, _) => Ok(()),
        };
        let steps = [
            links::remove_route(&self.address, &self.bridge),
            proxy,
            self.apply(self.rules().map(Change::RemoveRule).to_vec()),
        ];
        steps.into_iter().filter_map(Result::err).collect()
    }

    fn rules(&self) -> [PlacedRule; 2] {
        let redirection = Redirection { address: self.address.clone(), ports: self.internal, base: self.base };
        let redirect = Rule {
            conditions: vec![Condition::Protocol("tcp".to_owned()), Condition::ToPorts(self.external)],
            target: Target::Redirect(redirection),
        };
        let masquerade =
            Rule { conditions: vec![Condition::FromNetwork(self.address.clone())], target: Target::Masquerade };
        [
            PlacedRule { chain: "PREROUTING".to_owned(), rule: redirect, position: Position::First },
            PlacedRule { chain: "POSTROUTING".to_owned(), rule: masquerade, position: Position::Last },
        ]
    }

    fn apply(&self, changes: Vec<Change>) -> Result<(), Failure> {
        let tables = vec![TableChange { family: Family::Ipv4, table: Table::Nat, changes }];
        iptables::apply(&Transaction { sets: Vec::new(), tables, obsolete_sets: Vec::new() })
    }
}

fn port(text: &str) -> Result<u16, Failure> {
    text.trim().parse().map_err(|_| Failure::invalid(format!("port {text:?}: expected a number up to 65535")))
}

fn ports(text: &str, separator: char) -> Result<Ports, Failure> {
    let (first, last) = text.split_once(separator).unwrap_or((text, text));
    Ok(Ports { first: port(first)?, last: port(last)? })
}
