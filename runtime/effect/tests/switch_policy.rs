//! What a policy lets through of Open vSwitch and of virtual functions, and that it lets nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use remotes_effect::Effect;
use remotes_effect::openvswitch::{
    Action, Backing, Change, Column, Condition, Effect as Switch, Flow, NewBridge, NewPort, PortColumns, PortName,
    Protocol, Setting,
};
use remotes_effect::policy::Policy;
use remotes_effect::sriov::{Effect as Sriov, Function, Settings};
use remotes_effect::types::FailureKind;

const POLICY: &str = r#"
schema = 1

[openvswitch]
bridges = ["onebr*", "ovsbr[0-9]*"]
uplinks = ["eth*", "bond*"]
ports = ["one-*"]

[sriov]
physical = ["enp*"]
representors = ["enp*_[0-9]*"]
"#;

fn verdict(policy: &str, effect: &Effect) -> Option<FailureKind> {
    Policy::parse(policy, Path::new("policy.toml")).unwrap().check(effect).err().map(|failure| failure.kind)
}

fn apply(change: Change) -> Effect {
    Effect::Openvswitch(Switch::Apply { changes: vec![change] })
}

fn bridge(name: &str, setting: Option<(&str, &str)>) -> Effect {
    let settings = setting.map(|(name, value)| Setting { name: name.into(), value: value.into() });
    apply(Change::EnsureBridge(NewBridge { name: name.into(), settings: settings.into_iter().collect() }))
}

fn plug(bridge: &str, name: &str, backing: Backing) -> Effect {
    apply(Change::EnsurePort(NewPort { bridge: bridge.into(), name: name.into(), backing }))
}

fn unplug(bridge: &str, name: &str) -> Effect {
    apply(Change::RemovePort(PortName { bridge: bridge.into(), name: name.into() }))
}

fn set(bridge: &str, name: &str, column: Column) -> Effect {
    apply(Change::SetPort(PortColumns { bridge: bridge.into(), name: name.into(), columns: vec![column] }))
}

fn unused(name: &str, uplinks: &[&str]) -> Effect {
    let uplinks = uplinks.iter().map(|it| (*it).into()).collect();
    Effect::Openvswitch(Switch::RemoveUnusedBridge { name: name.into(), uplinks })
}

fn flows(bridge: &str, port: &str, conditions: Vec<Condition>) -> Effect {
    let flows = vec![Flow { table: 20, priority: 1, conditions, actions: vec![Action::Normal] }];
    Effect::Openvswitch(Switch::ReplaceFlows { bridge: bridge.into(), port: port.into(), flows })
}

#[test]
fn what_the_drivers_do_is_granted() {
    for effect in [
        Effect::Openvswitch(Switch::Bridges {}),
        bridge("onebr7", Some(("datapath_type", "netdev"))),
        plug("ovsbr0", "eth1", Backing::Link),
        plug("ovsbr0", "eth1.900", Backing::Link),
        plug("ovsbr0", "one-1-0", Backing::VhostUser),
        unplug("ovsbr0", "one-1-0"),
        unplug("ovsbr0", "eth1"),
        set("ovsbr0", "one-1-0", Column::Tag(Some(7))),
        unused("ovsbr0", &["eth1"]),
        flows(
            "ovsbr0",
            "one-1-0",
            vec![Condition::Protocol(Protocol::Ipv4), Condition::FromAddress("10.0.0.1".into())],
        ),
        Effect::Openvswitch(Switch::Flows { bridge: "ovsbr0".into() }),
        Effect::Openvswitch(Switch::ForgetFlows { bridge: "ovsbr0".into(), number: 3 }),
    ] {
        assert_eq!(verdict(POLICY, &effect), None, "{effect:?}");
    }
}

