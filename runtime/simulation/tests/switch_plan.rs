//! A plan of changes of Open vSwitch and of virtual functions: nothing happens, and the driver sees as if.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use remotes_effect::openvswitch::{
    Action, Answer as Switched, Backing, Change, Column, Effect as Switch, Flow, NewBridge, NewPort, PortColumns,
};
use remotes_effect::sriov::{Effect as Sriov, Function, Settings};
use remotes_effect::{Answer, Effect, Executor};
use remotes_simulation::{Machine, Network, Plan, Simulation, describe};

fn world() -> Simulation {
    let network = Network::default()
        .link("eth1", "", None)
        .link("one-1-0", "tun", None)
        .link("one-2-0", "tun", None)
        .switch_bridge("ovsbr0", &["eth1", "one-1-0"])
        .function("03:10.2", "enp3s0", 1, None);
    Simulation::new().here(|machine| Machine { network, ..machine })
}

fn bridges(plan: &mut Plan<Simulation>) -> Vec<String> {
    match plan.execute(&Effect::Openvswitch(Switch::Bridges {})) {
        Answer::Openvswitch(Switched::Bridges(Ok(bridges))) => {
            let shown = |port: &remotes_effect::openvswitch::Port| format!("{} {:?}", port.name, port.number);
            bridges.iter().flat_map(|it| std::iter::once(it.name.clone()).chain(it.ports.iter().map(shown))).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_plan_leaves_the_switch_alone_and_sees_what_it_would_do() {
    let mut plan = Plan::new(world());
    assert_eq!(bridges(&mut plan), ["ovsbr0", "eth1 Some(1)", "one-1-0 Some(2)"]);
    let port = NewPort { bridge: "ovsbr0".into(), name: "one-2-0".into(), backing: Backing::Link };
    let columns = PortColumns { bridge: "ovsbr0".into(), name: "one-2-0".into(), columns: vec![Column::Tag(Some(7))] };
    let flow = Flow { table: 0, priority: 1, conditions: vec![], actions: vec![Action::Normal] };
    let function = Function { physical: "enp3s0".into(), index: 1, representor: None };
    let settings = Settings { mac: None, vlan: Some(7), spoof_check: Some(true), trust: None };
    for effect in [
        Effect::Openvswitch(Switch::Apply {
            changes: vec![
                Change::EnsureBridge(NewBridge { name: "ovsbr1".into(), settings: vec![] }),
                Change::EnsurePort(port),
                Change::SetPort(columns),
            ],
        }),
        Effect::Openvswitch(Switch::ReplaceFlows {
            bridge: "ovsbr0".into(),
            port: "one-2-0".into(),
            flows: vec![flow],
        }),
        Effect::Openvswitch(Switch::LimitVlans { limit: 2 }),
        Effect::Sriov(Sriov::Find { address: "03:10.2".into() }),
        Effect::Sriov(Sriov::Configure { function, settings }),
        // Fails, as it would: it is not listed.
        Effect::Openvswitch(Switch::ForgetFlows { bridge: "ovsbr9".into(), number: 1 }),
    ] {
        plan.execute(&effect);
    }
    assert_eq!(bridges(&mut plan), ["ovsbr0", "eth1 Some(1)", "one-1-0 Some(2)", "one-2-0 Some(3)", "ovsbr1"]);
    let steps: Vec<String> = plan.steps().iter().map(describe).collect();
    assert_eq!(
        steps,
        [
            "openvswitch.apply have bridge ovsbr1; have port one-2-0 on ovsbr0; one-2-0: tag 7",
            "openvswitch.replace-flows one-2-0 of ovsbr0: 1 flows",
            "openvswitch.limit-vlans 2 tags",
            "sriov.configure 1 of enp3s0 vlan 7 spoofchk on"
        ]
    );
}
