//! What machines send that the host routes: whether their groups' rules and filters hold for it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::UdpSocket;
use std::time::Duration;

use remotes_network_tests::scene::Machine;
use remotes_network_tests::{By, Elsewhere, Grounds, State, isolated, mac, sh};

/// It may send to port 80, and from no address but its own.
const RULES: &str = "<SECURITY_GROUP_RULE><PROTOCOL>UDP</PROTOCOL><RANGE>80</RANGE><RULE_TYPE>OUTBOUND</RULE_TYPE>\
    <SECURITY_GROUP_ID>0</SECURITY_GROUP_ID></SECURITY_GROUP_RULE>";

const OWN: &str = "10.0.0.8";
const OTHER: &str = "10.0.0.77";
const OUTSIDE: &str = "192.168.9.2";

/// A machine on br0, and somebody outside whom it reaches by this host.
fn ends() -> [Elsewhere; 2] {
    sh("ip link set lo up; ip link add br0 type bridge; ip addr add 10.0.0.254/24 dev br0; ip link set br0 up");
    sh("sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1");
    let guest = Elsewhere::default();
    guest.plug("one-7-0", &mac(7, 0));
    let addresses = format!("ip addr add {OWN}/24 dev inner; ip addr add {OTHER}/24 dev inner");
    guest.run(move || sh(&format!("{addresses}; ip route add default via 10.0.0.254"))).join().unwrap();
    let outside = Elsewhere::default();
    sh(&format!("ip link add out0 type veth peer name inner; ip link set inner netns {}", outside.id()));
    sh("ip addr add 192.168.9.1/24 dev out0; ip link set out0 up");
    let up = format!("ip addr add {OUTSIDE}/24 dev inner; ip link set inner up; ip route add default via 192.168.9.1");
    outside.run(move || sh(&up)).join().unwrap();
    [guest, outside]
}

/// What arrives of what it may not send, and what it may, in this order.
fn arrived([guest, outside]: &[Elsewhere; 2], expected: usize) -> Vec<String> {
    let bind = || [53, 80].map(|port| UdpSocket::bind((OUTSIDE, port)).unwrap());
    let [other, allowed] = outside.run(bind).join().unwrap();
    let send = || {
        for (from, port) in [(OWN, 53), (OTHER, 80), (OWN, 80)] {
            let socket = UdpSocket::bind((from, 0)).unwrap();
            socket.send_to(format!("{from} to {port}").as_bytes(), (OUTSIDE, port)).unwrap();
        }
    };
    guest.run(send).join().unwrap();
    let last = format!("{OWN} to 80");
    let receive = |socket: &UdpSocket| {
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8(buffer[..length].to_vec()).unwrap())
    };
    for socket in [&other, &allowed] {
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    }
    let mut all = Vec::new();
    while !all.contains(&last) {
        all.push(receive(&allowed).expect("what it may send"));
    }
    // What has not come before the last one does not come, unless it is waited for.
    other.set_nonblocking(expected == all.len()).unwrap();
    all.extend(receive(&other));
    all.sort();
    all
}

fn sends(by: By, driver: &'static str, file: &'static str, more: &'static str, is_filtered: bool) {
    isolated(move || {
        let ends = ends();
        let machine = Machine { rules: RULES.into(), more: more.into(), ..Machine::new(7, driver) };
        let mut grounds = Grounds::by(by);
        grounds.configuration(file);
        grounds.domain(&machine.domain());
        for _ in 0..2 {
            machine.act(&mut grounds, if driver == "elastic" { "remote_post" } else { "post" });
        }
        let rule = match is_filtered {
            true => "-A opennebula -m physdev --physdev-in one-7-0 -j one-7-0-o\n",
            false => "-A opennebula -m physdev --physdev-in one-7-0 --physdev-is-bridged -j one-7-0-o\n",
        };
        let now = State::now();
        for rules in [&now.iptables, &now.ip6tables] {
            assert_eq!(rules.matches(rule).count(), 1, "{driver} {file:?} {more}: {rules}");
        }
        let all = [format!("{OTHER} to 80"), format!("{OWN} to 53"), format!("{OWN} to 80")];
        let expected = if is_filtered { &all[2..] } else { &all[..] };
        assert_eq!(arrived(&ends, expected.len()), expected, "{driver} {file:?} {more}");
        machine.act(&mut grounds, if driver == "elastic" { "remote_clean" } else { "clean" });
        assert!(!State::now().iptables.contains("one-7"));
    });
}

/// As with the stock drivers, only what passes the bridge meets them, unless the operator wants it otherwise.
#[test]
fn what_is_routed_meets_outbound_rules_where_the_operator_wants_it() {
    const ON: &str = ":routed_outbound_filter: true\n";
    for driver in ["nodeport", "elastic"] {
        sends(By::Own, driver, "", "", false);
        sends(By::Own, driver, ":routed_outbound_filter: false\n", "", false);
        for by in By::ALL {
            sends(by, driver, ON, "", true);
        }
        sends(By::Own, driver, "", "<CONF>routed_outbound_filter=yes</CONF>", true);
        sends(By::Own, driver, "", "<CONF>routed_outbound_filter=no</CONF>", false);
        // A template may have attributes of a network's.
        sends(By::Own, driver, ON, "<CONF>routed_outbound_filter=no</CONF>", true);
    }
}

/// Nor is a machine that nobody reaches by IPv6 free to send by it.
#[test]
fn so_it_does_in_both_families() {
    isolated(|| {
        ends();
        let machine = Machine { rules: RULES.into(), ..Machine::new(7, "nodeport") };
        let vm = machine.document().replace("<IP6_ULA>fd00:0::8</IP6_ULA>", "");
        let mut grounds = Grounds::default();
        grounds.domain(&machine.domain());
        for (file, is_filtered) in [(":routed_outbound_filter: true\n", true), ("", false)] {
            grounds.configuration(file);
            let call = remotes_effect::vnm::Call::UpdateSg { vm: vm.clone(), deploy_id: "one-7".into() };
            let outcome = grounds.call("nodeport", call);
            assert!(matches!(outcome.result, Some(Ok(_))), "{outcome:?}");
            let rules = State::now().ip6tables;
            for rule in
                ["-A opennebula -m physdev --physdev-in one-7-0 -j one-7-0-o\n", "-A INPUT -m physdev --physdev-in"]
            {
                assert_eq!(rules.contains(rule), is_filtered, "{rules}");
            }
        }
    });
}
