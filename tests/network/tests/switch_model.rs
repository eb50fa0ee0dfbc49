//! The simulated Open vSwitch against the real one: the same effects, the same answers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use remotes_effect::deadline::Deadline;
use remotes_effect::openvswitch::{
    Action, Answer, Backing, Change, Column, Condition, Effect, Ethertype, Executor, Flow, NewBridge, NewPort,
    PortColumns, PortName, Protocol, Setting, VlanMode,
};
use remotes_network::openvswitch::OpenVswitch;
use remotes_network::privileged::Privileged;
use remotes_network_tests::{sh, switched};
use remotes_simulation::{Network, Simulation};

const LINKS: [&str; 3] = ["eth1", "one-1-0", "one-2-0"];

fn apply(changes: Vec<Change>) -> Effect {
    Effect::Apply { changes }
}

fn bridge(name: &str) -> Change {
    let settings = vec![Setting { name: "datapath_type".into(), value: "netdev".into() }];
    Change::EnsureBridge(NewBridge { name: name.into(), settings })
}

fn port(bridge: &str, name: &str) -> Change {
    Change::EnsurePort(NewPort { bridge: bridge.into(), name: name.into(), backing: Backing::Link })
}

fn set(bridge: &str, name: &str, columns: Vec<Column>) -> Change {
    Change::SetPort(PortColumns { bridge: bridge.into(), name: name.into(), columns })
}

fn remove(bridge: &str, name: &str) -> Change {
    Change::RemovePort(PortName { bridge: bridge.into(), name: name.into() })
}

fn unused(name: &str, uplinks: &[&str]) -> Effect {
    Effect::RemoveUnusedBridge { name: name.into(), uplinks: uplinks.iter().map(|it| (*it).into()).collect() }
}

fn flows(port: &str, flows: Vec<Flow>) -> Effect {
    Effect::ReplaceFlows { bridge: "ovsbr0".into(), port: port.into(), flows }
}

fn flow(table: u8, priority: u16, conditions: Vec<Condition>, actions: Vec<Action>) -> Flow {
    Flow { table, priority, conditions, actions }
}

fn forget(number: u32) -> Effect {
    Effect::ForgetFlows { bridge: "ovsbr0".into(), number }
}

fn steps() -> Vec<Effect> {
    let first = vec![
        flow(0, 100, vec![], vec![Action::Note(vec![0, 0, 0, 1, 0, 0]), Action::Resubmit(20)]),
        flow(20, 100, vec![], vec![Action::Normal]),
        flow(
            20,
            45000,
            vec![Condition::Protocol(Protocol::Ipv6), Condition::FromAddress("2001:db8::1".into())],
            vec![],
        ),
        flow(20, 45000, vec![Condition::FromMac("02:00:00:00:00:01".into())], vec![Action::Normal]),
        flow(20, 44000, vec![Condition::Protocol(Protocol::Icmpv6), Condition::IcmpType(135)], vec![Action::Normal]),
    ];
    let second =
        vec![flow(0, 1, vec![Condition::Protocol(Protocol::Arp), Condition::FromAddress("10.0.0.1".into())], vec![])];
    vec![
        apply(vec![bridge("ovsbr0"), port("ovsbr0", "eth1"), port("ovsbr0", "one-1-0")]),
        apply(vec![bridge("ovsbr0"), port("ovsbr0", "eth1")]),
        // One that cannot be takes the whole transaction with it.
        apply(vec![port("ovsbr0", "one-2-0"), set("ovsbr0", "absent", vec![Column::Tag(None)])]),
        apply(vec![port("ovsbr9", "one-2-0")]),
        apply(vec![set(
            "ovsbr0",
            "one-1-0",
            vec![
                Column::Tag(Some(42)),
                Column::Trunks(vec![7]),
                Column::VlanMode(Some(VlanMode::NativeTagged)),
                Column::Mtu(Some(1400)),
            ],
        )]),
        apply(vec![set(
            "ovsbr0",
            "one-1-0",
            vec![
                Column::VlanMode(Some(VlanMode::Dot1qTunnel)),
                Column::Cvlans(vec![5, 6]),
                Column::QinqEthertype(Some(Ethertype::Dot1ad)),
            ],
        )]),
        apply(vec![set(
            "ovsbr0",
            "one-1-0",
            vec![
                Column::Tag(None),
                Column::Trunks(vec![]),
                Column::VlanMode(None),
                Column::Cvlans(vec![]),
                Column::QinqEthertype(None),
                Column::Mtu(None),
            ],
        )]),
        flows("one-1-0", first.clone()),
        flows("one-1-0", first),
        flows("one-1-0", second),
        flows("absent", vec![]),
        forget(2),
        forget(77),
        unused("ovsbr0", &["eth1"]),
        apply(vec![bridge("ovsbr1"), port("ovsbr1", "one-1-0")]),
        apply(vec![bridge("ovsbr1"), port("ovsbr1", "one-2-0")]),
        apply(vec![remove("ovsbr0", "one-2-0")]),
        apply(vec![remove("ovsbr0", "one-1-0"), remove("ovsbr0", "absent")]),
        forget(2),
        unused("ovsbr0", &["eth1"]),
        unused("ovsbr0", &["eth1"]),
        unused("ovsbr1", &[]),
        Effect::Flows { bridge: "ovsbr0".into() },
        Effect::LimitVlans { limit: 2 },
        Effect::LimitVlans { limit: 2 },
    ]
}

/// An answer, or how it failed: the words are each one's own.
fn shown(answer: &Answer) -> String {
    match answer.failure() {
        Some(failure) => format!("{:?}", failure.kind),
        None => format!("{answer:?}"),
    }
}

/// Bridges, and the flows of the first one in an order of their own.
fn state(executor: &mut impl Executor) -> String {
    let bridges = executor.bridges().unwrap();
    let mut flows: Vec<String> =
        executor.flows("ovsbr0").unwrap_or_default().iter().map(|it| format!("{it:?}")).collect();
    flows.sort();
    format!("{bridges:#?}\n{flows:#?}")
}

#[test]
fn the_simulation_answers_as_the_switch() {
    switched(|| {
        let mut network = Network::default();
        for link in LINKS {
            sh(&format!("ip tuntap add dev {link} mode tap; ip link set {link} up"));
            network = network.link(link, "tun", None);
        }
        let mut simulation = Simulation::new().here(|machine| remotes_simulation::Machine { network, ..machine });
        let mut real = OpenVswitch::new(Privileged::own(Deadline::after(Duration::from_secs(120))));
        for (number, step) in steps().iter().enumerate() {
            let answers = [Executor::execute(&mut simulation, step), Executor::execute(&mut real, step)];
            let [simulated, answered] = answers.map(|answer| shown(&answer));
            assert_eq!(simulated, answered, "step {number}: {step:?}");
            let (simulated, there) = (state(&mut simulation), state(&mut real));
            assert!(simulated == there, "after step {number}, {step:?}:\n{simulated}\n{there}");
        }
    });
}
