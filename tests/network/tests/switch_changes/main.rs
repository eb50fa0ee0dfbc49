//! What no recording has of the drivers of Open vSwitch: two tags, sockets of DPDK, changed uplinks, foreign
//! ports, many at once, and a switch in trouble.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod targets;
mod uplinks;

use std::time::Duration;

use remotes_effect::deadline::Deadline;
use remotes_effect::openvswitch::Change;
use remotes_effect::openvswitch::{Executor as _, NewBridge};
use remotes_effect::types::FailureKind;
use remotes_effect::vnm::Call;
use remotes_network::openvswitch::OpenVswitch;
use remotes_network::privileged::Privileged;
use remotes_network_tests::{Grounds, Outcome, SwitchState, mac, sh, switched, together};
use serde_json::{Value, json};

fn nic(driver: &str, vm: u32, id: u32, network: &str) -> String {
    format!(
        "<NIC><NIC_ID>{id}</NIC_ID><VN_MAD>{driver}</VN_MAD><BRIDGE>ovsbr0</BRIDGE><NETWORK_ID>4</NETWORK_ID>\
        <MAC>{}</MAC><TARGET>one-{vm}-{id}</TARGET>{network}</NIC>",
        mac(vm * 4 + id, 0)
    )
}

fn machine(vm: u32, inner: &str) -> String {
    format!(
        "<VM><ID>{vm}</ID><DEPLOY_ID>one-{vm}</DEPLOY_ID><HISTORY_RECORDS><HISTORY><VM_MAD>kvm</VM_MAD></HISTORY></HISTORY_RECORDS>\
        <TEMPLATE>{inner}</TEMPLATE></VM>"
    )
}

/// A machine with one interface on ovsbr0.
fn simple(driver: &str, vm: u32, network: &str) -> String {
    machine(vm, &nic(driver, vm, 0, network))
}

fn domain(vm: u32, interfaces: u32) -> String {
    let interfaces: String = (0..interfaces)
        .map(|id| {
            format!(
                "<interface type='bridge'><mac address='{}'/><target dev='one-{vm}-{id}'/></interface>",
                mac(vm * 4 + id, 0)
            )
        })
        .collect();
    format!("<domain type='kvm'><name>one-{vm}</name><devices>{interfaces}</devices></domain>")
}

fn pre(vm: String) -> Call {
    Call::Pre { vm }
}

fn post(id: u32, vm: String) -> Call {
    Call::Post { vm, deploy_id: format!("one-{id}"), host: "node1".into() }
}

fn clean(vm: String) -> Call {
    Call::Clean { vm, host: "node1".into() }
}

fn update(id: u32, vm: String) -> Call {
    Call::UpdateNic { vm, deploy_id: format!("one-{id}"), network_id: 4 }
}

fn ok(grounds: &mut Grounds, driver: &str, call: Call) -> Outcome {
    let outcome = grounds.call(driver, call);
    assert!(matches!(outcome.result, Some(Ok(_))), "{outcome:?}");
    outcome
}

const NETDEV: &str = ":arp_cache_poisoning: true\n:ovs_bridge_conf:\n  :datapath_type: netdev\n";

/// A host with these machines' taps plugged in, as libvirt does it.
fn host(machines: &[(u32, u32)]) -> Grounds {
    let mut grounds = Grounds::default();
    grounds.configuration(NETDEV);
    sh("ip link add eth1 type veth peer name eth1p; ip link set eth1 up");
    sh("ovs-vsctl --timeout=20 add-br ovsbr0 -- set bridge ovsbr0 datapath_type=netdev -- add-port ovsbr0 eth1");
    for (vm, interfaces) in machines {
        grounds.domain(&domain(*vm, *interfaces));
        (0..*interfaces).for_each(|id| plug(&format!("one-{vm}-{id}")));
    }
    grounds
}

