//! What is missing is said before anything is made, and where something stands in the way, it stays.

use remotes_network_tests::scene::Machine;
use remotes_network_tests::{By, Case, Grounds, ProxyState, proxied, sh};

use super::{CLEAN, PRE, act};

/// The failure of the recorded `pre`, after which there is nothing of a proxy.
fn refusal(grounds: &mut Grounds, case: &Case) -> String {
    let outcome = grounds.call(case.driver(), case.call());
    let Some(Err(failure)) = outcome.result else { panic!("{outcome:?}") };
    let now = ProxyState::now();
    assert!(now.is_empty() && now.links.len() == 1, "{now:?}");
    failure.message
}

#[test]
fn a_daemon_that_is_not_there() {
    for by in [By::Own, By::Stock] {
        proxied(move |_| {
            let case = Case::read(PRE).by(by);
            let mut grounds = case.prepare();
            let program = grounds.scripts().join("tproxy");
            std::fs::remove_file(&program).unwrap();
            let message = refusal(&mut grounds, &case);
            assert!(message.starts_with(program.to_str().unwrap()), "{message}");
            assert!(message.contains("install it, or take `tproxy` out of OpenNebulaNetwork.conf"), "{message}");
        });
    }
}

#[test]
fn a_daemon_that_root_has_not_named_or_that_others_can_write() {
    proxied(|_| {
        let case = Case::read(PRE).by(By::Server);
        let mut grounds = case.prepare();
        let (bounds, program) = ["remotes-net.toml", "tproxy"].map(|name| grounds.sudo().unwrap().beside(name)).into();
        sh(&format!("chmod o+w {}", program.display()));
        let message = refusal(&mut grounds, &case);
        assert!(message.contains("others can write it") && message.contains("`program` under [tproxy]"), "{message}");
        std::fs::remove_file(bounds).unwrap();
        let message = refusal(&mut grounds, &case);
        assert!(message.contains("program = \"/PATH\"") && message.contains("doc/remotes/adoption.md"), "{message}");
    });
}

#[test]
fn a_helper_that_sudoers_needs() {
    proxied(|_| {
        let case = Case::read(PRE).by(By::Stock);
        let mut grounds = case.prepare();
        std::fs::remove_file(grounds.scripts().join("ip_netns_exec")).unwrap();
        assert!(refusal(&mut grounds, &case).contains("ip_netns_exec: is not there"));
    });
}

#[test]
fn a_bridge_whose_name_is_too_long() {
    proxied(|_| {
        let case = Case::read(PRE);
        let mut grounds = case.prepare();
        let long = Machine { bridge: "onebr.123456789", ..Machine::new(7, "bridge") };
        let outcome = grounds.call("bridge", long.call("pre"));
        let Some(Err(failure)) = outcome.result else { panic!("{outcome:?}") };
        assert!(failure.message.contains("has 15 characters"), "{failure}");
        // There can be none to take down.
        long.act(&mut grounds, "clean");
        assert!(ProxyState::now().links.is_empty());
    });
}

#[test]
fn a_link_of_others_under_the_ports_name() {
    for (made, word) in [
        ("ip link add br0b type vxlan id 7 dstport 4789", "is of kind \"vxlan\""),
        (
            "ip link add br1 type bridge; ip link add br0b type veth peer name x; ip link set br0b master br1",
            "is a port of bridge br1",
        ),
    ] {
        proxied(move |_| {
            sh(made);
            let case = Case::read(PRE);
            let mut grounds = case.prepare();
            let before = ProxyState::now();
            let outcome = grounds.call(case.driver(), case.call());
            let Some(Err(failure)) = outcome.result else { panic!("{outcome:?}") };
            assert!(failure.message.contains(word), "{failure}");
            let mut now = ProxyState::now();
            now.links.remove("br0");
            assert_eq!(now, before);
        });
    }
}

/// Where this kernel is not such a one, there is nothing to see.
#[test]
fn a_kernel_that_knows_no_bridges_by_name() {
    proxied(|nft| {
        if nft.is_whole() {
            return;
        }
        let case = Case::read(PRE);
        let mut grounds = case.prepare();
        nft.step_aside();
        let outcome = grounds.call(case.driver(), case.call());
        let Some(Err(failure)) = outcome.result else { panic!("{outcome:?}") };
        assert!(
            failure.message.contains("Operation not supported") && failure.message.contains("nft_meta_bridge"),
            "{failure}"
        );
        assert_eq!(grounds.daemon_calls(), [""; 0]);
        act(&mut grounds, &Case::read(CLEAN));
        assert!(ProxyState::now().is_empty());
    });
}

/// A daemon that fails is an error, and what was made is completed or removed by the next action.
#[test]
fn a_daemon_that_fails() {
    proxied(|_| {
        let case = Case::read(PRE);
        let mut grounds = case.prepare();
        let program = grounds.scripts().join("tproxy");
        let good = std::fs::read_to_string(&program).unwrap();
        std::fs::write(&program, "#!/bin/sh\necho no ruby here >&2\nexit 3\n").unwrap();
        let outcome = grounds.call(case.driver(), case.call());
        let Some(Err(failure)) = outcome.result else { panic!("{outcome:?}") };
        assert!(failure.message.contains("start the daemon") && failure.message.contains("no ruby here"), "{failure}");
        std::fs::write(&program, good).unwrap();
        act(&mut grounds, &case);
        act(&mut grounds, &Case::read(CLEAN));
        assert!(ProxyState::now().is_empty());
    });
}
