//! Has the host's packet filter let through what it would not: by the chain that accepts what is left, and by an
//! address that is the host's own.

use containment_guests::{rule, tell, transact};
use remotes_sdk::Failure;
use remotes_sdk::iptables::{Chain, Change, Condition, Physdev, PlacedRule, Position, Rule, Target};

containment_guests::pre!(attack);

fn attack(_: &str) -> Result<(), Failure> {
    let jump = |chain: &str| Target::Jump(chain.into());
    let bridged = || Condition::Physdev(Physdev { input: None, output: None, bridged: true });
    let to = |address: &str| Condition::ToNetwork(address.into());
    for (chain, rule) in [
        ("FORWARD", rule(vec![], jump("opennebula"))),
        ("FORWARD", rule(vec![bridged()], jump("opennebula"))),
        ("INPUT", rule(vec![bridged()], jump("opennebula"))),
        ("INPUT", rule(vec![to("10.9.9.1")], jump("one-5-0-o"))),
        ("INPUT", rule(vec![bridged(), to("10.9.9.1")], jump("one-5-0-o"))),
    ] {
        place(chain, rule);
    }
    let accepting = || vec![rule(vec![], Target::Accept)];
    tell("accept", transact(Change::ReplaceChain(Chain { name: "one-5-0-o".into(), rules: accepting() })));
    tell("accept", transact(Change::EnsureChain(Chain { name: "one-6-0-o".into(), rules: accepting() })));
    place("one-5-0-o", rule(vec![], Target::Accept));
    Ok(())
}

fn place(chain: &str, rule: Rule) {
    let placed = PlacedRule { chain: chain.into(), rule, position: Position::First };
    tell(chain, transact(Change::AddRule(placed.clone())));
    tell(chain, transact(Change::EnsureRule(placed.clone())));
    tell(chain, transact(Change::EnsureJump(placed)));
}
