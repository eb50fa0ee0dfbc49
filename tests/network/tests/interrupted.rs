//! An action that is killed before any of its effects, or of the commands that these come to, and called again:
//! the recorded state.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use remotes_network_tests::{By, Case, State, act, assert_state, isolated};

/// Kills until one action came to its end, and says how often.
fn every_time(name: &'static str, by: By, what: &str, kill: impl Fn(u64, &Case) -> bool + Send + Sync + 'static) {
    let (kill, kills) = (Arc::new(kill), Arc::new(AtomicU64::new(0)));
    loop {
        let (done, seen) = (Arc::new(AtomicBool::new(true)), kills.load(Ordering::Relaxed));
        let (kill, flag) = (kill.clone(), done.clone());
        isolated(move || {
            let case = Case::read(name).by(by);
            flag.store(kill(seen, &case), Ordering::Relaxed);
        });
        if done.load(Ordering::Relaxed) {
            println!("{name}: {seen} kills {what}");
            return;
        }
        kills.fetch_add(1, Ordering::Relaxed);
    }
}

/// Before each effect.
fn effects(name: &'static str) {
    every_time(name, By::Own, "before an effect", |index, case| {
        let mut grounds = case.prepare();
        grounds.stop_before(index);
        let first = grounds.call(case.driver(), case.call());
        let again = grounds.call(case.driver(), case.call());
        assert!(matches!(again.result, Some(Ok(_))), "{} after effect {index}: {again:?}", case.name());
        let when = format!("{}, killed before effect {index}: {again:?}", case.name());
        assert_state(&State::now(), &case.after(), &when);
        first.result.is_some()
    });
}

/// Before each command of the way that has most of them: the process is gone, by SIGKILL.
fn commands(name: &'static str) {
    every_time(name, By::Stock, "before a command", |index, case| {
        let mut grounds = case.prepare();
        let locks = tempfile::tempdir().unwrap();
        grounds.share(locks.path());
        let doom = grounds.sudo().unwrap().beside("kill-after");
        std::fs::write(&doom, index.to_string()).unwrap();
        let status = act(case.name(), By::Stock, locks.path(), grounds.sudo()).status().unwrap();
        std::fs::remove_file(&doom).unwrap();
        let again = grounds.call(case.driver(), case.call());
        assert!(matches!(again.result, Some(Ok(_))), "{} after command {index}: {again:?}", case.name());
        let when = format!("{}, killed before command {index} ({status}): {again:?}", case.name());
        assert_state(&State::now(), &case.after(), &when);
        assert!(status.code().is_none_or(|code| code == 0), "{status}");
        status.success()
    });
}

macro_rules! interrupted {
    ($kill:ident: $($test:ident $name:literal,)*) => { $(#[test] fn $test() { super::$kill($name); })* };
}

mod before_effects {
    interrupted! { effects:
        bridge_pre "01-bridge-pre-phydev",
        two_bridges "03-bridge-pre-two-bridges-conf",
        bridge_clean "04-bridge-clean-last",
        bridge_clean_keep_empty "06-bridge-clean-keep-empty",
        fw_pre "08-fw-pre",
        fw_post_tcp_udp_ports "12-fw-post-tcp-udp-ports",
        fw_post "15-fw-post-net",
        fw_post_ipv6 "18-fw-post-ipv6-net",
        fw_post_mac_spoofing "19-fw-post-mac-spoofing",
        fw_post_spoofing "20-fw-post-ip-spoofing",
        fw_post_two_nics "22-fw-post-two-nics",
        fw_post_alias "23-fw-post-alias",
        fw_attach_alias "24-fw-attach-alias",
        fw_detach_alias "25-fw-detach-alias",
        fw_two_vms_post "26-fw-two-vms-post-second",
        fw_two_vms_clean "27-fw-two-vms-clean-first",
        fw_clean "28-fw-clean-last",
        fw_detach_nic "29-fw-detach-nic",
        fw_attach_nic "30-fw-attach-nic",
        fw_post_twice "31-fw-post-twice",
        fw_update_sg "32-fw-update-sg",
        vxlan_pre "35-vxlan-pre-multicast",
        vxlan_pre_evpn "37-vxlan-pre-evpn-local",
        vxlan_clean "39-vxlan-clean-last",
        vxlan_post "40-vxlan-post",
        vxlan_update_nic "41-vxlan-update-nic-vlan",
        vxlan_update_nic_mtu "42-vxlan-update-nic-mtu",
        nodeport_post "58-nodeport-post",
        nodeport_clean "59-nodeport-clean",
        elastic_remote_post "60-elastic-remote-post",
    }
}

// What is killed here is a process, at a third of the cases: each kill costs the action three times.
mod before_commands {
    interrupted! { commands:
        bridge_pre "01-bridge-pre-phydev",
        bridge_clean "04-bridge-clean-last",
        fw_pre "08-fw-pre",
        fw_post_ipv6 "18-fw-post-ipv6-net",
        fw_attach_alias "24-fw-attach-alias",
        fw_detach_alias "25-fw-detach-alias",
        fw_two_vms_clean "27-fw-two-vms-clean-first",
        fw_post_twice "31-fw-post-twice",
        fw_update_sg "32-fw-update-sg",
        vxlan_pre "35-vxlan-pre-multicast",
        vxlan_clean "39-vxlan-clean-last",
        vxlan_update_nic "41-vxlan-update-nic-vlan",
        nodeport_post "58-nodeport-post",
        nodeport_clean "59-nodeport-clean",
    }
}
