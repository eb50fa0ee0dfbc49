//! Grants and worlds that several tests use.

use remotes_containment::Ended;
use remotes_effect::libvirt::State;
use remotes_effect::types::FailureKind;
use remotes_simulation::Simulation;

/// What a hypervisor driver usually has.
pub const LIBVIRT: &str = "[libvirt]\nuris = [\"qemu:///system\"]\ndomains = [\"one-*\"]\n";

/// The identity of a domain that is not OpenNebula's.
pub const FOREIGN: &str = "6c1a0d5e-0b1c-4b8e-9d55-7c0f3a1e2d4b";

/// A host with a domain of OpenNebula's and one of somebody else's.
pub fn host() -> Simulation {
    Simulation::new()
        .domain("<domain type='kvm'><name>one-5</name></domain>", State::Running)
        .domain(&format!("<domain type='kvm'><name>db-1</name><uuid>{FOREIGN}</uuid></domain>"), State::Running)
        .directory("/var/lib/one/datastores/0/5")
}

/// That nothing but the log and the count of effects differs.
pub fn assert_unchanged(before: &Simulation, ended: &Ended<Simulation>) {
    let after = &ended.executor;
    assert_eq!(before.here, after.here);
    assert_eq!(before.hosts, after.hosts);
    assert_eq!(before.configuration, after.configuration);
}

/// That every effect of this name was refused in this way, for a reason that holds these words.
pub fn assert_refused<E>(ended: &Ended<E>, effect: &str, kind: FailureKind, words: &str) {
    let asked = ended.journal.entries.iter().filter(|entry| entry.effect.name() == effect).count();
    let failures = ended.journal.failures(effect);
    assert!(asked > 0 && failures.len() == asked, "{effect}: asked {asked} times, refused {failures:?}");
    for failure in failures {
        assert!(
            failure.kind == kind && failure.message.contains(words),
            "{effect}: {failure:?}, expected {kind:?} {words}"
        );
    }
}
