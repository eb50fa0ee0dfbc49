//! What the configuration says, and when a proxy goes.

use remotes_network_tests::scene::Machine;
use remotes_network_tests::{By, Case, Grounds, ProxyState, proxied, sh, together};

use super::{CLEAN, PRE, act, by_each_way, expected, host};

/// A host with these lines of OpenNebulaNetwork.conf.
fn configured(text: &str) -> Grounds {
    let grounds = Grounds::by(By::Own).with_proxies();
    grounds.configuration(text);
    grounds
}

const ONE: &str = ":tproxy:\n- :service_port: 5030\n  :remote_addr: 127.0.0.1\n  :remote_port: 80\n";

#[test]
fn each_driver_with_bridges_has_them() {
    for driver in ["bridge", "fw", "nodeport", "elastic", "vxlan"] {
        proxied(move |_| {
            sh("ip link add eth1 type veth peer name other; ip link set eth1 up");
            let mut grounds = configured(ONE);
            let more = "<PHYDEV>eth1</PHYDEV><VLAN_ID>7</VLAN_ID>".into();
            let machine = Machine { more, ..Machine::new(7, driver) };
            machine.act(&mut grounds, "pre");
            let now = ProxyState::now();
            assert_eq!(now.namespaces.keys().collect::<Vec<_>>(), ["one_tproxy_br0"], "{driver}");
            assert!(now.rules.contains("5030 : 127.0.0.1 . 80"), "{driver}: {}", now.rules);
            assert_eq!(now.links["br0b"]["master"], "br0");
            // Of these two, others clean up on the host, and leave the bridge.
            if !["nodeport", "elastic"].contains(&driver) {
                machine.act(&mut grounds, "clean");
                let now = ProxyState::now();
                assert!(now.is_empty() && !now.links.contains_key("br0"), "{driver}: {now:?}");
            }
        });
    }
}

#[test]
fn a_bridge_that_is_kept_loses_its_proxy_with_its_last_machine() {
    for (driver, more) in [("bridge", ""), ("vxlan", "<PHYDEV>eth1</PHYDEV><VLAN_ID>7</VLAN_ID>")] {
        proxied(move |_| {
            sh("ip link add eth1 type veth peer name other; ip link set eth1 up");
            let mut grounds = configured(&format!(":keep_empty_bridge: true\n{ONE}"));
            let first = Machine { more: more.into(), ..Machine::new(7, driver) };
            let second = Machine { id: 8, ..first.clone() };
            first.act(&mut grounds, "pre");
            first.plug();
            second.plug();
            first.unplug(0);
            first.act(&mut grounds, "clean");
            assert!(!ProxyState::now().is_empty(), "{driver}: another machine uses it");
            second.unplug(0);
            second.act(&mut grounds, "clean");
            let now = ProxyState::now();
            assert!(now.is_empty() && now.links.contains_key("br0"), "{driver}: {now:?}");
        });
    }
}

/// The operator took the list out of the file while a machine ran.
#[test]
fn a_proxy_that_is_not_configured_any_more_goes_with_the_last_machine() {
    proxied(|_| {
        let mut grounds = host(By::Own);
        grounds.configuration(":vlan_mtu: 1500\n");
        act(&mut grounds, &Case::read(CLEAN));
        let now = ProxyState::now();
        assert!(now.is_empty() && now.links.is_empty(), "{now:?}");
    });
}

#[test]
fn names_are_looked_up_and_what_cannot_be_is_left_out() {
    proxied(|_| {
        let entry = |port: &str, host: &str, networks: &str| {
            format!("- :service_port: {port}\n  :remote_addr: {host}\n  :remote_port: '80'\n  :networks: {networks}\n")
        };
        let text = [
            entry("5030", "no-such-host.invalid", "[]"),
            entry("5030", "localhost", "[0]"),
            entry("70000", "localhost", "[]"),
            entry("5031", "127.0.0.2", "[other]"),
            entry("5032", "\"127.0.0.1 . 22}; flush ruleset; #\"", "[]"),
            entry("5033", "fd00::1", "[]"),
            "- 5034\n".to_owned(),
        ];
        let mut grounds = configured(&format!(":tproxy:\n{}", text.concat()));
        let machine = Machine::new(7, "bridge");
        let outcome = grounds.call("bridge", machine.call("pre"));
        assert!(matches!(outcome.result, Some(Ok(_))), "{outcome:?}");
        let now = ProxyState::now();
        assert!(now.rules.contains("elements = { 5030 : 127.0.0.1 . 80 }"), "{}", now.rules);
        let warned = outcome.log.iter().filter(|line| line.starts_with("Warning: tproxy: ")).count();
        assert_eq!(warned, 5, "{outcome:?}");
        // None that can be is none.
        sh("ip link del br0");
        let mut none = configured(&format!(":tproxy:\n{}", text[0]));
        Machine { bridge: "br1", ..machine }.act(&mut none, "pre");
        assert!(ProxyState::now().links.contains_key("br1"));
        assert_eq!(none.daemon_calls(), [""; 0]);
    });
}

/// Drivers whose locks are different ones, on one bridge.
#[test]
fn many_at_once_end_as_one_after_the_other() {
    let Some(expected) = expected() else { return };
    proxied(move |_| {
        sh(
            "ip link add eth1 type veth peer name other; ip link set eth1 up; ip link add br0 type bridge; ip link set br0 up",
        );
        let first = Case::read(PRE).grounds();
        let text = Case::read(PRE).text("OpenNebulaNetwork.conf");
        let each = |action: &'static str| {
            let start = |id: u32| {
                let mut grounds = first.beside().with_proxies();
                grounds.configuration(&text);
                let more = "<PHYDEV>eth1</PHYDEV><NETWORK>net-br0</NETWORK><VLAN_ID>7</VLAN_ID>".into();
                let machine = Machine { more, ..Machine::new(id, ["bridge", "vxlan"][id as usize % 2]) };
                Box::new(move || machine.act(&mut grounds, action)) as Box<dyn FnOnce() + Send>
            };
            together((1..9).map(start).collect());
        };
        each("pre");
        let now = ProxyState::now();
        assert_eq!((now.namespaces, now.rules), (expected.namespaces, expected.rules));
        // The bridge itself has the size of packets that the smallest of its ports has.
        assert_eq!(now.links["br0b"], expected.links["br0b"]);
        each("clean");
        assert!(ProxyState::now().is_empty());
    });
}

/// The runtime kills what programs leave running in their group, where a daemon is for a moment.
#[test]
fn a_daemon_goes_on_when_its_starter_has_ended() {
    const DAEMON: &str =
        "#!/bin/sh\n[ $1 = start ] || exit 0\nsleep 300 >/dev/null 2>&1 </dev/null &\necho $! >\"${0%/*}/pid\"\n";
    by_each_way(|by, _| {
        let case = Case::read(PRE).by(by);
        let mut grounds = case.prepare();
        let folder = match by {
            By::Server => grounds.sudo().unwrap().folder().to_owned(),
            By::Own | By::Stock => grounds.scripts(),
        };
        std::fs::write(folder.join("tproxy"), DAEMON).unwrap();
        act(&mut grounds, &case);
        let id: i32 = std::fs::read_to_string(folder.join("pid")).unwrap().trim().parse().unwrap();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), nix::sys::signal::Signal::SIGKILL);
        // Sleeping, or about to: one that was killed is dead or gone.
        let alive = ["State:\tS", "State:\tR", "State:\tD"].iter().any(|state| status.contains(state));
        assert!(alive, "{by:?}: {status}");
    });
}
