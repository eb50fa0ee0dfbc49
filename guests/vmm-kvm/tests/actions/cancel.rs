//! cancel

use remotes_sdk::testing::{Call, Host, State};
use remotes_sdk::{Failure, FailureKind, Vmm};
use vmm_kvm::Kvm;

use crate::fixture::*;

fn cancel(host: &Host) -> Call<()> {
    host.call(|| Kvm::cancel(UUID.into(), "node1".into(), action("", "qcow2")))
}

#[test]
fn the_domain_is_gone_at_once_and_twice_is_fine() {
    let host = host(running(&plain()));
    let call = cancel(&host);
    assert_eq!((call.count("libvirt.destroy"), call.paused()), (1, 0));
    call.value();
    assert_eq!(host.simulation().domains().count(), 0);
    let call = cancel(&host);
    assert_eq!(call.names(), ["libvirt.find", "configuration.get"]);
    call.value();
}

/// Of a clean-up at the destination of a migration that never came to have one.
#[test]
fn without_a_name_there_is_no_machine() {
    let host = host(running(&plain()));
    let call = host.call(|| Kvm::cancel(String::new(), "node1".into(), action("", "qcow2")));
    assert_eq!((call.count("libvirt.find"), call.count("libvirt.destroy")), (0, 0));
    call.value();
    host.call(|| Kvm::shutdown(String::new(), "node1".into(), action("", "qcow2"))).value();
    assert_eq!(host.simulation().domains().count(), 1);
}

#[test]
fn a_paused_domain_goes_too_and_an_inactive_one_stays_defined() {
    let host1 = host(empty().domain(&plain(), State::Paused));
    cancel(&host1).value();
    assert_eq!(host1.simulation().domains().count(), 0);

    let host2 = host(empty().domain(&plain(), State::ShutOff));
    assert_eq!(cancel(&host2).count("libvirt.destroy"), 0);
}

#[test]
fn a_process_that_dies_slowly_is_destroyed_again() {
    let mut simulation = running(&plain());
    for nth in 1..=5 {
        simulation =
            simulation.failing("libvirt.destroy", nth, Failure::failed("Failed to terminate process with SIGKILL"));
    }
    let host = host(simulation);
    let call = cancel(&host);
    assert_eq!((call.count("libvirt.destroy"), call.paused()), (6, 5000));
    call.value();
}

#[test]
fn after_sixty_rounds_it_is_told() {
    let mut simulation = running(&plain());
    for nth in 1..=60 {
        simulation = simulation.failing("libvirt.destroy", nth, Failure::failed("Failed to terminate process"));
    }
    let host = host(simulation);
    let call = cancel(&host);
    assert_eq!(call.count("libvirt.destroy"), 60);
    assert_eq!(call.failure(), &Failure::failed(format!("Could not destroy {UUID}")));
    assert_eq!(call.log(), ["error: Failed to terminate process"]);
}

#[test]
fn a_lost_connection_is_not_a_domain_that_is_gone() {
    let mut simulation = running(&plain());
    for nth in 1..=60 {
        simulation = simulation.failing("libvirt.find", nth, Failure::unavailable("cannot connect"));
    }
    let call = cancel(&host(simulation));
    assert_eq!(call.failure().kind, FailureKind::Unavailable);

    let host = host(running(&plain()).failing("libvirt.find", 1, Failure::unavailable("cannot connect")));
    cancel(&host).value();
    assert_eq!(host.simulation().domains().count(), 0);
}

#[test]
fn a_destroy_whose_answer_is_lost_counts_by_what_it_did() {
    let host = host(running(&plain()).losing("libvirt.destroy", 1, Failure::unknown("connection lost")));
    let call = cancel(&host);
    assert_eq!(call.count("libvirt.destroy"), 1);
    call.value();
}

#[test]
fn a_denial_is_not_tried_again() {
    let host = host(empty().domain(&plain().replace("one-1", "production-db"), State::Running));
    let call = cancel(&host);
    assert_eq!((call.failure().kind, call.paused()), (FailureKind::Denied, 0));
    assert_eq!(host.simulation().domains().count(), 1);
}

#[test]
fn memory_is_compacted_after_it() {
    let host = host(running(&plain()).configuration("CLEANUP_MEMORY_ON_STOP", "yes").tool("sysctl"));
    cancel(&host).value();
    assert_eq!(runs(&host, "sysctl").len(), 1);
}
