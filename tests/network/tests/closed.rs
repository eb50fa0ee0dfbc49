//! Interfaces whose taps are not known when rules are to be made: after a migration nobody asks how that went.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use remotes_effect::vnm::Call;
use remotes_network_tests::scene::{Machine, jumps};
use remotes_network_tests::{By, Grounds, Outcome, State, assert_state, isolated, mac, sh};
use remotes_simulation::Network;

fn host(by: By) -> Grounds {
    sh("ip link add br0 type bridge; ip link set br0 up");
    Grounds::by(by)
}

fn post(vm: String) -> Call {
    Call::Post { vm, deploy_id: "one-7".into(), host: "node1".into() }
}

/// What the action says that fails.
fn failure(outcome: Outcome) -> String {
    outcome.result.unwrap().unwrap_err().message
}

fn unknown(nic: u32) -> String {
    let mac = mac(7, nic);
    format!("NIC {nic}: the hypervisor has no interface with the address {mac}; is the machine running on this host?")
}

/// Nothing passes by this tap.
fn assert_closed(state: &State, tap: &str, nic: u32) {
    let chain = format!("one-7-{nic}");
    for rules in [&state.iptables, &state.ip6tables] {
        for rule in jumps(tap, &chain) {
            assert!(rules.contains(&rule), "no {rule}{rules}");
        }
        for end in ["i", "o"] {
            let begin = format!("-A {chain}-{end} ");
            let chain: Vec<&str> = rules.lines().filter(|line| line.starts_with(&begin)).collect();
            assert_eq!(chain, [format!("{begin}-j DROP")], "{rules}");
        }
    }
}

/// The lines that are about one interface.
fn of_nic(state: &State, nic: u32) -> Vec<String> {
    let all = [&state.iptables, &state.ip6tables, &state.ipset];
    let lines = all.into_iter().flat_map(|text| text.lines());
    lines.filter(|line| line.contains(&format!("one-7-{nic}"))).map(str::to_owned).collect()
}

#[test]
fn what_is_not_known_of_one_interface_is_no_matter_of_the_others() {
    for by in By::ALL {
        isolated(move || {
            let mut grounds = host(by);
            let (one, two) = (Machine::new(7, "fw"), Machine::new(7, "fw").nics(2));
            two.plug();
            grounds.domain(&one.domain());
            one.act(&mut grounds, "post");
            let alone = State::now();
            one.act(&mut grounds, "clean");
            for _ in 0..2 {
                assert_eq!(failure(grounds.call("fw", two.call("post"))), unknown(1));
                let now = State::now();
                assert_eq!(of_nic(&now, 0), of_nic(&alone, 0), "{by:?}");
                assert_closed(&now, "one-7-1", 1);
            }
            // Its tap is known by now: whatever comes next gives it its rules.
            let mut later = Grounds::by(by);
            later.domain(&two.domain());
            let attaching = Machine::new(7, "fw").nics(2).attaching(0);
            attaching.act(&mut later, "post");
            let attached = State::now();
            two.act(&mut later, "update_sg");
            assert_eq!(of_nic(&attached, 1).len(), of_nic(&State::now(), 1).len(), "{by:?}");
            assert!(of_nic(&attached, 1).len() > of_nic(&attached, 0).len() / 2, "{by:?}");
            two.act(&mut later, "clean");
            assert_eq!(State::now().ipset, "");
        });
    }
}

/// A tap that comes late meets its rules when it comes.
#[test]
fn a_tap_that_is_not_there_yet_has_its_rules() {
    isolated(|| {
        let mut grounds = host(By::Own);
        let two = Machine::new(7, "fw").nics(2);
        grounds.domain(&two.domain());
        Machine::new(7, "fw").plug();
        let message = failure(grounds.call("fw", two.call("post")));
        assert_eq!(message, "Interface one-7-1 not available to apply SG rules");
        let late = State::now();
        two.plug();
        two.act(&mut grounds, "post");
        let now = State::now();
        assert_eq!((late.iptables, late.ip6tables, late.ipset), (now.iptables, now.ip6tables, now.ipset));
    });
}

/// What has rules keeps them, what has none is closed.
#[test]
fn a_hypervisor_that_does_not_answer_opens_nothing() {
    for (driver, action) in [("fw", "post"), ("fw", "update_sg"), ("vxlan", "post"), ("nodeport", "post")] {
        isolated(move || {
            let mut silent = host(By::Own);
            sh("ip addr add 10.0.0.250/24 dev br0");
            let (one, two) = (Machine::new(7, driver), Machine::new(7, driver).nics(2));
            two.plug();
            let mut grounds = Grounds::default();
            grounds.domain(&one.domain());
            one.act(&mut grounds, action);
            let before = State::now();
            assert_eq!(failure(silent.call(driver, two.call(action))), unknown(0));
            let now = State::now();
            assert_eq!(of_nic(&now, 0), of_nic(&before, 0), "{driver} {action}");
            for rules in [&now.iptables, &now.ip6tables] {
                assert!(rules.contains("-A one-7-1-i -j DROP\n-A one-7-1-o -j DROP\n"), "{driver} {action}: {rules}");
                assert!(rules.contains("-A INPUT -m physdev --physdev-in one-7-1 -j one-7-1-o\n"), "{rules}");
            }
            assert_eq!(failure(silent.call(driver, two.call(action))), unknown(0));
            assert_state(&State::now(), &now, "again");
        });
    }
}

