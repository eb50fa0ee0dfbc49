//! One transaction a family: `iptables-restore --noflush`.

use remotes_effect::iptables::{Change, Condition, Family, Rule, TableChange};
use remotes_effect::network::chains::Chains;
use remotes_effect::types::Failure;

use super::{selected, table};
use crate::privileged::{Privileged, failure};

/// How often a transaction is made anew when the rules changed between looking and committing.
const ATTEMPTS: usize = 5;

/// Makes the changes of all tables, one family after the other.
pub(super) fn commit(privileged: &Privileged, tables: &[TableChange]) -> Result<(), Failure> {
    let of = |family| tables.iter().filter(|change| change.family == family).collect::<Vec<_>>();
    let (ipv4, ipv6) = (of(Family::Ipv4), of(Family::Ipv6));
    let (listing4, listing6) = both(privileged, &ipv4, &ipv6)?;
    // A refusal of the second family must come before the first one has changed.
    if !ipv4.is_empty() && ipv6.iter().any(|change| may_be_refused(change)) {
        rehearse(privileged, Family::Ipv6, &listing6, &ipv6)?;
    }
    for (family, changes, listing) in [(Family::Ipv4, ipv4, listing4), (Family::Ipv6, ipv6, listing6)] {
        if !changes.is_empty() {
            commit_family(privileged, family, &changes, listing)?;
        }
    }
    Ok(())
}

/// What changes of both families depend on, nothing for one without changes. On a host with many machines the
/// listings take long enough to be made beside one another.
fn both(privileged: &Privileged, ipv4: &[&TableChange], ipv6: &[&TableChange]) -> Result<(String, String), Failure> {
    let list = |family, changes: &[&TableChange]| match changes.is_empty() {
        true => Ok(String::new()),
        false => selected::listing(privileged, family, changes),
    };
    std::thread::scope(|scope| {
        let second = scope.spawn(|| list(Family::Ipv6, ipv6));
        let first = list(Family::Ipv4, ipv4);
        let second =
            second.join().unwrap_or_else(|_| Err(Failure::failed("the rules of IPv6: listing them broke off")));
        Ok((first?, second?))
    })
}

/// Makes the changes of one family in one transaction a table. What was listed before may have changed
/// meanwhile: then it is listed anew.
fn commit_family(
    privileged: &Privileged,
    family: Family,
    tables: &[&TableChange],
    mut listing: String,
) -> Result<(), Failure> {
    let mut seen = None;
    for _ in 0..ATTEMPTS {
        let script = script(family, &listing, tables)?;
        if script.is_empty() {
            return Ok(());
        }
        match restore(privileged, family, &script, &[]) {
            Ok(()) => return Ok(()),
            // The same again: it is not that something came in between.
            Err(failure) if seen.as_ref() == Some(&script) => return Err(failure),
            Err(_) => seen = Some(script),
        }
        listing = selected::listing(privileged, family, tables)?;
    }
    Err(Failure::busy(format!("{}: the rules kept changing; try again", program(family))))
}

/// Whether the changes would be taken, without making them.
fn rehearse(privileged: &Privileged, family: Family, listing: &str, tables: &[&TableChange]) -> Result<(), Failure> {
    let script = script(family, listing, tables)?;
    if script.is_empty() { Ok(()) } else { restore(privileged, family, &script, &["--test"]) }
}

fn restore(privileged: &Privileged, family: Family, script: &str, more: &[&str]) -> Result<(), Failure> {
    let program = program(family);
    let arguments = [&["--noflush", "--wait", "10"], more].concat();
    let outcome = privileged.run(program, &arguments, script.as_bytes())?;
    match outcome.status {
        0 => Ok(()),
        _ => {
            let rule = refused_line(&outcome.stderr).and_then(|line| script.lines().nth(line.checked_sub(1)?));
            Err(failure(&format!("change the rules ({program}, {:?})", rule.unwrap_or("the transaction")), &outcome))
        }
    }
}

/// The line that `iptables-restore` stumbled over: `Error occurred at line: 12`, `line 12 failed`.
fn refused_line(stderr: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(stderr);
    let rest = text.split("line: ").nth(1).or_else(|| text.split("line ").nth(1))?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn program(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "iptables-restore",
        Family::Ipv6 => "ip6tables-restore",
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
