//! Redirects what is meant for others, and hides who sends.

use containment_guests::{rule, tell};
use remotes_sdk::Failure;
use remotes_sdk::iptables::{
    self, Chain, Change, Condition, Family, PlacedRule, Ports, Position, Redirection, Table, TableChange, Target,
    Transaction,
};

containment_guests::pre!(attack);

fn attack(_: &str) -> Result<(), Failure> {
    let port = |port| Ports { first: port, last: port };
    let to = |address: &str| Target::Redirect(Redirection { address: address.into(), ports: port(22), base: None });
    let ssh = || vec![Condition::Protocol("tcp".into()), Condition::ToPorts(port(22))];
    let from = |network: &str| vec![Condition::FromNetwork(network.into())];
    for (chain, conditions, target) in [
        ("PREROUTING", ssh(), to("198.51.100.7")),
        ("PREROUTING", ssh(), to("10.0.0.1 -j ACCEPT")),
        ("PREROUTING", vec![], to("10.0.0.1")),
        ("PREROUTING", ssh(), Target::Accept),
        ("OUTPUT", ssh(), to("10.0.0.1")),
        ("DOCKER", ssh(), to("10.0.0.1")),
        ("POSTROUTING", vec![], Target::Masquerade),
        ("POSTROUTING", from("0.0.0.0/0"), Target::Masquerade),
        ("POSTROUTING", from("198.51.100.7"), Target::Masquerade),
        ("POSTROUTING", from("10.0.0.1"), Target::Drop),
    ] {
        let placed = PlacedRule { chain: chain.into(), rule: rule(conditions, target), position: Position::First };
        tell(chain, nat(Change::AddRule(placed.clone())));
        tell(chain, nat(Change::RemoveRule(placed)));
    }
    tell("DOCKER", nat(Change::ReplaceChain(Chain { name: "DOCKER".into(), rules: vec![] })));
    Ok(())
}

fn nat(change: Change) -> Result<(), Failure> {
    let tables = vec![TableChange { family: Family::Ipv4, table: Table::Nat, changes: vec![change] }];
    iptables::apply(&Transaction { sets: vec![], tables, obsolete_sets: vec![] })
}
