//! Whether packets that pass a bridge meet the rules of iptables at all: the kernel's `br_netfilter` is told so for all
//! bridges of a network namespace, or for one (`net.bridge.bridge-nf-call-iptables` of ip-sysctl.rst in the kernel's
//! documentation, `nf_call_iptables` of ip-link(8)).

use std::collections::BTreeSet;
use std::path::Path;

use remotes_effect::Effect;
use remotes_effect::iptables::{self as filter, Change, Condition, Family, Table};

/// The bridges whose packets meet the rules of one family.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Bridged {
    /// all, as the kernel has it unless it is told otherwise
    #[default]
    All,
    /// no others than these
    Only(BTreeSet<String>),
}

impl Bridged {
    /// As it is in this thread's network namespace.
    pub fn of_host(family: Family) -> Self {
        let tables = tables(family);
        let is_on = |file: &Path| std::fs::read_to_string(file).is_ok_and(|text| text.trim() != "0");
        // Without the file the module is not there.
        if is_on(Path::new(&format!("/proc/sys/net/bridge/bridge-nf-call-{tables}"))) {
            return Self::All;
        }
        let links = std::fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
        let on = links.filter(|link| is_on(&link.path().join(format!("bridge/nf_call_{tables}"))));
        Self::Only(on.filter_map(|link| link.file_name().into_string().ok()).collect())
    }

    /// Whether those of this bridge do.
    pub fn is_met_on(&self, bridge: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(bridges) => bridges.contains(bridge),
        }
    }
}

fn tables(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "iptables",
        Family::Ipv6 => "ip6tables",
    }
}

/// How to have packets of all bridges meet the rules of a family.
pub fn remedy(family: Family) -> String {
    format!("sysctl -w net.bridge.bridge-nf-call-{}=1", tables(family))
}

/// What is to be said to who has just made these rules: that they are for packets of bridges, which do not meet them.
pub fn unmet(effect: &Effect) -> Option<String> {
    let Effect::Iptables(filter::Effect::Apply { transaction }) = effect else { return None };
    let is_bridged = |condition: &Condition| matches!(condition, Condition::Physdev(physdev) if physdev.bridged);
    let makes = |change: &Change| match change {
        Change::EnsureChain(chain) | Change::ReplaceChain(chain) => {
            chain.rules.iter().any(|rule| rule.conditions.iter().any(is_bridged))
        }
        Change::AddRule(placed) | Change::EnsureRule(placed) | Change::EnsureJump(placed) => {
            placed.rule.conditions.iter().any(is_bridged)
        }
        Change::RemoveRule(_) | Change::RemoveChains(_) => false,
    };
    let tables = transaction.tables.iter().filter(|table| table.table == Table::Filter);
    let families = tables.filter(|table| table.changes.iter().any(makes)).map(|table| table.family);
    // Which bridge it is about the rules do not say.
    let nowhere = |family: &Family| matches!(Bridged::of_host(*family), Bridged::Only(bridges) if bridges.is_empty());
    let remedies: BTreeSet<String> = families.filter(nowhere).map(remedy).collect();
    (!remedies.is_empty()).then(|| {
        let remedies: Vec<String> = remedies.into_iter().collect();
        format!(
            "packets of bridges do not meet the rules that were made, machines are not filtered: `{}` has them do so",
            remedies.join("; ")
        )
    })
}
