//! The packet filter: which chains and sets are the driver's, and how its rules may be reached from the
//! system's chains.

use serde::{Deserialize, Serialize};

use super::networks::{self, GrantedNetwork};
use super::pattern::{Pattern, any, listed};
use crate::iptables::{
    AddressSet, Change, Condition, Effect, Family, PlacedRule, Ports, Position, Rule, Table, TableChange, Target,
    Transaction,
};
use crate::network::names::{self, Network};
use crate::network::rules;
use crate::types::Failure;

/// The table `[iptables]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct IptablesGrant {
    /// Chains that the driver makes, fills and removes.
    pub chains: Vec<Pattern>,
    /// Chains that the host's drivers share: made where there is none, never emptied or removed.
    pub shared: Vec<Pattern>,
    /// The system's chains in which rules may be placed that lead to those, and which may be looked at.
    pub callers: Vec<String>,
    /// Names of sets.
    pub sets: Vec<Pattern>,
    /// Ports of bridges whose packets may be sent to the driver's chains.
    pub ports: Vec<Pattern>,
    /// Networks of which single addresses may be sent there.
    pub networks: Vec<GrantedNetwork>,
    /// Networks of which single addresses may be redirected to and masqueraded.
    pub forwarded: Vec<GrantedNetwork>,
    /// Whether all forwarded packets may be sent to a shared chain, which accepts those that no driver's chain
    /// drops; without it only those that pass a bridge.
    pub routed: bool,
    /// Ports of the host that may be redirected to those addresses, `FIRST:LAST` each, with masquerading.
    pub port_forwarding: Vec<PortRange>,
}

/// Ports from the first to the last, `FIRST:LAST` in a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    fn holds(self, ports: Ports) -> bool {
        self.first <= ports.first && ports.first <= ports.last && ports.last <= self.last
    }
}

impl TryFrom<String> for PortRange {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let numbers = text.split_once(':').and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
        match numbers {
            Some((first, last)) if first <= last => Ok(Self { first, last }),
            _ => Err(format!("port-forwarding {text:?}: expected FIRST:LAST, such as \"1024:65535\"")),
        }
    }
}

impl From<PortRange> for String {
    fn from(range: PortRange) -> Self {
        format!("{}:{}", range.first, range.last)
    }
}

fn denied(what: impl std::fmt::Display, key: &str) -> Failure {
    Failure::denied(format!("{what}; `{key}` under [iptables] in the driver's policy would allow it"))
}

/// What a rule has to name that leads to a driver's chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Port,
    PortOrAddress,
}

impl Scope {
    fn shown(self) -> &'static str {
        match self {
            Self::Port => "a port of a bridge",
            Self::PortOrAddress => "a port of a bridge or a single address",
        }
    }
}

impl IptablesGrant {
    /// Checks everything that the effect shows.
    pub(super) fn check(&self, effect: &Effect) -> Result<(), Failure> {
        match effect {
            Effect::Chains { beginning, .. } => self.check_beginning(beginning),
            Effect::Sets { beginning } => {
                self.check_set(beginning)?;
                self.grants_set(&format!("{beginning}x"))
            }
            Effect::Apply { transaction } => self.check_transaction(transaction),
            Effect::AddMembers { name, members } | Effect::RemoveMembers { name, members } => {
                self.check_set(name)?;
                members.iter().try_for_each(|member| names::member(member))
            }
        }
    }

    /// Whether all chains whose names begin so are the driver's, or this is the name of one that is shared with it or
    /// leads there.
    fn check_beginning(&self, beginning: &str) -> Result<(), Failure> {
        names::chain(beginning)?;
        if self.shares(beginning) || self.callers.iter().any(|caller| caller == beginning) {
            return Ok(());
        }
        if names::is_reserved(beginning) {
            return Err(denied(format!("chain {beginning}: granted are {}", self.callers.join(", ")), "callers"));
        }
        self.grants_chain(beginning)?;
        self.grants_chain(&format!("{beginning}x"))
    }

    fn check_transaction(&self, transaction: &Transaction) -> Result<(), Failure> {
        transaction.sets.iter().try_for_each(|set| self.check_address_set(set))?;
        for base in &transaction.obsolete_sets {
            self.check_set(base)?;
            self.grants_set(&format!("{base}-x"))?;
        }
        for table in &transaction.tables {
            table.changes.iter().try_for_each(|change| self.check_change(table, change))?;
        }
        Ok(())
    }

    fn check_address_set(&self, set: &AddressSet) -> Result<(), Failure> {
        self.check_set(&set.name)?;
        set.members.iter().try_for_each(|member| names::member(member))
    }

    fn check_set(&self, name: &str) -> Result<(), Failure> {
        names::set(name)?;
        self.grants_set(name)
    }

