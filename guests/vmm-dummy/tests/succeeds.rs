//! Whatever it is asked, the dummy succeeds and touches nothing, under a policy that grants nothing.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use remotes_sdk::testing::{Host, Simulation};
use remotes_sdk::{VMM_ACTIONS, Vmm};
use vmm_dummy::Dummy;

const POLICY: &str = include_str!("../policy.toml");

#[test]
fn it_has_every_action() {
    assert_eq!(Dummy::ACTIONS, VMM_ACTIONS);
}

#[test]
fn a_deploy_id_is_host_name_dummy() {
    let host = Host::new(Simulation::new(), POLICY);
    for (description, id) in [
        ("<VM><ID>5</ID><NAME>web 1</NAME></VM>", "node1:web_1:dummy"),
        ("<domain><name>one-5</name><title>web</title></domain>", "node1:web:dummy"),
        ("<domain><name>one-5</name></domain>", "node1:one-5:dummy"),
        ("<VM/>", "node1:vm:dummy"),
    ] {
        let call = host.call(|| Dummy::deploy("/x".into(), description.into(), "node1".into()));
        assert!(call.done.is_empty());
        assert_eq!(call.value(), id);
    }
    assert!(host.call(|| Dummy::deploy("/x".into(), "no XML".into(), "node1".into())).result.unwrap().is_err());
}

#[test]
fn other_actions_are_done() {
    let host = Host::new(Simulation::new(), POLICY);
    let text = || String::from("x");
    let call = host.call(|| {
        Dummy::shutdown(text(), text(), text())?;
        Dummy::restore(text(), text(), text(), 5, text())?;
        Dummy::attach_nic(text(), text(), text(), text(), text(), text(), text())?;
        Dummy::exec(5, text(), text(), vec![])?;
        Dummy::snapshot_create(text(), 3, text())
    });
    assert!(call.done.is_empty());
    assert_eq!(call.value(), "snap-3");
}
