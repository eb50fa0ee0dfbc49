//! Steps between random tables, carried out on a table in memory and watched by packets.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;
use remotes_effect::iptables::{Chain, Change, Condition, Family, PlacedRule, Position, Removal, Rule, Target};

use super::*;

/// What is done to the table, as iptables does it.
fn carry_out(chains: &mut Chains, step: &Step) {
    let table = &mut chains.0;
    match step {
        Step::Make(chain) => assert!(table.insert(chain.clone(), vec![]).is_none(), "{step:?}: is there"),
        Step::Append(chain, rule) => table.get_mut(chain).unwrap().push(rule.clone()),
        Step::Insert(chain, number, rule) => {
            table.entry(chain.clone()).or_default().insert(number - 1, rule.clone());
        }
        Step::Delete(chain, rule) => {
            let rules = table.get_mut(chain).unwrap();
            let index = rules.iter().position(|other| other == rule).unwrap();
            rules.remove(index);
        }
        Step::Flush(chain) => table.get_mut(chain).unwrap().clear(),
        Step::Remove(chain) => {
            assert!(table.remove(chain).unwrap().is_empty(), "{step:?}: has rules");
            let used = table.values().flatten().any(|rule| target_of(rule) == Some(chain));
            assert!(!used, "{step:?}: is called");
        }
        Step::Rename(old, new) => {
            let rules = table.remove(old).unwrap();
            assert!(table.insert(new.clone(), rules).is_none(), "{step:?}: is there");
            for rule in table.values_mut().flatten().filter(|rule| target_of(rule) == Some(old)) {
                *rule = rule.replace(&format!("-j {old}"), &format!("-j {new}"));
            }
        }
    }
    for rule in table.values().flatten() {
        let target = target_of(rule).unwrap();
        assert!(names::is_reserved(target) || table.contains_key(target), "{step:?}: {rule} leads nowhere");
    }
}

/// Whether a packet from this address is let through from this chain on; none where it comes back.
fn verdict(chains: &Chains, chain: &str, source: &str) -> Option<bool> {
    for rule in chains.0.get(chain).into_iter().flatten() {
        if rule.starts_with("-s") && !rule.starts_with(&format!("-s {source}/32 ")) {
            continue;
        }
        match target_of(rule).unwrap() {
            "ACCEPT" => return Some(true),
            "DROP" => return Some(false),
            "RETURN" => return None,
            other => match verdict(chains, other, source) {
                None => {}
                decided => return decided,
            },
        }
    }
    None
}

const SOURCES: [&str; 3] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];

fn verdicts(chains: &Chains) -> Vec<bool> {
    SOURCES.iter().map(|source| verdict(chains, "FORWARD", source).unwrap_or(true)).collect()
}

fn rule(source: Option<&str>, target: Target) -> Rule {
    Rule { conditions: source.map(|source| Condition::FromNetwork(source.to_owned())).into_iter().collect(), target }
}

/// What a driver does for one interface: its chain lets some sources through and drops the rest.
fn group(interface: u8, allowed: &[bool]) -> Vec<Change> {
    let (base, chain) = (format!("one-{interface}-0"), format!("one-{interface}-0-i"));
    let mut rules: Vec<Rule> = SOURCES
        .iter()
        .zip(allowed)
        .filter(|(_, allowed)| **allowed)
        .map(|(source, _)| rule(Some(source), Target::Back))
        .collect();
    rules.push(rule(None, Target::Drop));
    let source = SOURCES[usize::from(interface) % SOURCES.len()];
    let jump = rule(Some(source), Target::Jump(chain.clone()));
    vec![
        Change::RemoveChains(Removal { base, callers: vec!["opennebula".into()] }),
        Change::ReplaceChain(Chain { name: chain, rules }),
        Change::AddRule(PlacedRule { chain: "opennebula".into(), rule: jump, position: Position::First }),
    ]
}

fn entry() -> Vec<Change> {
    let placed =
        |chain: &str, target| PlacedRule { chain: chain.into(), rule: rule(None, target), position: Position::Last };
    vec![
        Change::EnsureChain(Chain { name: "opennebula".into(), rules: vec![] }),
        Change::EnsureRule(placed("opennebula", Target::Accept)),
        Change::EnsureJump(placed("FORWARD", Target::Jump("opennebula".into()))),
    ]
}

