//! reboot and reset

use remotes_sdk::testing::{Simulation, State};
use remotes_sdk::{Failure, FailureKind, Vmm};
use vmm_kvm::Kvm;

use crate::fixture::*;

fn reboot() -> Result<(), Failure> {
    Kvm::reboot(UUID.into(), "node1".into(), action("", "qcow2"))
}

fn reset() -> Result<(), Failure> {
    Kvm::reset(UUID.into(), "node1".into(), action("", "qcow2"))
}

#[test]
fn each_is_one_call() {
    let host = host(running(&plain()));
    let call = host.call(reboot);
    assert_eq!(call.names(), ["libvirt.reboot"]);
    call.value();
    let call = host.call(reset);
    assert_eq!(call.names(), ["libvirt.reset"]);
    call.value();
    let simulation = host.simulation();
    let domain = simulation.here.find("one-1").unwrap();
    assert_eq!((domain.reboots, domain.resets, domain.state), (1, 1, State::Running));
}

#[test]
fn libvirts_words_go_to_the_log_and_one_line_to_the_user() {
    let host = host(empty());
    let call = host.call(reboot);
    assert_eq!(call.failure(), &Failure::not_found(format!("Could not reboot domain {UUID}")));
    assert_eq!(call.log(), [format!("error: Domain not found: no domain with matching uuid '{UUID}'")]);
    let call = host.call(reset);
    assert_eq!(call.failure().message, format!("Could not reset domain {UUID}"));
}

#[test]
fn other_peoples_domains_are_out_of_reach() {
    let foreign = plain().replace("one-1", "production-db");
    let host = host(empty().domain(&foreign, State::Running));
    assert_eq!(host.call(reboot).failure().kind, FailureKind::Denied);
    assert_eq!(host.simulation().here.find("production-db").unwrap().reboots, 0);
}

#[test]
fn an_empty_policy_allows_nothing() {
    let host = remotes_sdk::testing::Host::new(Simulation::new().domain(&plain(), State::Running), "schema = 1");
    let call = host.call(reboot);
    assert_eq!(call.failure().kind, FailureKind::Denied);
    assert!(call.log()[0].contains("[libvirt]"), "{:?}", call.log());
}
