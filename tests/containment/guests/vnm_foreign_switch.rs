//! Reaches for bridges, ports and flows of Open vSwitch that are not OpenNebula's, and for functions of cards
//! that are not granted, by their names and by names that tools take for something else.

use containment_guests::tell;
use remotes_sdk::Failure;
use remotes_sdk::openvswitch::{
    self, Action, Backing, Change, Column, Condition, Flow, NewBridge, NewPort, PortColumns, PortName, Setting,
};
use remotes_sdk::sriov::{self, Function, Settings};

containment_guests::pre!(attack);

fn bridge(name: &str, settings: &[(&str, &str)]) -> Change {
    let settings = settings.iter().map(|(name, value)| Setting { name: (*name).into(), value: (*value).into() });
    Change::EnsureBridge(NewBridge { name: name.into(), settings: settings.collect() })
}

fn port(bridge: &str, name: &str, backing: Backing) -> Change {
    Change::EnsurePort(NewPort { bridge: bridge.into(), name: name.into(), backing })
}

fn gone(bridge: &str, name: &str) -> Change {
    Change::RemovePort(PortName { bridge: bridge.into(), name: name.into() })
}

fn set(bridge: &str, name: &str, column: Column) -> Change {
    Change::SetPort(PortColumns { bridge: bridge.into(), name: name.into(), columns: vec![column] })
}

fn flow(conditions: Vec<Condition>) -> Vec<Flow> {
    vec![Flow { table: 0, priority: 65535, conditions, actions: vec![Action::Normal] }]
}

fn attack(_: &str) -> Result<(), Failure> {
    for name in
        ["br-int", "br-ex", "br0 -- emer-reset", "--db=tcp:10.0.0.1:6640", "tcp:10.0.0.1", "unix:x", "@x", "-", ""]
    {
        tell(name, openvswitch::apply(&[bridge(name, &[])]));
        tell(name, openvswitch::apply(&[port(name, "one-8-0", Backing::Link)]));
        tell(name, openvswitch::apply(&[gone(name, "one-8-0")]));
        tell(name, openvswitch::remove_unused_bridge(name, &[]));
        tell(name, openvswitch::flows(name));
        tell(name, openvswitch::replace_flows(name, "one-8-0", &flow(vec![])));
        tell(name, openvswitch::forget_flows(name, 1));
    }
    for name in ["patch-tun", "wg0", "ovsbr0", "one-8-0 -- del-br br-int", "../one-8-0", "@one", "eth1"] {
        tell(name, openvswitch::apply(&[set("ovsbr0", name, Column::Tag(Some(7)))]));
        tell(name, openvswitch::replace_flows("ovsbr0", name, &flow(vec![])));
        tell(name, openvswitch::apply(&[port("ovsbr0", name, Backing::VhostUser)]));
    }
    for name in ["patch-tun", "wg0", "one-8-0 -- del-br br-int"] {
        tell(name, openvswitch::apply(&[port("ovsbr0", name, Backing::Link)]));
        tell(name, openvswitch::apply(&[gone("ovsbr0", name)]));
        tell(name, openvswitch::remove_unused_bridge("ovsbr0", &["eth1".into(), name.into()]));
        // What may be does not happen either, where it comes with what may not.
        tell(name, openvswitch::apply(&[bridge("ovsbr9", &[]), gone("ovsbr0", name)]));
    }
    tell("another machine's", openvswitch::remove_unused_bridge("ovsbr0", &["one-8-0".into()]));
    // It is on another bridge than this.
    tell("moved", openvswitch::apply(&[port("ovsbr0", "one-5-0", Backing::Link)]));
    tell("moved", openvswitch::apply(&[set("ovsbr0", "one-5-0", Column::Tag(None))]));
    tell("moved", openvswitch::apply(&[gone("ovsbr0", "one-5-0")]));
    for (name, value) in [
        ("controller", "tcp:10.0.0.1:6653"),
        ("mirrors", "@m"),
        ("ports", "[]"),
        ("datapath_type", "netdev\" -- del-br br-int"),
        ("other_config:a=b -- del-br br-int", "x"),
        ("other_config", "{}"),
        ("flood_vlans", "1,x"),
    ] {
        tell(name, openvswitch::apply(&[bridge("ovsbr9", &[(name, value)])]));
    }
    for condition in [
        Condition::FromMac("02:00:00:00:00:01,in_port=1".into()),
        Condition::FromMac("02:00:00:00:00:01\ndelete".into()),
        Condition::FromAddress("10.0.0.1".into()),
    ] {
        tell("flow", openvswitch::replace_flows("ovsbr0", "one-8-0", &flow(vec![condition])));
    }
    tell("limit", openvswitch::limit_vlans(2));
    for address in ["../../../etc", "*", "03:10", "", "0000:03:10.2/../x"] {
        tell(address, sriov::find(address));
    }
    let settings = Settings { mac: None, vlan: Some(7), spoof_check: Some(false), trust: Some(true) };
    for (physical, representor) in [("wg0", None), ("-x", None), ("eth1", Some("docker0")), ("eth1 up", None)] {
        let function = Function { physical: physical.into(), index: 0, representor: representor.map(Into::into) };
        tell(physical, sriov::configure(&function, &settings));
        tell(physical, sriov::offload(&function));
    }
    Ok(())
}
