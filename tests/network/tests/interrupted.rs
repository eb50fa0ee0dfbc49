//! An action that is killed before any of its effects, and called again: the recorded state.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use remotes_network_tests::{Case, State, assert_state, isolated};

fn interrupt(name: &'static str) {
    for index in 0.. {
        let done = Arc::new(AtomicBool::new(true));
        let seen = done.clone();
        isolated(move || {
            let case = Case::read(name);
            let mut grounds = case.prepare();
            grounds.stop_before(index);
            let first = grounds.call(case.driver(), case.call());
            let again = grounds.call(case.driver(), case.call());
            assert!(matches!(again.result, Some(Ok(_))), "{name} after effect {index}: {again:?}");
            assert_state(&State::now(), &case.after(), &format!("{name}, killed before effect {index}: {again:?}"));
            seen.store(first.result.is_some(), Ordering::Relaxed);
        });
        if done.load(Ordering::Relaxed) {
            return;
        }
    }
}

macro_rules! interrupted {
    ($($test:ident $name:literal,)*) => { $(#[test] fn $test() { interrupt($name); })* };
}

interrupted! {
    bridge_pre "01-bridge-pre-phydev",
    two_bridges "03-bridge-pre-two-bridges-conf",
    bridge_clean "04-bridge-clean-last",
    fw_pre "08-fw-pre",
    fw_post "15-fw-post-net",
    fw_post_spoofing "20-fw-post-ip-spoofing",
    fw_post_two_nics "22-fw-post-two-nics",
    fw_attach_alias "24-fw-attach-alias",
    fw_detach_alias "25-fw-detach-alias",
    fw_clean "28-fw-clean-last",
    fw_detach_nic "29-fw-detach-nic",
    fw_attach_nic "30-fw-attach-nic",
    fw_update_sg "32-fw-update-sg",
    vxlan_pre "35-vxlan-pre-multicast",
    vxlan_clean "39-vxlan-clean-last",
    vxlan_post "40-vxlan-post",
    vxlan_update_nic "41-vxlan-update-nic-vlan",
    nodeport_post "58-nodeport-post",
    nodeport_clean "59-nodeport-clean",
}
