//! Chains of one table, and what a list of changes makes of them: the chains afterwards, and the lines
//! for `iptables-restore --noflush` that lead there in one step.

use std::collections::{BTreeMap, BTreeSet};

use super::names;
use super::rules::{has_destination, target_name, target_of, words};
use crate::iptables::{Chain, Change, Family, ListedChain, PlacedRule, Position, Removal, Rule};
use crate::types::Failure;

/// Chains by name, each with its rules as `iptables-save` lists them, without `-A CHAIN`.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Chains(pub BTreeMap<String, Vec<String>>);

impl Chains {
    /// Reads one table out of what `iptables-save` prints.
    pub fn parse(listing: &str, table: &str) -> Self {
        let mut chains = BTreeMap::<String, Vec<String>>::new();
        let mut inside = false;
        for line in listing.lines() {
            if let Some(name) = line.strip_prefix('*') {
                inside = name.trim_end() == table;
            } else if !inside {
                continue;
            } else if let Some(chain) = line.strip_prefix(':').and_then(|rest| rest.split(' ').next()) {
                chains.entry(chain.to_owned()).or_default();
            } else if let Some((chain, rule)) = line.strip_prefix("-A ").and_then(|rest| rest.split_once(' ')) {
                chains.entry(chain.to_owned()).or_default().push(rule.trim_end().to_owned());
            }
        }
        Self(chains)
    }

    /// Makes the changes. Returns the lines of the transaction, none where there is nothing to do.
    pub fn change(&mut self, family: Family, changes: &[Change]) -> Result<Vec<String>, Failure> {
        let mut edit = Edit { before: self.clone(), after: self.clone(), ..Edit::default() };
        for change in changes {
            edit.make(family, change)?;
        }
        let lines = edit.lines();
        *self = edit.after;
        Ok(lines)
    }

    /// The chains whose names begin so, sorted by name.
    pub fn beginning(&self, beginning: &str) -> Vec<ListedChain> {
        let chains = self.0.iter().filter(|(name, _)| name.starts_with(beginning));
        chains.map(|(name, rules)| ListedChain { name: name.clone(), rules: rules.clone() }).collect()
    }

