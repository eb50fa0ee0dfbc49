//! Open vSwitch with its switching in the kernel. The recording machine's was in userspace; what the drivers
//! leave is the same but for that.

use std::path::Path;

use remotes_network_tests::{Case, State, SwitchState, assert_state, sh, switched, wait_for};
use serde_json::Value;

use crate::host;

/// The link that stands for all of the kernel's switching.
const DATAPATH: &str = "ovs-system";

/// Runs a case with a switch of its own.
pub fn alone(case: impl FnOnce() + Send + 'static) {
    // Open vSwitch 3.1 counts processors anew when ten seconds have passed since the last time, which at first
    // is the machine's start: earlier than that it finds none, and has no thread that the kernel could ask.
    wait_for("the machine is up for ten seconds", || uptime() > 10.0);
    switched(case);
}

fn uptime() -> f64 {
    let text = std::fs::read_to_string("/proc/uptime").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

/// The switch is as it was recorded.
pub fn by_switch(case: &Case) {
    host::prepare(case);
    let outcome = host::act(case);
    let when = format!("after the action: {}", outcome.stderr);
    let (now, expected) = (SwitchState::now(), recorded(&case.folder().join("after")));
    assert_eq!(now.database, expected.database, "database {when}");
    assert_eq!(now.flows, expected.flows, "flows {when}");
    assert_state(&State::now(), &links(case.after(), &expected), &when);
    let bridges = expected.database["bridges"].as_array().unwrap().len();
    assert_eq!(in_kernel(), bridges > 0, "{when}");
}

/// Whether the switch that the daemon has is one of the kernel's: it names what it works with.
///
/// # Panics
/// Where there is another one.
pub fn in_kernel() -> bool {
    let shown = sh("ovs-appctl --timeout=20 dpif/show");
    let heads: Vec<&str> = shown.lines().filter(|line| !line.starts_with(' ')).collect();
    assert!(heads.iter().all(|line| line.starts_with("system@ovs-system:")), "{shown}");
    !heads.is_empty()
}

fn recorded(folder: &Path) -> SwitchState {
    let mut recorded = SwitchState::recorded(folder);
    for bridge in recorded.database["bridges"].as_array_mut().unwrap() {
        assert_eq!(bridge["datapath_type"], "netdev");
        bridge["datapath_type"] = "system".into();
    }
    recorded
}

/// The recorded links, as they are where the kernel has the ports: it says so of each, and those of bridges
/// are of its own kind in place of being taps.
fn links(mut recorded: State, switch: &SwitchState) -> State {
    if let Some(mut link) = recorded.links.remove("ovs-netdev") {
        link["ifname"] = DATAPATH.into();
        link["kind"] = "openvswitch".into();
        recorded.links.insert(DATAPATH.into(), link);
    }
    for port in switch.database["bridges"].as_array().unwrap().iter().flat_map(ports) {
        let link = recorded.links.get_mut(port["name"].as_str().unwrap()).unwrap();
        match port["interface"]["type"] == "internal" {
            true => link["kind"] = "openvswitch".into(),
            false => link["master"] = DATAPATH.into(),
        }
    }
    recorded
}

fn ports(bridge: &Value) -> &[Value] {
    bridge["ports"].as_array().unwrap()
}
