//! shutdown

use remotes_sdk::testing::{Call, Guest, Host, Reaction, Simulation, State};
use remotes_sdk::{Failure, FailureKind, Vmm};
use vmm_kvm::Kvm;

use crate::fixture::*;

pub fn shutdown(host: &Host) -> Call<()> {
    host.call(|| Kvm::shutdown(UUID.into(), "node1".into(), action("", "qcow2")))
}

fn reacting(power_button: Reaction) -> Simulation {
    running(&plain()).guest("one-1", Guest { power_button, ..Guest::default() })
}

fn gone(host: &Host) -> bool {
    host.simulation().domains().count() == 0
}

#[test]
fn a_quick_guest_costs_no_second() {
    let host = host(reacting(Reaction::AfterPolls(1)));
    let call = shutdown(&host);
    assert!(call.paused() < 1000, "{}", call.paused());
    call.value();
    assert!(gone(&host));
}

#[test]
fn a_guest_that_is_just_going_is_let_go() {
    let going = || Failure::failed("Requested operation is not valid: domain is not running");
    let host = host(reacting(Reaction::AfterPolls(3)).losing("libvirt.shutdown", 1, going()));
    shutdown(&host).value();
    assert!(gone(&host));
    // One that says so and stays is a failure.
    let host = self::host(reacting(Reaction::Ignores).failing("libvirt.shutdown", 1, going()));
    assert_eq!(shutdown(&host).failure().message, format!("Could not shutdown {UUID}"));
    assert!(!gone(&host));
}

#[test]
fn a_domain_that_is_gone_is_success() {
    let call = shutdown(&host(empty()));
    assert_eq!(call.names(), ["libvirt.find"]);
    call.value();
}

#[test]
fn a_domain_that_is_defined_but_not_active_is_gone() {
    let host = host(empty().domain(&plain(), State::ShutOff));
    let call = shutdown(&host);
    assert_eq!(call.count("libvirt.shutdown"), 0);
    call.value();
}

#[test]
fn a_slow_guest_is_waited_for_and_asked_again_half_way() {
    let host = host(reacting(Reaction::AfterSeconds(170)));
    let call = shutdown(&host);
    assert_eq!((call.count("libvirt.shutdown"), call.count("libvirt.destroy")), (2, 0));
    assert!((170_000..=171_000).contains(&call.paused()), "{}", call.paused());
    call.value();
    assert!(gone(&host));
}

#[test]
fn a_deaf_guest_is_destroyed_in_the_end() {
    let host = host(reacting(Reaction::Ignores));
    let call = shutdown(&host);
    assert_eq!(call.count("libvirt.destroy"), 1);
    assert_eq!(call.paused(), 180_000);
    assert_eq!(call.log(), [format!("error: Timeout shutting down {UUID}. Destroying it")]);
    call.value();
    assert!(gone(&host));
}

#[test]
fn a_deaf_guest_is_spared_where_the_operator_has_it_so() {
    for value in ["no", ""] {
        let host = host(reacting(Reaction::Ignores).configuration("FORCE_DESTROY", value));
        let call = shutdown(&host);
        assert_eq!(call.failure(), &Failure::timeout(format!("Timed out shutting down {UUID}")));
        assert_eq!(call.count("libvirt.destroy"), 0);
        assert!(!gone(&host));
    }
}

#[test]
fn the_timeout_is_the_operators() {
    for (value, seconds) in [("7", 7), ("", 120), ("soon", 120), ("0", 0)] {
        let host = host(reacting(Reaction::Ignores).configuration("SHUTDOWN_TIMEOUT", value));
        let call = shutdown(&host);
        assert_eq!(call.paused(), seconds * 1000, "{value}");
        call.value();
    }
}

#[test]
fn a_destroy_that_fails_is_no_success() {
    let host =
        host(reacting(Reaction::Ignores).failing("libvirt.destroy", 1, Failure::failed("Failed to terminate process")));
    let call = shutdown(&host);
    assert_eq!(call.failure(), &Failure::failed(format!("Timed out shutting down {UUID}")));
    assert_eq!(call.log()[1], "error: Failed to terminate process");
    assert!(!gone(&host));
}