fn plug(tap: &str) {
    sh(&format!(
        "ip tuntap add dev {tap} mode tap; ip link set {tap} up; ovs-vsctl --timeout=20 add-port ovsbr0 {tap}"
    ));
}

fn unplug(tap: &str) {
    sh(&format!("ovs-vsctl --timeout=20 del-port {tap}; ip link del {tap}"));
}

fn names(state: &SwitchState) -> Vec<String> {
    let bridges = state.database["bridges"].as_array().unwrap().iter();
    let ports = bridges.flat_map(|bridge| bridge["ports"].as_array().unwrap());
    ports.map(|port| port["name"].as_str().unwrap().to_owned()).collect()
}

fn vlans(port: &Value) -> Value {
    json!([port["tag"], port["trunks"], port["vlan_mode"], port["cvlans"], port["other_config"]])
}

#[test]
fn two_tags_come_and_go() {
    switched(|| {
        let mut grounds = host(&[(7, 1)]);
        let network = "<PHYDEV>eth1</PHYDEV><VLAN_ID>42</VLAN_ID><CVLANS>5,7-8</CVLANS><QINQ_TYPE>802.1ad</QINQ_TYPE>";
        for _ in 0..2 {
            ok(&mut grounds, "ovswitch", post(7, simple("ovswitch", 7, network)));
            let state = SwitchState::now();
            assert_eq!(
                vlans(state.port("one-7-0")),
                json!([42, [], "dot1q-tunnel", [5, 7, 8], { "qinq-ethtype": "802.1ad" }])
            );
            assert_eq!(state.database["open_vswitch_other_config"], "{vlan-limit=\"2\"}");
        }
        let update_of = |network: &str, old: &str| {
            machine(7, &format!("{}<VNET_UPDATE>{old}</VNET_UPDATE>", nic("ovswitch", 7, 0, network)))
        };
        let changed = "<PHYDEV>eth1</PHYDEV><VLAN_ID>42</VLAN_ID><CVLANS>9</CVLANS>";
        ok(
            &mut grounds,
            "ovswitch",
            update(7, update_of(changed, "<CVLANS>5,7-8</CVLANS><QINQ_TYPE>802.1ad</QINQ_TYPE>")),
        );
        assert_eq!(
            vlans(SwitchState::now().port("one-7-0")),
            json!([42, [], "dot1q-tunnel", 9, { "qinq-ethtype": "802.1q" }])
        );
        ok(
            &mut grounds,
            "ovswitch",
            update(7, update_of("<PHYDEV>eth1</PHYDEV>", "<CVLANS>9</CVLANS><VLAN_ID>42</VLAN_ID>")),
        );
        assert_eq!(vlans(SwitchState::now().port("one-7-0")), json!([[], [], "trunk", [], {}]));
    });
}

#[test]
fn the_size_of_packets_follows_the_network() {
    switched(|| {
        let mut grounds = host(&[(7, 1)]);
        ok(&mut grounds, "ovswitch", post(7, simple("ovswitch", 7, "<MTU>1400</MTU>")));
        assert_eq!(SwitchState::now().port("one-7-0")["interface"]["mtu_request"], 1400);
        for (mtu, expected) in [("<MTU>1300</MTU>", json!(1300)), ("", json!([]))] {
            let nic = nic("ovswitch", 7, 0, mtu);
            ok(
                &mut grounds,
                "ovswitch",
                update(7, machine(7, &format!("{nic}<VNET_UPDATE><MTU>1400</MTU></VNET_UPDATE>"))),
            );
            assert_eq!(SwitchState::now().port("one-7-0")["interface"]["mtu_request"], expected);
        }
    });
}