    fn grants_set(&self, name: &str) -> Result<(), Failure> {
        match any(&self.sets, name) {
            true => Ok(()),
            false => Err(denied(format!("set {name}: granted are {}", listed(&self.sets)), "sets")),
        }
    }

    fn owns(&self, chain: &str) -> bool {
        !names::is_reserved(chain) && any(&self.chains, chain)
    }

    fn shares(&self, chain: &str) -> bool {
        !names::is_reserved(chain) && any(&self.shared, chain)
    }

    fn check_own(&self, chain: &str) -> Result<(), Failure> {
        names::chain(chain)?;
        self.grants_chain(chain)
    }

    fn grants_chain(&self, chain: &str) -> Result<(), Failure> {
        match self.owns(chain) && !self.shares(chain) {
            true => Ok(()),
            false => Err(denied(format!("chain {chain}: granted are {}", listed(&self.chains)), "chains")),
        }
    }

    fn check_change(&self, table: &TableChange, change: &Change) -> Result<(), Failure> {
        if table.table == Table::Nat && self.port_forwarding.is_empty() {
            return Err(denied("table nat: only filter is granted", "port-forwarding"));
        }
        match change {
            Change::EnsureChain(chain) if self.shares(&chain.name) => {
                names::chain(&chain.name)?;
                chain.rules.iter().try_for_each(|rule| self.check_shared_rule(table.family, rule))
            }
            Change::EnsureChain(chain) | Change::ReplaceChain(chain) => {
                self.check_own(&chain.name)?;
                chain.rules.iter().try_for_each(|rule| self.check_own_rule(table.family, rule))
            }
            Change::RemoveChains(removal) => {
                self.check_own(&removal.base)?;
                self.grants_chain(&format!("{}-x", removal.base))?;
                removal.callers.iter().try_for_each(|caller| self.check_caller(caller))
            }
            Change::AddRule(placed)
            | Change::EnsureRule(placed)
            | Change::EnsureJump(placed)
            | Change::RemoveRule(placed) => self.check_placed(table, placed),
        }
    }

    fn check_caller(&self, chain: &str) -> Result<(), Failure> {
        names::chain(chain)?;
        match self.shares(chain) || self.owns(chain) || self.callers.iter().any(|caller| caller == chain) {
            true => Ok(()),
            false => Err(denied(format!("chain {chain}: granted are {}", self.callers.join(", ")), "callers")),
        }
    }

    fn check_placed(&self, table: &TableChange, placed: &PlacedRule) -> Result<(), Failure> {
        let PlacedRule { chain, rule, position } = placed;
        names::chain(chain)?;
        match (table.table, chain.as_str()) {
            (Table::Nat, "PREROUTING" | "POSTROUTING") => self.check_forwarding(table.family, chain, rule),
            (Table::Nat, _) => Err(denied(format!("chain {chain} of table nat"), "callers")),
            _ if self.shares(chain) => {
                if rule.target == Target::Accept && *position != Position::Last {
                    return Err(Failure::denied(format!(
                        "chain {chain}: what accepts everything else is its last rule"
                    )));
                }
                self.check_shared_rule(table.family, rule)
            }
            _ if self.owns(chain) => self.check_own_rule(table.family, rule),
            _ => {
                self.check_caller(chain)?;
                self.check_call(table.family, placed)
            }
        }
    }

    /// A rule of a chain that is the driver's alone: whatever it says holds only for what is sent there.
    fn check_own_rule(&self, family: Family, rule: &Rule) -> Result<(), Failure> {
        rules::words(rule, family)?;
        for condition in &rule.conditions {
            if let Condition::Lookup(lookup) = condition {
                self.check_set(&lookup.name)?;
            }
        }
        match &rule.target {
            Target::Drop | Target::Back => Ok(()),
            // Called from INPUT, such a chain would let a guest reach what the host keeps from it.
            Target::Accept => Err(Failure::denied(
                "a driver's chain drops packets or gives them back; what is left is accepted by the shared chain"
                    .to_owned(),
            )),
            Target::Jump(chain) => self.check_own(chain),
            Target::Masquerade | Target::Redirect(_) => {
                Err(Failure::denied("such a target belongs into table nat".to_owned()))
            }
        }
    }

    /// A rule of a chain that the drivers share: to a chain of the driver's own, or the accepting end.
    fn check_shared_rule(&self, family: Family, rule: &Rule) -> Result<(), Failure> {
        rules::words(rule, family)?;
        match &rule.target {
            Target::Accept if rule.conditions.is_empty() => Ok(()),
            Target::Jump(chain) => {
                self.check_own(chain)?;
                self.check_scope(rule, Scope::PortOrAddress)
            }
            _ => Err(Failure::denied(format!(
                "a rule of a shared chain leads to a chain of the driver's own, or accepts what is left, not {}",
                rules::target_name(&rule.target)
            ))),
        }
    }

