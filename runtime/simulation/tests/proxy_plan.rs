//! A plan of transparent proxies: nothing happens, and the driver sees as if.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use remotes_effect::links::{self, Bridge};
use remotes_effect::tproxy::{Answer as Proxied, Effect as Tproxy, Endpoint};
use remotes_effect::{Answer, Effect, Executor};
use remotes_simulation::{Machine, Network, Plan, Simulation, describe};

fn world() -> Simulation {
    let network =
        Network::default().link("br0", "bridge", None).link("eth1", "", Some("br0")).name("onegate", "10.0.0.7");
    Simulation::new().here(|machine| Machine { network, ..machine })
}

fn ports(plan: &mut Plan<Simulation>, bridge: &str) -> Vec<String> {
    match plan.execute(&Effect::Links(links::Effect::Entries {})) {
        Answer::Links(links::Answer::Entries(Ok(links))) => {
            let ports = links.into_iter().filter(|link| link.master.as_deref() == Some(bridge));
            ports.map(|port| port.name).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_plan_lists_what_would_be_and_changes_nothing() {
    let mut plan = Plan::new(world());
    let ask = Effect::Tproxy(Tproxy::Resolve { name: "onegate".into() });
    assert_eq!(plan.execute(&ask), Answer::Tproxy(Proxied::Resolve(Ok("10.0.0.7".into()))));
    let make = Effect::Links(links::Effect::MakeBridge { bridge: Bridge { name: "br1".into(), settings: vec![] } });
    plan.execute(&make);
    let endpoint = Endpoint { service_port: 5030, remote_address: "10.0.0.7".into(), remote_port: 80 };
    let up = |bridge: &str| Effect::Tproxy(Tproxy::Up { bridge: bridge.into(), endpoints: vec![endpoint.clone()] });
    let down = |bridge: &str| Effect::Tproxy(Tproxy::Down { bridge: bridge.into(), uplinks: vec!["eth1".into()] });
    for effect in [up("br0"), up("br1"), down("br1"), up("br9")] {
        plan.execute(&effect);
    }
    assert_eq!(ports(&mut plan, "br0"), ["eth1", "br0b"]);
    assert_eq!(ports(&mut plan, "br1"), [""; 0]);
    let steps: Vec<String> = plan.steps().iter().map(describe).collect();
    assert_eq!(
        steps,
        [
            "links.make-bridge br1",
            "tproxy.up br0: 5030 to 10.0.0.7:80",
            "tproxy.up br1: 5030 to 10.0.0.7:80",
            "tproxy.down br1"
        ]
    );
}
