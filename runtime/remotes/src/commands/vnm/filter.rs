//! What the packet filter does with an interface's packets.

use remotes_effect::iptables::ListedChain;
use remotes_network::iptables::bridged::Bridged;
use serde::Serialize;

use super::reach::{Packets, Reach, reach};
use super::seen::{ENTRY, Rules};

/// What filters an interface's packets of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Filter {
    /// could not be seen
    Unseen,
    /// no chains: everything passes
    None,
    /// Chains in force, with how many rules into the machine and out of it.
    InForce {
        inbound: usize,
        outbound: usize,
        /// whether also what the machine sends to this host is filtered
        host: bool,
        /// whether this host routes what the machine sends past the rules for that, as the stock drivers have it
        routed_past: bool,
    },
    /// There are chains, but packets do not get to them.
    Broken(Broken),
}

/// Why packets do not get to chains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "reason")]
pub enum Broken {
    /// Nothing leads to one of them from the shared chain, or one is missing.
    Chains,
    /// Nothing leads from FORWARD to the shared chain.
    Forward,
    /// A rule of FORWARD takes the packets before; its number, from 1.
    Taken { rule: usize },
    /// FORWARD leads there what passes a bridge, and the interface is routed to.
    OnlyBridged,
    /// The kernel does not have packets of the interface's bridge meet these tables.
    Unmet,
}

impl Filter {
    /// For the chains whose names begin so, of an interface on this bridge.
    pub fn of(base: &str, rules: Option<&Rules>, bridge: Option<&str>) -> Self {
        let Some(rules) = rules else { return Self::Unseen };
        let chain = |end: &str| -> Option<&ListedChain> {
            let name = format!("{base}-{end}");
            rules.chains.iter().find(|chain| chain.name == name)
        };
        let (inbound, outbound) = match (chain("i"), chain("o")) {
            (None, None) => return Self::None,
            (Some(inbound), Some(outbound)) => (inbound, outbound),
            _ => return Self::Broken(Broken::Chains),
        };
        let forward = reach(&rules.forward, ENTRY);
        let called = [inbound, outbound].map(|chain| reach(&rules.entry, &chain.name).packets);
        if let Some(reason) = called.into_iter().find_map(|called| broken(called, forward)) {
            return Self::Broken(reason);
        }
        let is_met = |called: &Packets| called.and(forward.packets).routed || is_met_on(bridge, &rules.bridged);
        if !called.iter().all(is_met) {
            return Self::Broken(Broken::Unmet);
        }
        let host = reach(&rules.input, &outbound.name).packets.any();
        let [is_routed_to, is_routed_from] = called.map(|called| called.and(forward.packets).routed);
        let routed_past = is_routed_to && !called[0].bridged && !is_routed_from;
        Self::InForce { inbound: inbound.rules.len(), outbound: outbound.rules.len(), host, routed_past }
    }

    /// Whether something is to be done.
    pub fn is_broken(self) -> bool {
        matches!(self, Self::Broken(_) | Self::InForce { host: false, .. })
    }

    /// In words.
    pub fn shown(self) -> String {
        const AGAIN: &str = "`update_sg` or `post`";
        match self {
            Self::Unseen => "not seen".to_owned(),
            Self::None => "no rules, everything passes".to_owned(),
            Self::InForce { inbound, outbound, host, routed_past } => {
                let past = match routed_past {
                    true => " (not for what this host routes: `routed_outbound_filter`)",
                    false => "",
                };
                let more = match host {
                    true => String::new(),
                    false => format!("; INPUT does not lead there, all may be sent to this host: {AGAIN} mends that"),
                };
                let rules = if inbound == 1 { "rule" } else { "rules" };
                format!("{inbound} {rules} in, {outbound} out{past}{more}")
            }
            Self::Broken(Broken::Chains) => format!("BROKEN: the chains are not in force; {AGAIN} makes them again"),
            Self::Broken(Broken::Forward) => {
                format!("BROKEN: FORWARD does not lead to the chain {ENTRY}; {AGAIN} adds the rule")
            }
            Self::Broken(Broken::Taken { rule }) => format!(
                "BROKEN: rule {rule} of FORWARD takes packets before the chain {ENTRY}: remove it or put it last, then \
                 {AGAIN}"
            ),
            Self::Broken(Broken::Unmet) => {
                "BROKEN: packets of the bridge do not meet them: net.bridge.bridge-nf-call-iptables and \
                 -ip6tables must be 1 (sysctl)"
                    .to_owned()
            }
            Self::Broken(Broken::OnlyBridged) => format!(
                "BROKEN: FORWARD leads to the chain {ENTRY} only what passes a bridge, not what is routed; {AGAIN} \
                 adds a rule for that"
            ),
        }
    }
}

/// An interface on no bridge has none whose packets could miss the rules.
fn is_met_on(bridge: Option<&str>, bridged: &Bridged) -> bool {
    bridge.is_none_or(|bridge| bridged.is_met_on(bridge))
}

/// Why those that are called for these packets are not in force.
fn broken(called: Packets, forward: Reach) -> Option<Broken> {
    if !called.any() {
        return Some(Broken::Chains);
    }
    if called.and(forward.packets).any() {
        return None;
    }
    Some(match (forward.taken_by, forward.packets) {
        (Some(rule), _) => Broken::Taken { rule },
        (None, Packets { bridged: true, routed: false }) => Broken::OnlyBridged,
        (None, _) => Broken::Forward,
    })
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
