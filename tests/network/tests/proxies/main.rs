//! Transparent proxies on real links, in real namespaces, by each of the ways of changing the network.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod configured;
mod interrupted;
mod packets;
mod recorded;
mod refused;

use std::sync::{Arc, Mutex};

use remotes_network_tests::{By, Case, Grounds, Nft, Outcome, ProxyState, by_hand, proxied};

const PRE: &str = "63-tproxy-bridge-pre";
const CLEAN: &str = "64-tproxy-bridge-clean";

/// Does a recorded case on this host, successfully.
fn act(grounds: &mut Grounds, case: &Case) -> Outcome {
    let outcome = grounds.call(case.driver(), case.call());
    assert!(matches!(outcome.result, Some(Ok(_))), "{} by {:?}: {outcome:?}", case.name(), case.way());
    outcome
}

/// A host on which a bridge and its proxy have been set up, by this way.
fn host(by: By) -> Grounds {
    let case = Case::read(PRE).by(by);
    let mut grounds = case.prepare();
    act(&mut grounds, &case);
    grounds
}

/// Runs a test on a host with transparent proxies, once for each way.
fn by_each_way(test: impl Fn(By, &Nft) + Clone + Send + 'static) {
    for by in By::ALL {
        let test = test.clone();
        proxied(move |nft| test(by, nft));
    }
}

/// What the stock driver's commands of the first case come to; none where this is not root.
fn expected() -> Option<ProxyState> {
    let state = Arc::new(Mutex::new(None));
    let seen = state.clone();
    proxied(move |_| {
        by_hand(&Case::read(PRE).text("after/commands.txt"));
        *seen.lock().unwrap() = Some(ProxyState::now());
    });
    state.lock().unwrap().take()
}
