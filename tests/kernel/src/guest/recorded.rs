//! The recorded cases. Where the recording machine had no such links, the stock drivers' commands are
//! recorded: they are given here, in another namespace, and both must leave the same behind.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use remotes_kernel_tests::FRAMES;
use remotes_network_tests::{
    Case, ProxyState, State, assert_state, by_hand as proxies_by_hand, install_stand_ins, isolated, proxied, sh,
};
use serde_json::Value;

use crate::{frames, host, switch};

/// The drivers whose cases are replayed.
const DRIVERS: [&str; 8] = ["bridge", "fw", "vxlan", "nodeport", "elastic", "802.1Q", "ovswitch", "ovswitch_vxlan"];

/// Bandwidth and hooks are no matter of this kernel's; the other cases differ from those that are
/// replayed in rules alone, and an emulated machine is slow.
const LEFT_OUT: [&str; 12] = [
    "09-fw-post-no-sg",
    "10-fw-post-default-sg",
    "11-fw-post-out-all-only",
    "13-fw-post-icmp",
    "14-fw-post-ipsec",
    "17-fw-post-network-id",
    "19-fw-post-mac-spoofing",
    "21-fw-post-ip-spoofing-v4-only",
    "26-fw-two-vms-post-second",
    "30-fw-attach-nic",
    "33-fw-update-nic-qos",
    "62-fw-post-hooks",
];

/// The case that sets a proxy up.
const PROXY: &str = "63-tproxy-bridge-pre";

type Run = Box<dyn FnOnce() + Send>;

/// All cases by name, each in a network of its own, and what is seen of frames.
pub fn cases() -> Vec<(String, Run)> {
    let golden = Path::new("/golden");
    let mut names: Vec<_> =
        std::fs::read_dir(golden).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| golden.join(name).is_dir() && !LEFT_OUT.contains(&name.as_str()));
    names.sort();
    let cases = names.into_iter().map(|name| (Case::below(golden, &name), name));
    let known = cases.filter(|(case, _)| DRIVERS.contains(&case.driver()));
    let mut runs: Vec<(String, Run)> = known.map(|(case, name)| (name, run(case))).collect();
    let vlan = Case::below(golden, "50-ovswitch-post-vlan");
    runs.push((FRAMES.into(), Box::new(move || switch::alone(move || frames::by_frames(&vlan)))));
    runs
}

fn run(case: Case) -> Run {
    match case.input() {
        input if input["openvswitch"].is_string() => Box::new(move || switch::alone(move || switch::by_switch(&case))),
        _ if case.has_proxies() => Box::new(move || with_proxy(case)),
        input if input["shims"]["ip"].is_object() => Box::new(move || isolated(move || by_commands(case))),
        _ => Box::new(move || isolated(move || by_state(&case))),
    }
}

/// The state after the action is the recorded one.
fn by_state(case: &Case) {
    host::prepare(case);
    let outcome = host::act(case);
    assert_state(&State::now(), &case.after(), &format!("after the action: {}", outcome.stderr));
    case.assert_more();
}

/// The same with transparent proxies: those of the first case are there when the others begin.
fn with_proxy(case: Case) {
    let prior = (case.name() != PROXY).then(|| Case::below(Path::new("/golden"), PROXY).text("after/commands.txt"));
    let by_hand = Arc::new(Mutex::new(None));
    let (seen, recorded, before) = (by_hand.clone(), case.text("after/commands.txt"), prior.clone());
    proxied(move |_| {
        before.iter().for_each(|prior| proxies_by_hand(prior));
        proxies_by_hand(&recorded);
        *seen.lock().unwrap() = Some(ProxyState::now());
    });
    proxied(move |nft| {
        host::prepare(&case);
        install_stand_ins(Path::new("/var/tmp/one/vnm"));
        prior.iter().for_each(|prior| proxies_by_hand(prior));
        let outcome = host::act(&case);
        assert_eq!(Some(ProxyState::now()), by_hand.lock().unwrap().take(), "after the action: {}", outcome.stderr);
        // On this kernel nothing is left out of what was told.
        assert!(nft.is_whole());
    });
}

/// The state after the action is that after the stock driver's commands.
fn by_commands(case: Case) {
    let recorded = case.text("after/commands.txt");
    let by_hand = Arc::new(Mutex::new(None));
    let (seen, case) = (by_hand.clone(), Arc::new(case));
    let other = case.clone();
    isolated(move || {
        links(&other);
        for line in recorded.lines().filter_map(|line| line.strip_prefix("sudo ")) {
            sh(line);
        }
        *seen.lock().unwrap() = Some(everything());
    });
    links(&case);
    let before = everything();
    let outcome = host::act(&case);
    let (now, by_hand) = (everything(), by_hand.lock().unwrap().take().unwrap());
    assert_state(&now.state, &by_hand.state, &format!("after the action: {}", outcome.stderr));
    assert_eq!(now.more, by_hand.more, "after the action: {}", outcome.stderr);
    // Whether the commands changed anything at all: those of a second machine do not.
    assert_eq!(now == before, !case.text("after/commands.txt").contains("sudo "), "{}", outcome.stderr);
}

#[derive(Debug, PartialEq)]
struct Everything {
    state: State,
    /// VLANs of devices, and of ports of bridges
    more: BTreeMap<String, Value>,
}

fn everything() -> Everything {
    let listed: Vec<Value> = serde_json::from_str(&sh("ip -json -details link show")).unwrap();
    let devices = listed.into_iter().filter(|link| link["linkinfo"]["info_kind"] == "vlan");
    let devices = devices.map(|link| (format!("device {}", link["ifname"]), link["linkinfo"]["info_data"].clone()));
    let ports: Vec<Value> = serde_json::from_str(&sh("bridge -json vlan show")).unwrap();
    let ports = ports.into_iter().map(|port| (format!("port {}", port["ifname"]), port["vlans"].clone()));
    Everything { state: State::now(), more: devices.chain(ports).collect() }
}

/// The links that the recorded driver was told of.
fn links(case: &Case) {
    host::prepare(case);
    sh("ip link add eth1 mtu 9000 type dummy; ip link set eth1 up");
    for (bridge, _) in case.links("link show type bridge") {
        sh(&format!(
            "ip link show {bridge} >/dev/null 2>&1 || ip link add {bridge} type bridge; ip link set {bridge} up"
        ));
        for (port, lower) in case.links(&format!("link show master {bridge}")) {
            match lower {
                Some(lower) => {
                    let id = port.rsplit('.').next().unwrap().to_owned();
                    sh(&format!("ip link add link {lower} name {port} type vlan id {id}"));
                }
                None => tap(&port),
            }
            sh(&format!("ip link set {port} master {bridge} up"));
        }
    }
    // The stock driver's trunk filter asks for no list.
    if case.driver() == "bridge" {
        tap("one-1-0");
        sh(
            "ip link add br0 type bridge; ip link set br0 up; ip link set one-1-0 master br0 up; ip link set eth1 master br0",
        );
    }
}

fn tap(name: &str) {
    sh(&format!("ip link show {name} >/dev/null 2>&1 || ip tuntap add dev {name} mode tap"));
}
