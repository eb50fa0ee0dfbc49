//! Interfaces whose taps are hard to tell, or not there.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use remotes_effect::vnm::Call;
use remotes_network_tests::scene::{Machine, jumps};
use remotes_network_tests::{By, Grounds, State, isolated, mac, sh};

/// A machine of two interfaces with one address, the first of them with this target.
fn twins(target: &str) -> String {
    let document = Machine::new(7, "fw").nics(2).document().replace(&mac(7, 1), &mac(7, 0));
    document.replace("<NIC_ID>0</NIC_ID>", &format!("<NIC_ID>0</NIC_ID>{target}"))
}

/// Its domain, with these taps.
fn domain(taps: [&str; 2]) -> String {
    let interface =
        |tap| format!("<interface type='bridge'><mac address='{}'/><target dev='{tap}'/></interface>", mac(7, 0));
    format!("<domain type='kvm'><name>one-7</name><devices>{}</devices></domain>", taps.map(interface).concat())
}

fn host(by: By, taps: [&str; 2]) -> Grounds {
    sh("ip link add br0 type bridge; ip link set br0 up");
    for tap in taps {
        sh(&format!("ip tuntap add dev {tap} mode tap; ip link set {tap} master br0 up"));
    }
    let mut grounds = Grounds::by(by);
    grounds.domain(&domain(taps));
    grounds
}

fn post(vm: String) -> Call {
    Call::Post { vm, deploy_id: "one-7".into(), host: "node1".into() }
}

/// What is sent by this tap, and to it, meets the chains of this interface.
fn assert_filtered(state: &State, tap: &str, nic: u32) {
    let chain = format!("one-7-{nic}");
    for rules in [&state.iptables, &state.ip6tables] {
        let ends = [format!("-A {chain}-i -j DROP\n"), format!("-A {chain}-o -j DROP\n")];
        for rule in jumps(tap, &chain).into_iter().chain(ends) {
            assert!(rules.contains(&rule), "no {rule}{rules}");
        }
    }
}

#[test]
fn interfaces_of_one_address_are_told_by_their_names() {
    for by in By::ALL {
        for (target, taps) in [
            ("", ["one-7-0", "one-7-1"]),
            ("<TARGET>one-7-0</TARGET>", ["one-7-0", "one-7-1"]),
            ("<TARGET>one-web</TARGET>", ["one-web", "one-7-1"]),
        ] {
            for order in [taps, [taps[1], taps[0]]] {
                isolated(move || {
                    let mut grounds = host(by, order);
                    let outcome = grounds.call("fw", post(twins(target)));
                    assert!(matches!(outcome.result, Some(Ok(_))), "{outcome:?}");
                    let now = State::now();
                    assert_filtered(&now, taps[0], 0);
                    assert_filtered(&now, taps[1], 1);
                });
            }
        }
    }
}

/// Where the names do not tell them either.
#[test]
fn interfaces_that_cannot_be_told_fail_the_action() {
    isolated(|| {
        let mut grounds = host(By::Own, ["one-x", "one-y"]);
        let outcome = grounds.call("fw", post(twins("")));
        let failure = outcome.result.unwrap().unwrap_err();
        assert_eq!(
            failure.message,
            format!(
                "NIC 0: the hypervisor has several interfaces with the address {} (one-x, one-y), none of which is \
                 called one-7-0; give each interface an address of its own",
                mac(7, 0)
            )
        );
    });
}