#[test]
fn foreign_bridges_and_ports_are_denied() {
    for effect in [
        bridge("br-int", None),
        bridge("br0", None),
        plug("br-ex", "eth1", Backing::Link),
        plug("ovsbr0", "wg0", Backing::Link),
        plug("ovsbr0", "eth1", Backing::VhostUser),
        unplug("br-int", "one-1-0"),
        unplug("ovsbr0", "tap12"),
        unplug("ovsbr0", "patch-int"),
        set("ovsbr0", "eth1", Column::Tag(Some(7))),
        set("ovsbr0", "ovsbr0", Column::Tag(Some(7))),
        set("br-int", "one-1-0", Column::Tag(Some(7))),
        unused("br-int", &[]),
        unused("ovsbr0", &["one-2-0"]),
        unused("ovsbr0", &["eth1", "tap12"]),
        flows("br-int", "one-1-0", vec![]),
        flows("ovsbr0", "eth1", vec![]),
        flows("ovsbr0", "tap12", vec![]),
        Effect::Openvswitch(Switch::Flows { bridge: "br-int".into() }),
        Effect::Openvswitch(Switch::ForgetFlows { bridge: "br-int".into(), number: 3 }),
        Effect::Openvswitch(Switch::LimitVlans { limit: 2 }),
    ] {
        assert_eq!(verdict(POLICY, &effect), Some(FailureKind::Denied), "{effect:?}");
    }
    let open = POLICY.replace("[sriov]", "vlan-limit = true\n[sriov]");
    assert_eq!(verdict(&open, &Effect::Openvswitch(Switch::LimitVlans { limit: 2 })), None);
}

#[test]
fn one_denied_change_denies_the_transaction() {
    let changes =
        ["one-1-0", "tap12"].map(|port| Change::RemovePort(PortName { bridge: "ovsbr0".into(), name: port.into() }));
    let effect = Effect::Openvswitch(Switch::Apply { changes: changes.into() });
    assert_eq!(verdict(POLICY, &effect), Some(FailureKind::Denied));
}

#[test]
fn what_a_tool_would_take_for_something_else_is_invalid() {
    for effect in [
        bridge("onebr7 -- del-br br-int", None),
        bridge("--db=tcp:10.0.0.1:6640", None),
        bridge("onebr7", Some(("controller", "tcp:10.0.0.1"))),
        bridge("onebr7", Some(("datapath_type", "x\" -- emer-reset"))),
        plug("ovsbr0", "@one-1", Backing::Link),
        plug("ovsbr0", "../x", Backing::VhostUser),
        flows("tcp:10.0.0.1", "one-1-0", vec![]),
        flows("ovsbr0", "one-1-0", vec![Condition::FromMac("02:00:00:00:00:01,in_port=1".into())]),
        flows("ovsbr0", "one-1-0", vec![Condition::FromAddress("10.0.0.1".into())]),
        set("ovsbr0", "one-1-0", Column::Tag(Some(5000))),
        Effect::Openvswitch(Switch::Flows { bridge: "unix:x".into() }),
        Effect::Sriov(Sriov::Find { address: "../../../etc".into() }),
    ] {
        assert_eq!(verdict(POLICY, &effect), Some(FailureKind::Invalid), "{effect:?}");
    }
}

fn function(physical: &str, representor: Option<&str>) -> Function {
    Function { physical: physical.into(), index: 1, representor: representor.map(Into::into) }
}

#[test]
fn functions_of_granted_cards_only() {
    let settings = Settings { mac: None, vlan: Some(7), spoof_check: Some(false), trust: None };
    let configure = |physical: &str, representor: Option<&str>| {
        Effect::Sriov(Sriov::Configure { function: function(physical, representor), settings: settings.clone() })
    };
    assert_eq!(verdict(POLICY, &configure("enp3s0", None)), None);
    assert_eq!(verdict(POLICY, &configure("enp3s0", Some("enp3s0_1"))), None);
    assert_eq!(verdict(POLICY, &Effect::Sriov(Sriov::Find { address: "03:10.2".into() })), None);
    for effect in [
        configure("eth0", None),
        configure("enp3s0", Some("wg0")),
        Effect::Sriov(Sriov::Offload { function: function("eth0", None) }),
        Effect::Sriov(Sriov::Offload { function: function("enp3s0", Some("br0")) }),
    ] {
        assert_eq!(verdict(POLICY, &effect), Some(FailureKind::Denied), "{effect:?}");
    }
    assert_eq!(verdict(POLICY, &configure("-x", None)), Some(FailureKind::Invalid));
}

#[test]
fn without_tables_everything_is_denied() {
    for effect in [
        Effect::Openvswitch(Switch::Bridges {}),
        unplug("ovsbr0", "one-1-0"),
        Effect::Sriov(Sriov::Find { address: "03:10.2".into() }),
    ] {
        assert_eq!(verdict("schema = 1", &effect), Some(FailureKind::Denied), "{effect:?}");
    }
}
