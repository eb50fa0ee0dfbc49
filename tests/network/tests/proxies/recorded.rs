//! The recorded cases: the stock driver's commands, given by hand, and ours leave the same behind.

use remotes_network_tests::{By, Case, ProxyState, by_hand, recorded_script, sh};

use super::{CLEAN, PRE, act, by_each_way, expected, host};

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

#[test]
fn bridge_pre() {
    let Some(expected) = expected() else { return };
    by_each_way(move |by, nft| {
        let case = Case::read(PRE).by(by);
        let mut grounds = case.prepare();
        let outcome = act(&mut grounds, &case);
        assert_eq!(ProxyState::now(), expected, "{by:?}: {outcome:?}");
        assert_eq!(nft.told(), recorded_script(&case.text("after/commands.txt")), "{by:?}");
        assert_eq!(grounds.daemon_calls(), ["start", "reload"], "{by:?}");
        // What of the configuration has no effect is said, as the stock driver does.
        let warned: Vec<&String> = outcome.log.iter().filter(|line| line.starts_with("Warning: tproxy: ")).collect();
        assert!(warned.len() == 1 && warned[0].contains("service_port 5030 leads to 10.11.12.13:5030"), "{outcome:?}");
    });
}

#[test]
fn bridge_clean() {
    by_each_way(|by, nft| {
        by_hand(&Case::read(PRE).text("after/commands.txt"));
        assert!(!ProxyState::now().is_empty());
        let (case, before) = (Case::read(CLEAN).by(by), nft.told().len());
        let mut grounds = case.prepare();
        let outcome = act(&mut grounds, &case);
        let now = ProxyState::now();
        assert!(now.is_empty() && now.links.is_empty(), "{by:?}: {now:?} {outcome:?}");
        let recorded = recorded_script(&case.text("after/commands.txt"));
        assert_eq!(sorted(nft.told()[before..].to_vec()), sorted(recorded), "{by:?}");
        assert_eq!(grounds.daemon_calls(), ["start", "reload"], "{by:?}");
    });
}

/// What OpenNebula's own driver left when it was killed after any of its commands, ours completes, and removes.
#[test]
fn what_the_stock_driver_left_half_made_is_completed() {
    let Some(expected) = expected() else { return };
    let commands = Case::read(PRE).text("after/commands.txt");
    let lines: Vec<&str> = commands.lines().collect();
    // A bridge that is there is taken as it is, by the stock driver and by ours.
    let first = lines.iter().position(|line| line.starts_with("sudo ip link set br0 up")).unwrap();
    let ends: Vec<usize> = (first..lines.len()).filter(|at| lines[*at].starts_with("sudo ip")).collect();
    for end in ends {
        let (half, expected) = (lines[..=end].join("\n"), expected.clone());
        remotes_network_tests::proxied(move |_| {
            by_hand(&half);
            let mut grounds = host(By::Own);
            assert_eq!(ProxyState::now(), expected, "after\n{half}");
            act(&mut grounds, &Case::read(CLEAN));
            assert!(ProxyState::now().is_empty(), "after\n{half}");
        });
        let half = lines[..=end].join("\n");
        remotes_network_tests::proxied(move |_| {
            by_hand(&half);
            let case = Case::read(CLEAN);
            act(&mut case.prepare(), &case);
            let now = ProxyState::now();
            assert!(now.links.is_empty() && now.is_empty(), "after\n{half}: {now:?}");
        });
    }
}

/// The daemon's process keeps a namespace whose name somebody removed, and the port's other end in it.
#[test]
fn a_namespace_that_lost_its_name_is_made_again() {
    let Some(expected) = expected() else { return };
    by_each_way(move |by, _| {
        let mut grounds = host(by);
        let namespace = std::fs::File::open("/run/netns/one_tproxy_br0").unwrap();
        sh("ip netns delete one_tproxy_br0");
        act(&mut grounds, &Case::read(PRE).by(by));
        drop(namespace);
        assert_eq!(ProxyState::now(), expected, "{by:?}");
    });
}

#[test]
fn again_changes_nothing() {
    by_each_way(|by, _| {
        let mut grounds = host(by);
        let before = ProxyState::now();
        act(&mut grounds, &Case::read(PRE).by(by));
        assert_eq!(ProxyState::now(), before, "{by:?}");
        for _ in 0..2 {
            act(&mut grounds, &Case::read(CLEAN).by(by));
            let now = ProxyState::now();
            assert!(now.is_empty() && now.links.is_empty(), "{by:?}: {now:?}");
        }
    });
}

/// As `ip netns add` leaves it when it is killed before there is a namespace.
#[test]
fn a_name_without_a_namespace_is_no_hindrance() {
    let Some(expected) = expected() else { return };
    by_each_way(move |by, _| {
        std::fs::write("/run/netns/one_tproxy_br0", "").unwrap();
        let _grounds = host(by);
        assert_eq!(ProxyState::now(), expected, "{by:?}");
    });
}
