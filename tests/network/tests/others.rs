//! Links whose names are granted, and that belong to a bridge of the operator's.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use remotes_effect::{Effect, links};
use remotes_net::Bounds;
use remotes_network_tests::scene::Machine;
use remotes_network_tests::{By, Grounds, State, assert_state, isolated, sh};

/// A host whose only way out is a port of a bridge that no policy names.
const HOST: &str = "ip link add br-mgmt type bridge; ip link add eth1 type veth peer name peer; \
    ip link set eth1 master br-mgmt; ip link set br-mgmt up; ip link set eth1 up";

fn machine(driver: &'static str, more: &str) -> Machine {
    Machine { more: format!("<PHYDEV>eth1</PHYDEV>{more}"), bridge: "onebr5", ..Machine::new(7, driver) }
}

#[test]
fn a_port_of_anothers_bridge_stays_there() {
    for by in By::ALL {
        isolated(move || {
            sh(HOST);
            let mut grounds = Grounds::by(by);
            let outcome = grounds.call("bridge", machine("bridge", "").call("pre"));
            let Some(Err(failure)) = &outcome.result else { panic!("{by:?}: {outcome:?}") };
            assert!(failure.message.contains("link eth1: belongs to br-mgmt"), "{by:?}: {failure}");
            assert_eq!(State::now().links["eth1"]["master"], "br-mgmt", "{by:?}");
            // Where the operator releases it, it is taken.
            sh("ip link set eth1 nomaster");
            machine("bridge", "").act(&mut grounds, "pre");
            assert_eq!(State::now().links["eth1"]["master"], "onebr5", "{by:?}");
        });
    }
}

#[test]
fn a_device_of_anothers_bridge_is_neither_taken_nor_changed_nor_removed() {
    for by in By::ALL {
        isolated(move || {
            sh(HOST);
            sh("ip link set eth1 nomaster; ip link add eth1.5 type vxlan id 5 group 239.0.0.5 dev eth1 dstport 8472; \
                ip link set eth1.5 master br-mgmt up");
            let mut grounds = Grounds::by(by);
            let before = State::now();
            let outcome = grounds.call("vxlan", machine("vxlan", "<VLAN_ID>5</VLAN_ID>").call("pre"));
            let Some(Err(failure)) = &outcome.result else { panic!("{by:?}: {outcome:?}") };
            assert!(failure.message.contains("link eth1.5: belongs to br-mgmt"), "{by:?}: {failure}");
            sh("ip link del onebr5");
            assert_state(&State::now(), &before, &format!("{by:?}"));
        });
    }
}

/// Whatever a client's policy grants, and whether it asks for anybody's leave.
#[test]
fn roots_bounds_keep_it_there_as_well() {
    isolated(|| {
        sh(HOST);
        let bounds = Bounds::read(Path::new("/nonexistent/remotes-net.toml")).unwrap();
        let release = Effect::Links(links::Effect::SetMaster { name: "eth1".into(), master: None });
        let message = bounds.check(&release).unwrap_err().message;
        assert!(message.starts_with("beyond root's bounds: link eth1: belongs to br-mgmt"), "{message}");
        assert!(message.contains("`bridges` under [links] in /nonexistent/remotes-net.toml"), "{message}");
        sh("ip link set eth1 nomaster");
        bounds.check(&release).unwrap();
    });
}