    fn rules(&self, chain: &str) -> &[String] {
        self.0.get(chain).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Whether a name is of this family: `one-1-1` is of none with `one-1-10`.
pub fn is_of_family(name: &str, base: &str) -> bool {
    name.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

#[derive(Default)]
struct Edit {
    before: Chains,
    after: Chains,
    /// chains that are made, or emptied to be filled anew
    declared: BTreeSet<String>,
    /// chains that have gone so far, and may come again
    doomed: BTreeSet<String>,
    steps: Vec<String>,
}

impl Edit {
    fn make(&mut self, family: Family, change: &Change) -> Result<(), Failure> {
        match change {
            Change::EnsureChain(chain) => match self.after.0.contains_key(&chain.name) {
                true => Ok(()),
                false => self.replace(family, chain),
            },
            Change::ReplaceChain(chain) => self.replace(family, chain),
            Change::RemoveChains(removal) => {
                self.remove_chains(removal);
                Ok(())
            }
            Change::AddRule(placed) => self.add(family, placed),
            Change::EnsureRule(placed) => {
                let line = line(&placed.rule, family)?;
                match self.after.rules(&placed.chain).contains(&line) {
                    true => Ok(()),
                    false => self.add(family, placed),
                }
            }
            Change::EnsureJump(placed) => {
                let target = target_name(&placed.rule.target);
                match self.after.rules(&placed.chain).iter().any(|line| target_of(line) == Some(target)) {
                    true => Ok(()),
                    false => self.add(family, placed),
                }
            }
            Change::RemoveRule(placed) => {
                let line = line(&placed.rule, family)?;
                self.remove(&placed.chain, |other| *other == line);
                Ok(())
            }
        }
    }

    fn replace(&mut self, family: Family, chain: &Chain) -> Result<(), Failure> {
        names::chain(&chain.name)?;
        let lines = chain.rules.iter().map(|rule| line(rule, family)).collect::<Result<Vec<_>, _>>()?;
        self.doomed.remove(&chain.name);
        // A chain that is right already keeps its counters.
        let same = self.before.0.get(&chain.name) == Some(&lines) && !self.touched(&chain.name);
        if !same {
            let step = format!("-A {} ", chain.name);
            self.steps.retain(|line| !line.starts_with(&step));
            self.declared.insert(chain.name.clone());
            self.steps.extend(lines.iter().map(|line| format!("{step}{line}")));
        }
        self.after.0.insert(chain.name.clone(), lines);
        Ok(())
    }

    /// Whether a step so far changes the rules of this chain.
    fn touched(&self, chain: &str) -> bool {
        self.declared.contains(chain) || self.steps.iter().any(|step| step.split(' ').nth(1) == Some(chain))
    }

    fn remove_chains(&mut self, removal: &Removal) {
        for caller in &removal.callers {
            self.remove(caller, |line| target_of(line).is_some_and(|target| is_of_family(target, &removal.base)));
        }
        let family: Vec<String> =
            self.after.0.keys().filter(|name| is_of_family(name, &removal.base)).cloned().collect();
        for chain in family {
            self.after.0.remove(&chain);
            self.doomed.insert(chain);
        }
    }

    fn remove(&mut self, chain: &str, unwanted: impl Fn(&String) -> bool) {
        let Some(rules) = self.after.0.get_mut(chain) else { return };
        let (gone, kept) = std::mem::take(rules).into_iter().partition::<Vec<_>, _>(unwanted);
        *rules = kept;
        self.steps.extend(gone.into_iter().map(|line| format!("-D {chain} {line}")));
    }

    fn add(&mut self, family: Family, placed: &PlacedRule) -> Result<(), Failure> {
        let PlacedRule { chain, rule, position } = placed;
        let text = line(rule, family)?;
        // The system's own chains are not listed before the table is first used.
        if !self.after.0.contains_key(chain) && !names::is_reserved(chain) {
            return Err(Failure::not_found(format!("chain {chain}: does not exist (wanted to add a rule)")));
        }
        let rules = self.after.0.entry(chain.clone()).or_default();
        match position {
            Position::First => {
                rules.insert(0, text.clone());
                self.steps.push(format!("-I {chain} {text}"));
            }
            Position::Last => {
                rules.push(text.clone());
                self.steps.push(format!("-A {chain} {text}"));
            }
            Position::BehindItsLike => {
                let target = target_name(&rule.target);
                let like = rules.iter().rposition(|line| target_of(line) == Some(target) && has_destination(line));
                if let Some(index) = like {
                    rules.insert(index + 1, text.clone());
                    self.steps.push(format!("-I {chain} {} {text}", index + 2));
                }
            }
        }
        Ok(())
    }

    fn lines(&self) -> Vec<String> {
        let declared = self.declared.iter().map(|chain| format!(":{chain} - [0:0]"));
        let doomed: Vec<&String> = self.doomed.iter().filter(|chain| self.before.0.contains_key(*chain)).collect();
        let flush = doomed.iter().map(|chain| format!("-F {chain}"));
        let delete = doomed.iter().map(|chain| format!("-X {chain}"));
        declared.chain(self.steps.iter().cloned()).chain(flush).chain(delete).collect()
    }
}

fn line(rule: &Rule, family: Family) -> Result<String, Failure> {
    Ok(words(rule, family)?.join(" "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::iptables::{Condition, Physdev, Target};

    const LISTING: &str = "# Generated\n*nat\n:one-1-0-i - [0:0]\nCOMMIT\n*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [5:7]\n\
        :one-1-0-i - [0:0]\n:one-1-0-o - [0:0]\n:one-1-00-i - [0:0]\n:opennebula - [0:0]\n\
        -A INPUT -m physdev --physdev-in one-1-0 -j one-1-0-o\n-A FORWARD -j opennebula\n-A one-1-0-i -j DROP\n\
        -A opennebula -m physdev --physdev-out one-1-0 --physdev-is-bridged -j one-1-0-i\n-A opennebula -j ACCEPT\nCOMMIT\n";

    fn removal(base: &str) -> Change {
        Change::RemoveChains(Removal { base: base.into(), callers: vec!["opennebula".into(), "INPUT".into()] })
    }

    fn drop_chain(name: &str) -> Change {
        let drop = Rule { conditions: vec![], target: Target::Drop };
        Change::ReplaceChain(Chain { name: name.into(), rules: vec![drop] })
    }

    fn input(port: &str, chain: &str) -> Change {
        let physdev = Condition::Physdev(Physdev { input: Some(port.into()), output: None, bridged: false });
        let rule = Rule { conditions: vec![physdev], target: Target::Jump(chain.into()) };
        Change::AddRule(PlacedRule { chain: "INPUT".into(), rule, position: Position::First })
    }

    #[test]
    fn a_removed_family_leaves_its_neighbours_alone() {
        let mut chains = Chains::parse(LISTING, "filter");
        let lines = chains.change(Family::Ipv4, &[removal("one-1-0")]).unwrap();
        assert_eq!(
            lines,
            [
                "-D opennebula -m physdev --physdev-out one-1-0 --physdev-is-bridged -j one-1-0-i",
                "-D INPUT -m physdev --physdev-in one-1-0 -j one-1-0-o",
                "-F one-1-0-i",
                "-F one-1-0-o",
                "-X one-1-0-i",
                "-X one-1-0-o",
            ]
        );
        assert!(chains.0.contains_key("one-1-00-i"));
        assert_eq!(chains.change(Family::Ipv4, &[removal("one-1-0")]).unwrap(), [""; 0]);
    }

    #[test]
    fn what_is_removed_and_made_again_is_replaced() {
        let mut chains = Chains::parse(LISTING, "filter");
        let changes =
            [removal("one-1-0"), drop_chain("one-1-0-i"), drop_chain("one-1-0-o"), input("one-1-0", "one-1-0-o")];
        let lines = chains.change(Family::Ipv4, &changes).unwrap();
        assert_eq!(
            lines,
            [
                ":one-1-0-o - [0:0]",
                "-D opennebula -m physdev --physdev-out one-1-0 --physdev-is-bridged -j one-1-0-i",
                "-D INPUT -m physdev --physdev-in one-1-0 -j one-1-0-o",
                "-A one-1-0-o -j DROP",
                "-I INPUT -m physdev --physdev-in one-1-0 -j one-1-0-o",
            ]
        );
        assert_eq!(chains.0["INPUT"], ["-m physdev --physdev-in one-1-0 -j one-1-0-o"]);
    }

    #[test]
    fn what_is_there_is_not_made_again() {
        let mut chains = Chains::parse(LISTING, "filter");
        let to = |chain: &str, target: &str, position| PlacedRule {
            chain: chain.into(),
            rule: Rule { conditions: vec![], target: Target::Jump(target.into()) },
            position,
        };
        let accept = Rule { conditions: vec![], target: Target::Accept };
        let placed = PlacedRule { chain: "opennebula".into(), rule: accept, position: Position::Last };
        let ensured = [
            Change::EnsureChain(Chain { name: "opennebula".into(), rules: vec![] }),
            Change::EnsureRule(placed.clone()),
            Change::EnsureJump(to("FORWARD", "opennebula", Position::Last)),
            Change::AddRule(to("opennebula", "one-1-0-i", Position::BehindItsLike)),
        ];
        assert_eq!(chains.change(Family::Ipv4, &ensured).unwrap(), [""; 0]);
        assert_eq!(chains.change(Family::Ipv4, &[Change::RemoveRule(placed)]).unwrap(), ["-D opennebula -j ACCEPT"]);
        let missing = Change::AddRule(to("absent", "one-1-0-i", Position::First));
        assert!(chains.change(Family::Ipv4, &[missing]).is_err());
    }
}