fn changed(before: &Chains, changes: &[Change]) -> Chains {
    let mut after = before.clone();
    after.change(Family::Ipv4, changes).unwrap();
    after
}

fn replaced(changes: &[Change]) -> BTreeSet<&str> {
    let mut replaced = BTreeSet::new();
    for change in changes {
        if let Change::ReplaceChain(chain) = change {
            replaced.insert(chain.name.as_str());
        }
    }
    replaced
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let one =
        (0_u8..4, prop::collection::vec(any::<bool>(), 3), any::<bool>()).prop_map(|(interface, allowed, gone)| {
            let mut changes = group(interface, &allowed);
            if gone {
                changes.truncate(1);
            }
            changes
        });
    prop::collection::vec(one, 1..4)
        .prop_map(|groups| entry().into_iter().chain(groups.into_iter().flatten()).collect())
}

/// Every packet that both states treat alike is treated so in between, too.
fn watch(now: &Chains, before: &Chains, after: &Chains, step: &Step) -> Result<(), TestCaseError> {
    for ((now, before), after) in verdicts(now).into_iter().zip(verdicts(before)).zip(verdicts(after)) {
        prop_assert!(before != after || now == before, "{:?}", step);
    }
    Ok(())
}

proptest! {
    #[test]
    fn steps_lead_there_and_nothing_opens_or_breaks_on_the_way(
        first in changes(), second in changes(), stop in any::<prop::sample::Index>(),
    ) {
        let empty = Chains([("FORWARD".to_owned(), vec![])].into());
        let before = changed(&empty, &first);
        let after = changed(&before, &second);
        let steps = Steps::between(&before, &after, &replaced(&second)).unwrap();
        let all: Vec<&Step> = steps.prepare.iter().chain(&steps.switch).chain(&steps.tidy).collect();
        let mut now = before.clone();
        for step in &all {
            carry_out(&mut now, step);
            watch(&now, &before, &after, step)?;
        }
        prop_assert_eq!(&now, &after);
        // Killed anywhere, and made again: the same, and nothing is left.
        let mut killed = before.clone();
        all[..stop.index(all.len() + 1)].iter().for_each(|step| carry_out(&mut killed, step));
        let wanted = changed(&killed, &second);
        let again = Steps::between(&killed, &wanted, &replaced(&second)).unwrap();
        for step in again.prepare.iter().chain(&again.switch).chain(&again.tidy) {
            carry_out(&mut killed, step);
        }
        prop_assert_eq!(verdicts(&killed), verdicts(&after));
        prop_assert_eq!(killed, after);
    }

    /// Refused at any step before the last part: as before.
    #[test]
    fn what_is_taken_back_is_as_it_was(first in changes(), second in changes(), stop in any::<prop::sample::Index>()) {
        let before = changed(&Chains([("FORWARD".to_owned(), vec![])].into()), &first);
        let after = changed(&before, &second);
        let steps = Steps::between(&before, &after, &replaced(&second)).unwrap();
        let all: Vec<&Step> = steps.prepare.iter().chain(&steps.switch).collect();
        let done = &all[..stop.index(all.len() + 1)];
        let mut now = before.clone();
        done.iter().for_each(|step| carry_out(&mut now, step));
        for step in done.iter().rev().flat_map(|step| step.undone()) {
            if let Step::Remove(_) | Step::Flush(_) | Step::Delete(..) | Step::Insert(..) = &step {
                carry_out(&mut now, &step);
            }
        }
        prop_assert_eq!(verdicts(&now), verdicts(&before));
        prop_assert_eq!(now.0.keys().collect::<Vec<_>>(), before.0.keys().collect::<Vec<_>>());
    }
}

#[test]
fn rules_of_others_are_quoted_words() {
    let step = Step::Delete("INPUT".into(), r#"-m comment --comment "a \"b\" c" -j one-1-0-o"#.into());
    assert_eq!(step.words().unwrap(), ["-D", "INPUT", "-m", "comment", "--comment", "a \"b\" c", "-j", "one-1-0-o"]);
}
