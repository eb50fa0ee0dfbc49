//! Rules of security groups that the stock driver cannot make.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use remotes_effect::vnm::Call;
use remotes_network_tests::scene::Machine;
use remotes_network_tests::{By, Grounds, State, isolated, sh};

fn rule(protocol: &str, more: &str) -> String {
    format!(
        "<SECURITY_GROUP_RULE><PROTOCOL>{protocol}</PROTOCOL><RULE_TYPE>INBOUND</RULE_TYPE>{more}\
        <SECURITY_GROUP_ID>0</SECURITY_GROUP_ID></SECURITY_GROUP_RULE>"
    )
}

/// The state after `post`, and after `clean`, of a machine with these rules in a group of this number.
fn made(by: By, vm: u32, group: u32, rules: &str, check: impl Fn(&State) + Send + 'static) {
    let machine = Machine { rules: rules.to_owned(), ..Machine::new(vm, "fw") };
    isolated(move || {
        sh("ip link add br0 type bridge; ip link set br0 up");
        let mut grounds = Grounds::by(by);
        machine.plug();
        grounds.domain(&machine.domain());
        let vm = machine
            .document()
            .replace("<SECURITY_GROUPS>0<", &format!("<SECURITY_GROUPS>{group}<"))
            .replace("<SECURITY_GROUP_ID>0<", &format!("<SECURITY_GROUP_ID>{group}<"));
        let post = Call::Post { vm: vm.clone(), deploy_id: format!("one-{}", machine.id), host: "node1".into() };
        let outcome = grounds.call("fw", post);
        assert!(matches!(outcome.result, Some(Ok(_))), "{by:?}: {outcome:?}");
        check(&State::now());
        let outcome = grounds.call("fw", Call::Clean { vm, host: "node1".into() });
        assert!(matches!(outcome.result, Some(Ok(_))), "{by:?}: {outcome:?}");
        let now = State::now();
        assert!(!now.iptables.contains("one-") && now.ipset.is_empty(), "{by:?}: {}{}", now.iptables, now.ipset);
    });
}

/// One rule names fifteen ports at most, and a range counts for two.
#[test]
fn many_ports_are_several_rules() {
    let ports: Vec<String> =
        (0..14).map(|n| (1000 + 2 * n).to_string()).chain(["2000:2010".into(), "3000".into()]).collect();
    for by in By::ALL {
        let range = format!("<RANGE>{}</RANGE>", ports.join(","));
        let rules = [ports[..14].join(","), ports[14..].join(",")];
        made(by, 7, 0, &rule("TCP", &range), move |state| {
            for ports in &rules {
                let rule = format!("-A one-7-0-i -p tcp -m multiport --dports {ports} -j RETURN\n");
                assert!(state.iptables.contains(&rule) && state.ip6tables.contains(&rule), "{}", state.iptables);
            }
        });
    }
}

/// The kernel's names of sets have 31 characters.
#[test]
fn long_names_of_sets_end_in_a_sum() {
    for by in By::ALL {
        let networks = "<IP>10.0.0.0</IP><IP6_ULA>fd00::</IP6_ULA><SIZE>4</SIZE>";
        let rules = rule("TCP", networks) + &rule("UDP", networks);
        made(by, 65535, 1_000_000_000, &rules, |state| {
            let names: Vec<&str> =
                state.ipset.lines().filter_map(|line| line.strip_prefix("create ")?.split(' ').next()).collect();
            assert_eq!(names.len(), 4 + 2, "two rules in two families, and two of spoofing: {names:?}");
            for name in names.iter().filter(|name| !name.ends_with("-spoofing")) {
                assert!(name.len() <= 31 && name.starts_with("one-65535-0-"), "{name}");
                let rule = format!("--match-set {name} src -j RETURN\n");
                assert!(state.iptables.contains(&rule) || state.ip6tables.contains(&rule), "{name}");
            }
        });
    }
}

/// An address has no types of the other family's ICMP.
#[test]
fn types_of_icmp_let_nothing_of_the_other_family_through() {
    for by in By::ALL {
        let networks = "<IP>10.0.0.0</IP><IP6_ULA>fd00::</IP6_ULA><SIZE>1</SIZE>";
        let rules = rule("ICMP", &format!("<ICMP_TYPE>8</ICMP_TYPE>{networks}"))
            + &rule("ICMPv6", &format!("<ICMPV6_TYPE>128</ICMPV6_TYPE>{networks}"));
        made(by, 7, 0, &rules, |state| {
            let members = |set: &str| -> Vec<&str> {
                let set = format!("add one-7-0-0-i-{set} ");
                state.ipset.lines().filter_map(|line| line.strip_prefix(&set)).collect()
            };
            assert_eq!(members("ni"), ["10.0.0.0,icmp:echo-request"], "{}", state.ipset);
            assert_eq!(members("ni6"), ["fd00::,ipv6-icmp:echo-request"], "{}", state.ipset);
        });
    }
}

/// Templates tell a value that is empty from one that is absent, and what is empty lets nothing through.
#[test]
fn what_is_empty_lets_nothing_through() {
    const EMPTY: &str = "<![CDATA[]]>";
    for by in By::ALL {
        let networks = "<IP>10.0.0.0</IP><SIZE>4</SIZE>";
        let rules = rule("TCP", &format!("<IP>{EMPTY}</IP>"))
            + &rule("UDP", &format!("<IP6>fd00::</IP6><SIZE>{EMPTY}</SIZE>"))
            + &rule("TCP", &format!("<RANGE>{EMPTY}</RANGE>{networks}"));
        made(by, 7, 0, &rules, |state| {
            let inbound = |rules: &str| -> Vec<String> {
                let lines = rules.lines().filter(|line| line.starts_with("-A one-7-0-i") && line.ends_with("RETURN"));
                lines.filter(|line| !line.contains("--state") && !line.contains("icmp")).map(str::to_owned).collect()
            };
            let ports = "-A one-7-0-i -m set --match-set one-7-0-0-i-nr-inet src,dst -j RETURN";
            assert_eq!((inbound(&state.iptables), inbound(&state.ip6tables)), (vec![ports.to_owned()], vec![]));
            assert!(!state.ipset.contains("add one-7-0-0-i-nr-inet"), "{}", state.ipset);
        });
    }
}

/// What a rule must have is not made up: the machine is closed.
#[test]
fn a_rule_that_lacks_something_closes_the_machine() {
    let whole = rule("TCP", "");
    for (without, word) in [
        (whole.replace("<PROTOCOL>TCP</PROTOCOL>", ""), "PROTOCOL"),
        (whole.replace(">TCP<", "><![CDATA[]]><"), "PROTOCOL"),
        (whole.replace("<RULE_TYPE>INBOUND</RULE_TYPE>", ""), "RULE_TYPE"),
    ] {
        let machine = Machine { rules: without, ..Machine::new(7, "fw") };
        isolated(move || {
            sh("ip link add br0 type bridge; ip link set br0 up");
            let mut grounds = Grounds::by(By::Own);
            machine.plug();
            grounds.domain(&machine.domain());
            let outcome = grounds
                .call("fw", Call::Post { vm: machine.document(), deploy_id: "one-7".into(), host: "node1".into() });
            let Some(Err(failure)) = &outcome.result else { panic!("{outcome:?}") };
            assert!(failure.message.contains(&format!("a rule has no {word}")), "{failure}");
            let rules = State::now().iptables;
            assert!(rules.contains("-A one-7-0-i -j DROP\n-A one-7-0-o -j DROP\n"), "{rules}");
        });
    }
}