#[test]
fn ports_of_dpdk_are_sockets() {
    switched(|| {
        let mut grounds = Grounds::default();
        grounds.domain(
            "<domain type='kvm'><name>one-7</name><devices><interface type='vhostuser'><mac address='02:00:0a:00:00:1c'/>\
            <source type='unix' path='/var/run/one/vhost-socks/one-7-0' mode='server'/></interface></devices></domain>",
        );
        let document = simple("ovswitch", 7, "<BRIDGE_TYPE>openvswitch_dpdk</BRIDGE_TYPE><VLAN_ID>42</VLAN_ID>");
        let outcome = ok(&mut grounds, "ovswitch", pre(document.clone()));
        // This switch was built without DPDK, and says so.
        assert!(outcome.log.iter().any(|line| line.starts_with("Warning: Open vSwitch: 'one-7-0'")), "{outcome:?}");
        let state = SwitchState::now();
        assert_eq!(state.database["bridges"][0]["datapath_type"], "netdev");
        let interface = &state.port("one-7-0")["interface"];
        assert_eq!(interface["type"], "dpdkvhostuserclient");
        assert_eq!(interface["options"], json!({ "vhost-server-path": "/var/run/one/vhost-socks/one-7-0" }));
        assert!(std::path::Path::new("/var/run/one/vhost-socks").is_dir());
        // Flows need a number, and a port that could not be opened has none.
        let failure = grounds.call("ovswitch", post(7, document.clone())).result.unwrap().unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unavailable, "{failure}");
        assert_eq!(SwitchState::now().port("one-7-0")["tag"], 42);
        ok(&mut grounds, "ovswitch", clean(document));
        assert_eq!(names(&SwitchState::now()), ["ovsbr0"]);
    });
}

/// A machine has no port before it starts: flows for another's are nobody's.
#[test]
fn pre_makes_no_flows() {
    switched(|| {
        let mut grounds = host(&[]);
        let alias = "<NIC_ALIAS><NIC_ID>1</NIC_ID><PARENT_ID>0</PARENT_ID><IP>10.0.0.9</IP>\
            <FILTER_IP_SPOOFING>YES</FILTER_IP_SPOOFING><FILTER_MAC_SPOOFING>YES</FILTER_MAC_SPOOFING></NIC_ALIAS>";
        let document = machine(7, &format!("{}{alias}", nic("ovswitch", 7, 0, "<PHYDEV>eth1</PHYDEV>")));
        let before = SwitchState::now();
        ok(&mut grounds, "ovswitch", pre(document));
        assert_eq!(SwitchState::now(), before);
    });
}

#[test]
fn a_machine_without_a_tap_has_nothing_made() {
    switched(|| {
        let mut grounds = host(&[]);
        sh("ovs-vsctl --timeout=20 del-br ovsbr0");
        let failure = grounds.call("ovswitch", post(7, simple("ovswitch", 7, "<PHYDEV>eth1</PHYDEV>"))).result;
        assert_eq!(failure.unwrap().unwrap_err().message, "No tap device found for nic 0");
        assert_eq!(names(&SwitchState::now()), [""; 0]);
    });
}

#[test]
fn vlans_of_a_bridge_are_not_validated() {
    switched(|| {
        let mut grounds = host(&[]);
        let outcome = ok(&mut grounds, "ovswitch", pre(simple("ovswitch", 7, "<CONF>validate_vlan_id=yes</CONF>")));
        assert_eq!(outcome.log, ["Error: VLAN ID validation not supported for OpenvSwitch, skipped."]);
    });
}

