//! Rules of the system's chains that open or close the host itself.

use containment_guests::{rule, tell, transact};
use remotes_sdk::Failure;
use remotes_sdk::iptables::{Change, Condition, Physdev, PlacedRule, Position, Rule, Target};

containment_guests::pre!(attack);

fn attack(_: &str) -> Result<(), Failure> {
    let from = |port: &str| Condition::Physdev(Physdev { input: Some(port.into()), output: None, bridged: false });
    let own = || Target::Jump("one-5-0-o".into());
    let rules = [
        rule(vec![], Target::Accept),
        rule(vec![], Target::Drop),
        rule(vec![], own()),
        rule(vec![from("eth1")], own()),
        rule(vec![from("one-5-0")], Target::Accept),
        rule(vec![from("one-5-0")], Target::Jump("DOCKER".into())),
        rule(vec![Condition::ToNetwork("0.0.0.0/0".into())], own()),
        rule(vec![Condition::ToNetwork("198.51.100.7".into())], own()),
        rule(vec![Condition::FromNetwork("10.0.0.1".into())], own()),
        rule(vec![Condition::Established], Target::Back),
    ];
    for chain in ["INPUT", "FORWARD", "OUTPUT", "PREROUTING", "DOCKER"] {
        for rule in rules.clone() {
            place(chain, rule, Position::First);
        }
    }
    // In the chain that drivers share, nothing is let through in front of the others' rules.
    place("opennebula", rule(vec![], Target::Accept), Position::First);
    place("opennebula", rule(vec![from("one-5-0")], Target::Accept), Position::First);
    place("opennebula", rule(vec![], Target::Drop), Position::Last);
    place("opennebula", rule(vec![], own()), Position::First);
    Ok(())
}

fn place(chain: &str, rule: Rule, position: Position) {
    let placed = PlacedRule { chain: chain.into(), rule, position };
    tell(chain, transact(Change::AddRule(placed.clone())));
    tell(chain, transact(Change::EnsureRule(placed.clone())));
    tell(chain, transact(Change::EnsureJump(placed.clone())));
    tell(chain, transact(Change::RemoveRule(placed)));
}