    /// A rule of one of the system's chains.
    fn check_call(&self, family: Family, placed: &PlacedRule) -> Result<(), Failure> {
        let PlacedRule { chain: caller, rule, position } = placed;
        rules::words(rule, family)?;
        match &rule.target {
            Target::Jump(chain) if self.shares(chain) && caller == "FORWARD" => self.check_shared_call(rule, *position),
            Target::Jump(chain) => {
                self.check_own(chain)?;
                // An address could be the host's own, or that of who manages it.
                self.check_scope(rule, Scope::Port)
            }
            other => Err(Failure::denied(format!(
                "chain {caller}: a rule there may only lead to the driver's chains, not to {}",
                rules::target_name(other)
            ))),
        }
    }

    /// The shared chain lets through what no chain of a driver drops: in front of the host's own rules, or for all
    /// that is forwarded, that would open the host's packet filter.
    fn check_shared_call(&self, rule: &Rule, position: Position) -> Result<(), Failure> {
        if position != Position::Last {
            return Err(Failure::denied("what leads to the shared chain is the last rule of FORWARD".to_owned()));
        }
        let is_bridged = |condition: &Condition| matches!(condition, Condition::Physdev(physdev) if physdev.bridged);
        match self.routed || rule.conditions.iter().any(is_bridged) {
            true => Ok(()),
            false => Err(denied("all forwarded packets: only those that pass a bridge are granted", "routed = true")),
        }
    }

    /// Only packets of a granted port, or to a granted address, are sent to a driver's chain: it could
    /// cut the host off otherwise.
    fn check_scope(&self, rule: &Rule, wanted: Scope) -> Result<(), Failure> {
        let mut is_scoped = false;
        for condition in &rule.conditions {
            match condition {
                Condition::Physdev(physdev) => {
                    for port in physdev.input.iter().chain(&physdev.output) {
                        if !any(&self.ports, port) {
                            return Err(denied(format!("port {port}: granted are {}", listed(&self.ports)), "ports"));
                        }
                        is_scoped = true;
                    }
                }
                Condition::ToNetwork(network) => {
                    Self::check_address(network, &self.networks, "networks")?;
                    is_scoped |= wanted == Scope::PortOrAddress;
                }
                _ => {}
            }
        }
        match is_scoped {
            true => Ok(()),
            false => Err(Failure::denied(format!("a rule that leads to a driver's chain names {}", wanted.shown()))),
        }
    }

    fn check_address(text: &str, granted: &[GrantedNetwork], key: &str) -> Result<(), Failure> {
        let network = Network::parse(text)?;
        match network.is_single() && networks::hold(granted, &network) {
            true => Ok(()),
            false => Err(denied(format!("{text}: granted are single addresses of {}", networks::shown(granted)), key)),
        }
    }

    fn check_ports(&self, ports: Ports) -> Result<(), Failure> {
        match self.port_forwarding.iter().any(|range| range.holds(ports)) {
            true => Ok(()),
            false => {
                let granted: Vec<String> = self.port_forwarding.iter().map(|range| (*range).into()).collect();
                let what = format!("ports {}:{}: granted are {}", ports.first, ports.last, granted.join(", "));
                Err(denied(what, "port-forwarding"))
            }
        }
    }

    fn check_forwarding(&self, family: Family, chain: &str, rule: &Rule) -> Result<(), Failure> {
        rules::words(rule, family)?;
        let has = |wanted: fn(&Condition) -> bool| rule.conditions.iter().any(wanted);
        let mut ports = rule.conditions.iter().filter_map(|condition| match condition {
            Condition::ToPorts(ports) => Some(*ports),
            _ => None,
        });
        match (&rule.target, chain, ports.next()) {
            (Target::Redirect(redirection), "PREROUTING", Some(ports))
                if has(|condition| matches!(condition, Condition::Protocol(_))) =>
            {
                self.check_ports(ports)?;
                Self::check_address(&redirection.address, &self.forwarded, "forwarded")
            }
            (Target::Masquerade, "POSTROUTING", _) => {
                let mut sources = rule.conditions.iter().filter_map(|condition| match condition {
                    Condition::FromNetwork(network) => Some(network),
                    _ => None,
                });
                match sources.next() {
                    Some(source) => Self::check_address(source, &self.forwarded, "forwarded"),
                    None => Err(Failure::denied("masquerading is for single addresses only".to_owned())),
                }
            }
            (target, ..) => Err(Failure::denied(format!(
                "chain {chain} of table nat: expected redirected ports or masquerading, not {}",
                rules::target_name(target)
            ))),
        }
    }
}
