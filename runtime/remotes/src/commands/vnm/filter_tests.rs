#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

fn lines(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

/// An interface's rules as the drivers make them.
fn rules(entry: &[&str]) -> Rules {
    let chain = |name: &str, rules| ListedChain { name: name.into(), rules: vec!["-j RETURN".into(); rules] };
    Rules {
        chains: vec![chain("one-7-0-i", 3), chain("one-7-0-o", 1)],
        entry: lines(entry),
        forward: lines(&["-m physdev --physdev-is-bridged -j opennebula"]),
        input: lines(&["-m physdev --physdev-in one-7-0 -j one-7-0-o"]),
        bridged: Bridged::All,
    }
}

fn bridged() -> Rules {
    rules(&[
        "-m physdev --physdev-in one-7-0 --physdev-is-bridged -j one-7-0-o",
        "-m physdev --physdev-out one-7-0 --physdev-is-bridged -j one-7-0-i",
        "-j ACCEPT",
    ])
}

fn routed() -> Rules {
    rules(&[
        "-m physdev --physdev-in one-7-0 --physdev-is-bridged -j one-7-0-o",
        "-d 10.0.0.1/32 -j one-7-0-i",
        "-j ACCEPT",
    ])
}

fn of(rules: &Rules) -> Filter {
    Filter::of("one-7-0", Some(rules), Some("br0"))
}

const IN_FORCE: Filter = Filter::InForce { inbound: 3, outbound: 1, host: true, routed_past: false };
/// Where the rule that calls the outbound chain is for bridged packets only.
const PAST: Filter = Filter::InForce { inbound: 3, outbound: 1, host: true, routed_past: true };

#[test]
fn rules_that_nothing_meets_are_not_in_force() {
    assert_eq!(of(&bridged()), IN_FORCE);
    let mut early = bridged();
    early.entry.insert(1, "-j ACCEPT".into());
    assert_eq!(of(&early), Filter::Broken(Broken::Chains));
    let mut gone = bridged();
    gone.chains.pop();
    assert_eq!(of(&gone), Filter::Broken(Broken::Chains));
}

#[test]
fn rules_are_not_in_force_on_a_bridge_whose_packets_do_not_meet_them() {
    let only = |bridges: &[&str]| Bridged::Only(bridges.iter().map(|it| (*it).to_owned()).collect());
    for (only, expected) in [(only(&[]), Filter::Broken(Broken::Unmet)), (only(&["br0", "br1"]), IN_FORCE)] {
        let rules = Rules { bridged: only, ..bridged() };
        assert_eq!(of(&rules), expected);
        assert_eq!(Filter::of("one-7-0", Some(&rules), None), IN_FORCE);
    }
    assert!(Filter::Broken(Broken::Unmet).is_broken());
}

#[test]
fn rules_are_in_force_where_forward_leads_to_them() {
    let forward = |rules: Rules, forward: &[&str]| of(&Rules { forward: lines(forward), ..rules });
    for (rules, expected) in [
        (&[][..], Filter::Broken(Broken::Forward)),
        (&["-i docker0 -j ACCEPT"], Filter::Broken(Broken::Forward)),
        (&["-j DOCKER", "-j DROP"], Filter::Broken(Broken::Taken { rule: 2 })),
        (&["-m physdev --physdev-is-bridged -j ACCEPT", "-j opennebula"], Filter::Broken(Broken::Taken { rule: 1 })),
        (&["-j opennebula", "-j DROP"], IN_FORCE),
    ] {
        assert_eq!(forward(bridged(), rules), expected, "{rules:?}");
    }
    assert_eq!(of(&routed()), Filter::Broken(Broken::OnlyBridged));
    assert_eq!(forward(routed(), &["-j opennebula"]), PAST);
    let also = ["-m physdev --physdev-in one-7-0 -j one-7-0-o", "-d 10.0.0.1/32 -j one-7-0-i", "-j ACCEPT"];
    assert_eq!(forward(rules(&also), &["-j opennebula"]), IN_FORCE);
    assert_eq!(PAST.shown(), "3 rules in, 1 out (not for what this host routes: `routed_outbound_filter`)");
    const BRIDGED: &str = "-m physdev --physdev-is-bridged -j opennebula";
    assert_eq!(forward(routed(), &[BRIDGED, "-j opennebula"]), PAST);
    assert_eq!(forward(routed(), &[BRIDGED, "-j DROP"]), Filter::Broken(Broken::Taken { rule: 2 }));
    assert_eq!(forward(routed(), &["-j ACCEPT", "-j opennebula"]), Filter::Broken(Broken::Taken { rule: 1 }));
}

#[test]
fn what_is_sent_to_the_host_is_filtered_where_input_leads_there() {
    let input = |input: &[&str]| of(&Rules { input: lines(input), ..bridged() });
    let open = Filter::InForce { inbound: 3, outbound: 1, host: false, routed_past: false };
    assert_eq!(input(&[]), open);
    assert_eq!(input(&["-j ACCEPT", "-m physdev --physdev-in one-7-0 -j one-7-0-o"]), open);
    assert_eq!(input(&["-m physdev --physdev-in one-7-0 -j one-7-0-o", "-j ACCEPT"]), IN_FORCE);
    assert!(open.is_broken() && open.shown().starts_with("3 rules in, 1 out; INPUT does not lead there"));
}

#[test]
fn what_is_broken_names_what_to_do() {
    for reason in [Broken::Chains, Broken::Forward, Broken::Taken { rule: 2 }, Broken::OnlyBridged] {
        let shown = Filter::Broken(reason).shown();
        assert!(shown.starts_with("BROKEN: ") && shown.contains("`update_sg` or `post`"), "{shown}");
    }
    let taken = serde_json::to_value(Filter::Broken(Broken::Taken { rule: 2 })).unwrap();
    assert_eq!(taken, serde_json::json!({ "state": "broken", "reason": "taken", "rule": 2 }));
}
