//! Ports that cannot be told, or not be closed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use remotes_effect::vnm::Call;
use remotes_network_tests::{Case, State, isolated, sh};

/// The recorded machine with other ports outside.
fn with(case: &Case, range: &str) -> String {
    let vm = case.text("vm.xml").trim_end().to_owned();
    let other = vm.replace("<![CDATA[9000:9099]]></EXTERNAL", &format!("<![CDATA[{range}]]></EXTERNAL"));
    assert_ne!(vm, other);
    other
}

/// Whatever becomes of the ports, the machine's rules go with it.
#[test]
fn clean_removes_the_rules_whatever_becomes_of_the_ports() {
    isolated(|| {
        let case = Case::read("59-nodeport-clean");
        let mut grounds = case.prepare();
        assert!(State::now().iptables.contains("one-70-0-i"));
        let outcome = grounds.call("nodeport", Call::Clean { vm: with(&case, "x:9099"), host: "node1".into() });
        assert!(matches!(outcome.result, Some(Ok(_))), "{outcome:?}");
        let warned = |line: &String| line.starts_with("Warning: NIC 0: not all of its ports are closed: port \"x\"");
        assert!(outcome.log.iter().any(warned), "{outcome:?}");
        let now = State::now();
        assert!(!now.iptables.contains("one-70-0") && !now.ip6tables.contains("one-70-0"), "{}", now.iptables);
        assert_eq!(now.ipset, "");
    });
}

/// A step that fails is no reason to leave the next one out.
#[test]
fn clean_closes_what_it_can() {
    isolated(|| {
        let case = Case::read("59-nodeport-clean");
        let mut grounds = case.prepare();
        let vm = case.text("vm.xml").trim_end().replace("<![CDATA[10.70.0.254]]>", "<![CDATA[10.70.0.0/24]]>");
        let outcome = grounds.call("nodeport", Call::Clean { vm, host: "node1".into() });
        assert!(matches!(outcome.result, Some(Ok(_))), "{outcome:?}");
        assert!(outcome.log.iter().any(|line| line.contains("links.remove-proxy: 10.70.0.0/24")), "{outcome:?}");
        let now = State::now();
        assert!(!now.iptables.contains("DNAT") && !now.iptables.contains("one-70-0"), "{}", now.iptables);
        assert_eq!(sh("ip -4 route show"), "");
    });
}

/// Ports are opened by `post`, and it is `post` that fails where they cannot be.
#[test]
fn post_alone_fails_where_ports_cannot_be_told() {
    isolated(|| {
        let case = Case::read("58-nodeport-post");
        let mut grounds = case.prepare();
        let vm = with(&case, "9000:x");
        let outcome = grounds.call("nodeport", Call::Pre { vm: vm.clone() });
        assert!(matches!(outcome.result, Some(Ok(_))), "{outcome:?}");
        let deploy_id = case.input()["argv"][0].as_str().unwrap().to_owned();
        let outcome = grounds.call("nodeport", Call::Post { vm, deploy_id, host: "node1".into() });
        let Some(Err(failure)) = &outcome.result else { panic!("{outcome:?}") };
        assert!(failure.message.contains("port \"x\""), "{failure}");
        let now = State::now();
        assert!(!now.iptables.contains("DNAT") && now.iptables.contains("-A one-70-0-i -j DROP"), "{}", now.iptables);
    });
}
