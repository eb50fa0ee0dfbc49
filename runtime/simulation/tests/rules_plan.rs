//! A plan of changes of the packet filter: what is there is built upon, nothing happens, and the driver sees as if.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use remotes_effect::iptables::{
    AddressSet, Answer as Filtered, Chain, Change, Condition, Effect as Filter, Family, PlacedRule, Position, Removal,
    Rule, SetKind, SetLookup, Side, Table, TableChange, Target, Transaction,
};
use remotes_effect::types::{Failure, FailureKind};
use remotes_effect::{Answer, Effect, Executor};
use remotes_simulation::{Plan, Simulation, describe};

/// What a transaction of IPv4 comes to.
fn apply(world: &mut impl Executor, changes: Vec<Change>) -> Result<(), Failure> {
    apply_with(world, changes, vec![], vec![])
}

fn apply_with(
    world: &mut impl Executor,
    changes: Vec<Change>,
    sets: Vec<AddressSet>,
    obsolete_sets: Vec<String>,
) -> Result<(), Failure> {
    let tables = vec![TableChange { family: Family::Ipv4, table: Table::Filter, changes }];
    match world.execute(&Effect::Iptables(Filter::Apply { transaction: Transaction { sets, tables, obsolete_sets } })) {
        Answer::Iptables(Filtered::Apply(result)) => result,
        other => panic!("{other:?}"),
    }
}

/// Chains with their rules.
fn chains(world: &mut impl Executor, beginning: &str) -> Vec<(String, Vec<String>)> {
    let effect = Filter::Chains { family: Family::Ipv4, beginning: beginning.to_owned() };
    match world.execute(&Effect::Iptables(effect)) {
        Answer::Iptables(Filtered::Chains(Ok(chains))) => {
            chains.into_iter().map(|chain| (chain.name, chain.rules)).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn members(world: &mut impl Executor, name: &str) -> bool {
    let effect = Filter::AddMembers { name: name.to_owned(), members: vec!["10.0.0.1".to_owned()] };
    match world.execute(&Effect::Iptables(effect)) {
        Answer::Iptables(Filtered::AddMembers(Ok(there))) => there,
        other => panic!("{other:?}"),
    }
}

fn ensure(name: &str) -> Change {
    Change::EnsureChain(Chain { name: name.to_owned(), rules: vec![rule(vec![], Target::Accept)] })
}

fn rule(conditions: Vec<Condition>, target: Target) -> Rule {
    Rule { conditions, target }
}

fn add(chain: &str, rule: Rule) -> Change {
    Change::AddRule(PlacedRule { chain: chain.to_owned(), rule, position: Position::First })
}

fn lookup(name: &str) -> Rule {
    let lookup = SetLookup { name: name.to_owned(), sides: vec![Side::Source], inverted: false };
    rule(vec![Condition::Lookup(lookup)], Target::Back)
}

fn set(name: &str, kind: SetKind) -> AddressSet {
    AddressSet { name: name.to_owned(), kind, family: Family::Ipv4, max_members: None, members: vec![] }
}

/// A host with the chains and sets of a machine.
fn world() -> Simulation {
    let mut world = Simulation::new();
    let chains = ["opennebula", "one-1-0-i", "one-1-0-o", "one-1-10-i"].map(ensure).to_vec();
    apply_with(
        &mut world,
        chains,
        vec![set("one-1-0-ip", SetKind::HashIp), set("one-1-0-net", SetKind::HashNet)],
        vec![],
    )
    .unwrap();
    world
}

/// A plan, which must leave the world alone, and what it listed.
#[track_caller]
fn planned(action: impl FnOnce(&mut Plan<&mut Simulation>)) -> Vec<String> {
    let (mut there, before) = (world(), world().here);
    let mut plan = Plan::new(&mut there);
    action(&mut plan);
    let steps = plan.steps().iter().map(describe).collect();
    assert_eq!(there.here, before);
    steps
}

#[test]
fn rules_are_added_to_chains_that_are_there() {
    let steps = planned(|plan| {
        apply(plan, vec![add("opennebula", rule(vec![], Target::Jump("one-1-0-i".into())))]).unwrap();
        assert_eq!(
            chains(plan, "opennebula"),
            [("opennebula".into(), vec!["-j one-1-0-i".into(), "-j ACCEPT".into()])]
        );
        let missing = apply(plan, vec![add("absent", rule(vec![], Target::Drop))]).unwrap_err();
        assert_eq!(missing.kind, FailureKind::NotFound);
    });
    assert_eq!(steps.len(), 1, "{steps:?}");
}

#[test]
fn what_the_plan_removed_does_not_come_back() {
    planned(|plan| {
        let removal = Removal { base: "one-1-0".into(), callers: vec!["opennebula".into()] };
        apply(plan, vec![Change::RemoveChains(removal)]).unwrap();
        for beginning in ["one-1-0", "one-1-0-i", "one-1", "one-"] {
            let names: Vec<String> = chains(plan, beginning).into_iter().map(|(name, _)| name).collect();
            let left = if beginning.len() > 5 { &[][..] } else { &["one-1-10-i"] };
            assert_eq!(names, left, "{beginning}");
        }
    });
}

#[test]
fn rules_look_into_sets_that_are_there() {
    planned(|plan| {
        apply(plan, vec![add("opennebula", lookup("one-1-0-ip"))]).unwrap();
        assert_eq!(apply(plan, vec![add("opennebula", lookup("one-1-9"))]).unwrap_err().kind, FailureKind::NotFound);
        assert!(members(plan, "one-1-0-net") && members(plan, "one-1-0-ip") && !members(plan, "one-1-0"));
        // Of which kind it is cannot be seen.
        apply_with(plan, vec![], vec![set("one-1-0-ip", SetKind::HashIp)], vec!["one-1-0".into()]).unwrap();
        let empty = Change::ReplaceChain(Chain { name: "opennebula".into(), rules: vec![] });
        apply_with(plan, vec![empty], vec![], vec!["one-1-0".into()]).unwrap();
        assert!(!members(plan, "one-1-0-ip"));
    });
}

/// Whoever has no rights here tries a driver all the same.
#[test]
fn rules_that_cannot_be_seen_are_none() {
    struct Blind;
    impl Executor for Blind {
        fn execute(&mut self, effect: &Effect) -> Answer {
            effect.decline(Failure::failed("not seen".to_owned()))
        }
    }
    let mut plan = Plan::new(Blind);
    apply(&mut plan, vec![ensure("opennebula"), add("opennebula", rule(vec![], Target::Drop))]).unwrap();
    assert_eq!(plan.steps().len(), 1);
    assert!(!members(&mut plan, "one-1-0-ip"));
}
