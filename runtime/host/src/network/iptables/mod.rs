//! The packet filter: one `iptables-restore --noflush` a family, and `ipset restore` around it.

mod sets;

use remotes_effect::deadline::Deadline;
use remotes_effect::iptables::{
    Change, Condition, Executor, Family, ListedChain, ListedSet, Rule, Table, TableChange, Transaction,
};
use remotes_effect::network::chains::Chains;
use remotes_effect::network::names;
use remotes_effect::types::Failure;

use super::privileged::{Privileged, failure};
use sets::Sets;

/// How often a transaction is made anew when the rules changed between looking and committing.
const ATTEMPTS: usize = 5;

/// The executor of `iptables`.
#[derive(Debug, Clone, Copy)]
pub struct Iptables(Privileged);

impl Iptables {
    /// Changes end at the deadline.
    pub fn new(deadline: Deadline) -> Self {
        Self(Privileged(deadline))
    }

    fn own_sets(&self) -> Sets {
        Sets(self.0)
    }

    fn save(&self, family: Family) -> Result<String, Failure> {
        let program = program(family, "save");
        let listing = self.0.must(program, &[], &format!("list the rules ({program})"))?;
        String::from_utf8(listing).map_err(|_| Failure::failed(format!("{program}: its listing is not UTF-8")))
    }

    /// Makes the changes of one family in one transaction a table. What was listed before may have changed
    /// meanwhile: then it is listed anew.
    fn commit(&self, family: Family, tables: &[&TableChange]) -> Result<(), Failure> {
        let mut seen = None;
        for _ in 0..ATTEMPTS {
            let listing = self.save(family)?;
            let script = script(family, &listing, tables)?;
            if script.is_empty() {
                return Ok(());
            }
            match self.restore(family, &script, &[]) {
                Ok(()) => return Ok(()),
                // The same again: it is not that something came in between.
                Err(failure) if seen.as_ref() == Some(&script) => return Err(failure),
                Err(_) => seen = Some(script),
            }
        }
        Err(Failure::busy(format!("{}: the rules kept changing; try again", program(family, "restore"))))
    }

    /// Whether the changes would be taken, without making them.
    fn rehearse(&self, family: Family, tables: &[&TableChange]) -> Result<(), Failure> {
        let script = script(family, &self.save(family)?, tables)?;
        if script.is_empty() { Ok(()) } else { self.restore(family, &script, &["--test"]) }
    }

    fn restore(&self, family: Family, script: &str, more: &[&str]) -> Result<(), Failure> {
        let program = program(family, "restore");
        let arguments = [&["--noflush", "--wait", "10"], more].concat();
        let outcome = self.0.run(program, &arguments, script.as_bytes())?;
        match outcome.status {
            0 => Ok(()),
            _ => {
                let rule = refused_line(&outcome.stderr).and_then(|line| script.lines().nth(line.checked_sub(1)?));
                Err(failure(
                    &format!("change the rules ({program}, {:?})", rule.unwrap_or("the transaction")),
                    &outcome,
                ))
            }
        }
    }
}

/// The line that `iptables-restore` stumbled over: `Error occurred at line: 12`, `line 12 failed`.
fn refused_line(stderr: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(stderr);
    let rest = text.split("line: ").nth(1).or_else(|| text.split("line ").nth(1))?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn program(family: Family, what: &str) -> &'static str {
    match (family, what) {
        (Family::Ipv4, "save") => "iptables-save",
        (Family::Ipv6, "save") => "ip6tables-save",
        (Family::Ipv4, _) => "iptables-restore",
        (Family::Ipv6, _) => "ip6tables-restore",
    }
}

fn table(table: Table) -> &'static str {
    match table {
        Table::Filter => "filter",
        Table::Nat => "nat",
    }
}

fn script(family: Family, listing: &str, tables: &[&TableChange]) -> Result<String, Failure> {
    let mut script = String::new();
    for change in tables {
        let name = table(change.table);
        let lines = Chains::parse(listing, name).change(family, &change.changes)?;
        if !lines.is_empty() {
            script += &format!("*{name}\n{}\nCOMMIT\n", lines.join("\n"));
        }
    }
    Ok(script)
}