#[test]
fn foreign_ports_and_bridges_stay_as_they_are() {
    switched(|| {
        let mut grounds = host(&[(7, 1), (8, 1)]);
        sh("ovs-vsctl --timeout=20 add-br br-int -- set bridge br-int datapath_type=netdev");
        sh("ip tuntap add dev tap1 mode tap; ovs-vsctl --timeout=20 add-port ovsbr0 tap1");
        // A machine whose port somebody moved to a bridge that is not OpenNebula's.
        sh("ovs-vsctl --timeout=20 del-port one-7-0 -- add-port br-int one-7-0");
        let before = SwitchState::now();
        let outcome =
            grounds.call("ovswitch", post(7, simple("ovswitch", 7, "<PHYDEV>eth1</PHYDEV><VLAN_ID>42</VLAN_ID>")));
        assert_eq!(outcome.result.unwrap().unwrap_err().kind, FailureKind::Denied);
        ok(&mut grounds, "ovswitch", clean(simple("ovswitch", 7, "<PHYDEV>eth1</PHYDEV>")));
        let on = |bridge: &str| simple("ovswitch", 7, "<PHYDEV>eth1</PHYDEV>").replace("ovsbr0", bridge);
        for call in [pre(on("br-int")), post(7, on("br-int")), clean(on("br-int"))] {
            let failure = grounds.call("ovswitch", call).result.unwrap().unwrap_err();
            assert_eq!(failure.kind, FailureKind::Denied, "{failure}");
            assert!(failure.message.contains("`bridges` under [openvswitch]"), "{failure}");
        }
        let uplink = simple("ovswitch", 8, "<PHYDEV>wg0</PHYDEV>");
        assert_eq!(grounds.call("ovswitch", pre(uplink)).result.unwrap().unwrap_err().kind, FailureKind::Denied);
        assert_eq!(SwitchState::now(), before);
        // The last of OpenNebula's machines goes; what else is plugged in keeps its bridge.
        unplug("one-8-0");
        ok(&mut grounds, "ovswitch", clean(simple("ovswitch", 8, "<PHYDEV>eth1</PHYDEV>")));
        assert_eq!(names(&SwitchState::now()), ["br-int", "one-7-0", "eth1", "ovsbr0", "tap1"]);
    });
}

#[test]
fn only_what_is_detached_is_unplugged() {
    switched(|| {
        let mut grounds = host(&[(7, 2)]);
        let both = |mark: &str| {
            let second = nic("ovswitch", 7, 1, &format!("<PHYDEV>eth1</PHYDEV>{mark}"));
            machine(7, &(nic("ovswitch", 7, 0, "<PHYDEV>eth1</PHYDEV>") + &second))
        };
        ok(&mut grounds, "ovswitch", post(7, both("")));
        let whole = SwitchState::now();
        for mark in ["NIC_ALIAS", "PCI"] {
            let marked =
                format!("<{mark}><NIC_ID>9</NIC_ID><VN_MAD>ovswitch</VN_MAD><ATTACH>YES</ATTACH></{mark}></TEMPLATE>");
            ok(&mut grounds, "ovswitch", clean(both("").replace("</TEMPLATE>", &marked)));
            assert_eq!(SwitchState::now(), whole, "{mark}");
        }
        // libvirt may have removed the port, or not.
        ok(&mut grounds, "ovswitch", clean(both("<ATTACH>YES</ATTACH>")));
        let state = SwitchState::now();
        assert_eq!(names(&state), ["eth1", "one-7-0", "ovsbr0"]);
        assert!(state.flows["ovsbr0"].iter().all(|flow| !flow.contains("in_port=3")), "{state:?}");
        assert!(state.flows["ovsbr0"].iter().any(|flow| flow.contains("in_port=2")), "{state:?}");
        unplug("one-7-0");
        grounds.configuration(":keep_empty_bridge: true\n");
        ok(&mut grounds, "ovswitch", clean(both("")));
        let state = SwitchState::now();
        assert_eq!((names(&state), state.flows["ovsbr0"].len()), (vec!["eth1".to_owned(), "ovsbr0".to_owned()], 1));
        grounds.configuration("");
        for _ in 0..2 {
            ok(&mut grounds, "ovswitch", clean(both("")));
            assert_eq!(names(&SwitchState::now()), [""; 0]);
        }
    });
}

