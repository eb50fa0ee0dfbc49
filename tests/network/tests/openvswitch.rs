//! The drivers of Open vSwitch on a switch of the test's own: recorded cases, repeated, on damaged ground,
//! and killed before every effect.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use remotes_network_tests::{By, Case, State, SwitchState, assert_state, isolated, sh, switched};

fn recorded(name: &str) -> SwitchState {
    SwitchState::recorded(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../golden/vnm").join(name).join("after"))
}

/// What is there now is what was recorded.
fn assert_recorded(name: &str, case: &Case, when: &str) {
    let (now, expected) = (SwitchState::now(), recorded(name));
    assert_eq!(now.database, expected.database, "database {when}");
    assert_eq!(now.flows, expected.flows, "flows {when}");
    assert_state(&State::now(), &case.after(), when);
}

fn replay(name: &'static str) {
    By::ALL.into_iter().for_each(|by| replay_by(name, by));
}

fn replay_by(name: &'static str, by: By) {
    switched(move || {
        let case = Case::read(name).by(by);
        let mut grounds = case.prepare();
        for time in ["after the action", "after the second time"] {
            let outcome = grounds.call(case.driver(), case.call());
            assert!(matches!(&outcome.result, Some(Ok(text)) if text.is_empty()), "{outcome:?}");
            assert_recorded(name, &case, &format!("{by:?}, {time}: {outcome:?}"));
        }
        let refused = grounds.sudo().map(|sudo| sudo.refused()).unwrap_or_default();
        assert_eq!(refused, "", "beyond the stock sudoers rules");
    });
}

fn interrupt(name: &'static str) {
    for index in 0.. {
        let done = Arc::new(AtomicBool::new(true));
        let seen = done.clone();
        switched(move || {
            let case = Case::read(name);
            let mut grounds = case.prepare();
            grounds.stop_before(index);
            let first = grounds.call(case.driver(), case.call());
            let again = grounds.call(case.driver(), case.call());
            assert!(matches!(again.result, Some(Ok(_))), "{name} after effect {index}: {again:?}");
            assert_recorded(name, &case, &format!("killed before effect {index}: {again:?}"));
            seen.store(first.result.is_some(), Ordering::Relaxed);
        });
        if done.load(Ordering::Relaxed) {
            return;
        }
    }
}

macro_rules! cases {
    ($($test:ident $name:literal,)*) => {
        $(#[test] fn $test() { replay($name); })*
        mod killed {
            $(#[test] fn $test() { super::interrupt($name); })*
        }
    };
}

cases! {
    pre "49-ovswitch-pre",
    post_vlan "50-ovswitch-post-vlan",
    post_spoofing "51-ovswitch-post-spoofing",
    post_trunk "52-ovswitch-post-trunk",
    clean_last "53-ovswitch-clean-last",
    update_nic "54-ovswitch-update-nic",
    vxlan_pre "56-ovswitch-vxlan-pre",
    vxlan_clean "57-ovswitch-vxlan-clean",
}

/// What made the device was killed, or somebody took it down.
#[test]
fn a_vxlan_that_is_there_comes_up() {
    for by in By::ALL {
        switched(move || {
            let case = Case::read("56-ovswitch-vxlan-pre").by(by);
            let mut grounds = case.prepare();
            for time in 0..2 {
                let outcome = grounds.call(case.driver(), case.call());
                assert!(matches!(outcome.result, Some(Ok(_))), "{outcome:?}");
                let made = outcome.log.iter().any(|line| line.contains("was made"));
                assert_eq!(made, time == 0, "{outcome:?}");
                if time == 0 {
                    let state = State::now();
                    let vxlan = state.links.values().find(|link| link["kind"] == "vxlan").unwrap();
                    let device = vxlan["ifname"].as_str().unwrap();
                    sh(&format!("ovs-vsctl del-port {device}; ip link set {device} down"));
                }
            }
            // The port has another number now.
            assert_eq!(sh("ovs-vsctl list-ports ovsbr0"), "eth1.900\n");
            assert_state(&State::now(), &case.after(), &format!("{by:?}"));
        });
    }
}

#[test]
fn update_sg_fails_as_recorded() {
    isolated(|| {
        let case = Case::read("55-ovswitch-update-sg");
        for driver in ["ovswitch", "ovswitch_vxlan"] {
            let outcome = case.prepare().call(driver, case.call());
            let failure = outcome.result.unwrap().unwrap_err();
            assert_eq!(failure.message, "Security groups not supported for ovswitch");
            assert_eq!(outcome.log, ["Error: Security groups not supported for ovswitch"]);
        }
        assert_eq!(case.text("after/stderr").trim(), "ERROR: update_sg: Security groups not supported for ovswitch");
    });
}

#[test]
fn post_restores_what_somebody_changed() {
    for damage in [
        "ovs-ofctl del-flows ovsbr0 in_port=1",
        "ovs-ofctl del-flows ovsbr0; ovs-ofctl add-flow ovsbr0 priority=0,actions=NORMAL",
        "ovs-ofctl add-flow ovsbr0 table=20,in_port=1,priority=60000,actions=NORMAL",
        "ovs-ofctl --strict del-flows ovsbr0 table=10,priority=40000,in_port=1",
        "ovs-vsctl set Port one-61-0 vlan_mode=access trunks=7 -- set Interface one-61-0 mtu_request=1400",
    ] {
        switched(move || {
            let name = "51-ovswitch-post-spoofing";
            let case = Case::read(name);
            let mut grounds = case.prepare();
            for time in 0..2 {
                let outcome = grounds.call(case.driver(), case.call());
                assert!(matches!(outcome.result, Some(Ok(_))), "{outcome:?}");
                if time == 0 {
                    sh(damage);
                }
            }
            assert_recorded(name, &case, damage);
        });
    }
}