/// Protocols that every host knows, and whether they have ports.
const PROTOCOLS: [(&str, bool); 9] = [
    ("all", false),
    ("tcp", true),
    ("udp", true),
    ("icmp", false),
    ("icmpv6", false),
    ("esp", false),
    ("ah", false),
    ("gre", false),
    ("sctp", true),
];

/// Whether a rule says something that shows only when it is tried: a protocol by a name of the host's, or
/// ports of one that may have none. Everything else is known to be right, or fails for both families.
fn may_be_refused(change: &TableChange) -> bool {
    change.changes.iter().flat_map(rules_of).any(|rule| {
        let protocol = rule.conditions.iter().find_map(|condition| match condition {
            Condition::Protocol(name) => Some(name.as_str()),
            _ => None,
        });
        let ports = rule.conditions.iter().any(|condition| {
            matches!(condition, Condition::FromPorts(_) | Condition::ToPorts(_) | Condition::ToAnyPort(_))
        });
        match protocol {
            None => ports,
            Some(name) => !PROTOCOLS.iter().any(|(known, has_ports)| *known == name && (*has_ports || !ports)),
        }
    })
}

fn rules_of(change: &Change) -> Vec<&Rule> {
    match change {
        Change::EnsureChain(chain) | Change::ReplaceChain(chain) => chain.rules.iter().collect(),
        Change::AddRule(placed) | Change::EnsureRule(placed) | Change::EnsureJump(placed) => vec![&placed.rule],
        Change::RemoveRule(_) | Change::RemoveChains(_) => Vec::new(),
    }
}

impl Executor for Iptables {
    fn chains(&mut self, family: Family, beginning: &str) -> Result<Vec<ListedChain>, Failure> {
        names::chain(beginning)?;
        Ok(Chains::parse(&self.save(family)?, table(Table::Filter)).beginning(beginning))
    }

    fn sets(&mut self, beginning: &str) -> Result<Vec<ListedSet>, Failure> {
        names::set(beginning)?;
        self.own_sets().listed(beginning)
    }

    fn apply(&mut self, transaction: &Transaction) -> Result<(), Failure> {
        let Transaction { sets, tables, obsolete_sets } = transaction;
        let of = |family| tables.iter().filter(|change| change.family == family).collect::<Vec<_>>();
        let (ipv4, ipv6) = (of(Family::Ipv4), of(Family::Ipv6));
        // First the sets get what they lack, then the rules change, then the sets lose what is not theirs
        // any more: in between a packet is let through by what the old or the new rules let through.
        let extended = match sets.is_empty() && obsolete_sets.is_empty() {
            true => None,
            false => Some(self.own_sets().extend(sets, obsolete_sets)?),
        };
        // A refusal of the second family must come before the first one has changed.
        if !ipv4.is_empty() && ipv6.iter().any(|change| may_be_refused(change)) {
            self.rehearse(Family::Ipv6, &ipv6)?;
        }
        for (family, changes) in [(Family::Ipv4, ipv4), (Family::Ipv6, ipv6)] {
            if !changes.is_empty() {
                self.commit(family, &changes)?;
            }
        }
        match extended {
            Some(extended) => self.own_sets().settle(sets, extended),
            None => Ok(()),
        }
    }

    fn add_members(&mut self, name: &str, members: &[String]) -> Result<bool, Failure> {
        names::set(name)?;
        self.own_sets().edit("add", name, members)
    }

    fn remove_members(&mut self, name: &str, members: &[String]) -> Result<bool, Failure> {
        names::set(name)?;
        self.own_sets().edit("del", name, members)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn the_refused_line_is_found() {
        for (text, line) in [
            ("iptables-restore v1.8.9 (nf_tables): unknown protocol \"x\"\nError occurred at line: 12\nTry", Some(12)),
            ("iptables-restore: line 3 failed: No such file", Some(3)),
            ("something else", None),
        ] {
            assert_eq!(refused_line(text.as_bytes()), line, "{text}");
        }
    }
}