#[test]
fn many_at_once_end_as_one_after_the_other() {
    switched(|| {
        let vms: Vec<u32> = (100..120).collect();
        let host = host(&[]);
        sh("ovs-vsctl --timeout=20 del-br ovsbr0");
        let network =
            "<PHYDEV>eth1</PHYDEV><VLAN_ID>42</VLAN_ID><IP>10.0.0.7</IP><FILTER_IP_SPOOFING>YES</FILTER_IP_SPOOFING>";
        let at_once = |make: fn(u32, String) -> Call| {
            let start = |vm: &u32| {
                let (vm, mut grounds) = (*vm, host.beside());
                grounds.configuration(NETDEV);
                grounds.domain(&domain(vm, 1));
                Box::new(move || drop(ok(&mut grounds, "ovswitch", make(vm, simple("ovswitch", vm, network)))))
                    as Box<dyn FnOnce() + Send>
            };
            together(vms.iter().map(start).collect());
        };
        at_once(|_, document| pre(document));
        vms.iter().for_each(|vm| plug(&format!("one-{vm}-0")));
        at_once(post);
        let parallel = SwitchState::now();
        sh("ovs-ofctl --timeout=20 del-flows ovsbr0; ovs-ofctl --timeout=20 add-flow ovsbr0 priority=0,actions=NORMAL");
        for vm in &vms {
            let mut grounds = host.beside();
            grounds.configuration(NETDEV);
            grounds.domain(&domain(*vm, 1));
            ok(&mut grounds, "ovswitch", post(*vm, simple("ovswitch", *vm, network)));
        }
        let serial = SwitchState::now();
        assert!(serial == parallel, "{:#?}\n{:#?}", serial.flows, parallel.flows);
        assert_eq!(parallel.flows["ovsbr0"].len(), 1 + 11 * vms.len());
        vms.iter().for_each(|vm| unplug(&format!("one-{vm}-0")));
        at_once(|_, document| clean(document));
        assert_eq!(names(&SwitchState::now()), [""; 0]);
    });
}

#[test]
fn what_a_switch_in_trouble_says() {
    switched(|| {
        let mut grounds = host(&[(7, 1)]);
        let document = || simple("ovswitch", 7, "<PHYDEV>eth1</PHYDEV>");
        ok(&mut grounds, "ovswitch", post(7, document()));
        let before = SwitchState::now();
        // Flows cannot be exchanged in one step: they stay as they are.
        sh("ovs-vsctl --timeout=20 set bridge ovsbr0 protocols=OpenFlow10,OpenFlow13");
        let failure = grounds.call("ovswitch", post(7, document())).result.unwrap().unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unsupported);
        assert!(failure.message.contains("protocols OpenFlow14"), "{failure}");
        assert_eq!(SwitchState::now().flows, before.flows);
        sh("ovs-vsctl --timeout=20 clear bridge ovsbr0 protocols");
        // A bridge whose name a link of another kind has.
        sh("ip link add br7 type bridge");
        let mut switch = OpenVswitch::new(Privileged::own(Deadline::after(Duration::from_secs(60))));
        let ensure = |name: &str| [Change::EnsureBridge(NewBridge { name: name.into(), settings: vec![] })];
        let failure = switch.apply(&ensure("br7")).unwrap_err();
        assert!(failure.message.contains("br7"), "{failure}");
        // The daemon is gone: nobody waits for ever.
        sh("kill $(cat /run/openvswitch/ovs-vswitchd.pid)");
        let mut switch = OpenVswitch::new(Privileged::own(Deadline::after(Duration::from_secs(3))));
        let failure = switch.apply(&ensure("ovsbr9")).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Timeout, "{failure}");
        assert!(failure.message.contains("is ovs-vswitchd running?"), "{failure}");
        sh("kill $(cat /run/openvswitch/ovsdb-server.pid)");
        let mut switch = OpenVswitch::new(Privileged::own(Deadline::after(Duration::from_secs(30))));
        let failure = switch.bridges().unwrap_err();
        assert!(matches!(failure.kind, FailureKind::Unavailable | FailureKind::Timeout), "{failure}");
    });
}