#[test]
fn without_acpi_the_operator_may_have_it_destroyed() {
    let deaf = plain().replace("<acpi/>", "<apic/>");
    let guest = Guest { power_button: Reaction::Ignores, ..Guest::default() };
    let simulation = running(&deaf).guest("one-1", guest).configuration("SHUTDOWN_TIMEOUT", "4");
    let host1 = host(simulation.clone().configuration("CANCEL_NO_ACPI", "yes"));
    let call = shutdown(&host1);
    assert_eq!((call.count("libvirt.shutdown"), call.count("libvirt.destroy"), call.paused()), (0, 1, 0));
    call.value();

    let call = shutdown(&host(simulation));
    assert_eq!(call.count("libvirt.shutdown"), 2);

    let with = running(&plain()).configuration("CANCEL_NO_ACPI", "yes");
    assert_eq!(shutdown(&host(with)).count("libvirt.destroy"), 0);
}

#[test]
fn what_cannot_be_asked_is_told() {
    let host = host(running(&plain()).failing("libvirt.shutdown", 1, Failure::failed("monitor is gone")));
    let call = shutdown(&host);
    assert_eq!(call.failure(), &Failure::failed(format!("Could not shutdown {UUID}")));
    assert_eq!(call.log(), ["error: monitor is gone"]);
}

#[test]
fn a_lost_connection_is_not_a_domain_that_is_gone() {
    let lost = || Failure::unavailable("connection reset");
    let host1 = host(running(&plain()).failing("libvirt.find", 1, lost()));
    assert_eq!(shutdown(&host1).failure().kind, FailureKind::Unavailable);
    assert!(!gone(&host1));

    // While it waits, it waits on.
    let host2 =
        host(reacting(Reaction::AfterSeconds(2)).failing("libvirt.find", 2, lost()).failing("libvirt.find", 3, lost()));
    let call = shutdown(&host2);
    assert_eq!(call.log(), ["warning: connection reset"]);
    assert!(call.paused() >= 2000);
    call.value();
}

#[test]
fn a_domain_that_vanishes_meanwhile_is_gone() {
    for effect in ["libvirt.xml", "libvirt.shutdown"] {
        let host = host(
            running(&plain())
                .failing(effect, 1, Failure::not_found("no domain"))
                .guest("one-1", Guest { power_button: Reaction::AfterPolls(0), ..Guest::default() }),
        );
        // The simulation still has it; what it says counts.
        let call = host.call(|| Kvm::shutdown(UUID.into(), "node1".into(), String::new()));
        call.value();
    }
}

#[test]
fn a_command_that_fails_while_the_domain_goes_is_no_failure() {
    let deaf = plain().replace("<acpi/>", "<apic/>");
    for (description, effect) in [(plain(), "libvirt.shutdown"), (deaf, "libvirt.destroy")] {
        // The command reaches libvirt, its answer does not come back.
        let world = running(&description)
            .configuration("CANCEL_NO_ACPI", "yes")
            .guest("one-1", Guest { power_button: Reaction::AfterPolls(0), ..Guest::default() })
            .losing(effect, 1, Failure::unknown("the answer was lost"));
        let host = host(world);
        let call = shutdown(&host);
        assert_eq!(call.count(effect), 1);
        assert!(call.log().is_empty(), "{:?}", call.log());
        call.value();
        assert!(gone(&host));
    }
}

#[test]
fn the_actions_time_ends_it_too() {
    let host = host(reacting(Reaction::Ignores).deadline(20_000));
    let call = shutdown(&host);
    assert_eq!(call.failure(), &Failure::timeout(format!("Timed out shutting down {UUID}")));
    assert!(call.log()[0].contains("action-seconds"), "{:?}", call.log());
    assert_eq!(call.count("libvirt.destroy"), 0);
}

#[test]
fn memory_is_compacted_after_it() {
    let host = host(running(&plain()).configuration("CLEANUP_MEMORY_ON_STOP", "yes").tool("sysctl"));
    shutdown(&host).value();
    assert_eq!(runs(&host, "sysctl").len(), 1);
}
