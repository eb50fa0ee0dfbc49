//! A chain of its own that leads to chains of others and looks into their sets.

use containment_guests::{rule, tell, transact};
use remotes_sdk::Failure;
use remotes_sdk::iptables::{Chain, Change, Condition, SetLookup, Side, Target};

containment_guests::pre!(attack);

fn attack(_: &str) -> Result<(), Failure> {
    for name in ["DOCKER", "INPUT", "opennebula", "LOG", "DNAT", "one-5-0-o -m comment", ""] {
        let rules = vec![rule(vec![], Target::Jump(name.into()))];
        tell(name, transact(Change::ReplaceChain(Chain { name: "one-5-0-i".into(), rules })));
    }
    for name in ["docker-set", "", "one-5\n"] {
        let lookup = SetLookup { name: name.into(), sides: vec![Side::Source], inverted: false };
        let rules = vec![rule(vec![Condition::Lookup(lookup)], Target::Back)];
        tell(name, transact(Change::ReplaceChain(Chain { name: "one-5-0-i".into(), rules })));
    }
    let rules = vec![rule(vec![], Target::Masquerade)];
    tell("masquerade", transact(Change::ReplaceChain(Chain { name: "one-5-0-i".into(), rules })));
    Ok(())
}