/// Under the name that the template gives it, but never another machine's.
#[test]
fn an_interface_is_closed_under_the_name_that_it_would_have() {
    for (target, name) in
        [("one-7-0", "one-7-0"), ("one-web", "one-web"), ("one-8-0", "one-7-0"), ("one-7-1", "one-7-0")]
    {
        isolated(move || {
            let mut grounds = host(By::Own);
            let more = format!("<TARGET>{target}</TARGET>");
            let machine = Machine { more, ..Machine::new(7, "fw") };
            assert_eq!(failure(grounds.call("fw", machine.call("post"))), unknown(0));
            let now = State::now();
            assert_closed(&now, name, 0);
            assert!(name == target || !now.iptables.contains(target), "{}", now.iptables);
        });
    }
    // A name that the policy does not have is no reason to leave the others out.
    isolated(|| {
        let mut grounds = host(By::Own);
        let vm = Machine::new(7, "fw").nics(3).document();
        let vm = vm.replace("<NIC_ID>0</NIC_ID>", "<NIC_ID>0</NIC_ID><TARGET>eth1</TARGET>");
        grounds.domain(
            &Machine::new(7, "fw").nics(3).domain().replace(&mac(7, 0), &mac(9, 0)).replace(&mac(7, 1), &mac(9, 1)),
        );
        Machine::new(7, "fw").nics(3).plug();
        let outcome = grounds.call("fw", post(vm));
        assert!(
            outcome.log.iter().any(|line| line.starts_with("Error: NIC 0: it is not closed as eth1: ")),
            "{outcome:?}"
        );
        assert_eq!(failure(outcome), unknown(0));
        let now = State::now();
        assert_closed(&now, "one-7-1", 1);
        assert!(of_nic(&now, 2).len() > of_nic(&now, 1).len(), "{}", now.iptables);
    });
}

/// Each of them may be its tap.
#[test]
fn of_taps_that_cannot_be_told_each_is_closed() {
    isolated(|| {
        let mut grounds = host(By::Own);
        let interface =
            |tap| format!("<interface type='bridge'><mac address='{}'/><target dev='{tap}'/></interface>", mac(7, 0));
        let interfaces = ["one-x", "one-y"].map(interface).concat();
        grounds.domain(&format!("<domain type='kvm'><name>one-7</name><devices>{interfaces}</devices></domain>"));
        let message = failure(grounds.call("fw", Machine::new(7, "fw").call("post")));
        assert!(message.contains("has several interfaces with the address"), "{message}");
        let now = State::now();
        assert_closed(&now, "one-x", 0);
        assert_closed(&now, "one-y", 0);
    });
}

/// A tap under a name that the policy does not have: rules for it are denied, and so they are for all in one transaction.
#[test]
fn a_tap_that_is_not_granted_opens_no_other() {
    isolated(|| {
        let mut grounds = host(By::Own);
        let two = Machine::new(7, "fw").nics(2);
        two.plug();
        grounds.domain(&two.domain().replace("one-7-0", "web0"));
        let outcome = grounds.call("fw", two.call("post"));
        assert!(
            outcome.log.iter().any(|line| line.starts_with("Error: NIC 0: it is not closed as web0: ")),
            "{outcome:?}"
        );
        assert!(failure(outcome).contains("port web0: granted are one-*"));
        assert_closed(&State::now(), "one-7-1", 1);
    });
}

/// Which the first step of the action needs as well.
#[test]
fn a_tap_that_is_needed_for_vlans_is_closed_as_well() {
    isolated(|| {
        let mut grounds = host(By::Own);
        let network = Network::default().link("eth1", "", None).link("br0", "bridge", None);
        grounds.simulate_links(network.link("eth1.5", "vlan", Some("br0")));
        let more = "<PHYDEV>eth1</PHYDEV><VLAN_ID>5</VLAN_ID><CVLANS>7</CVLANS>".to_owned();
        let machine = Machine { more, ..Machine::new(7, "802.1Q") };
        assert_eq!(failure(grounds.call("802.1Q", machine.call("post"))), unknown(0));
        assert_closed(&State::now(), "one-7-0", 0);
    });
}
