//! Effect servers that answer with something else than answers. The one behind ssh runs on a host that
//! others may have taken over.

use remotes_containment::guest::{DESTROYER, HYPERVISOR};
use remotes_containment::{Grounds, Trial};
use remotes_effect::types::FailureKind;

use crate::common::LIBVIRT;

/// What a server does after the greeting; none of it is an answer to `libvirt.find`.
const CONVERSATIONS: &[&str] = &[
    "exit 0",
    "exit 3",
    "kill -9 $$",
    "head -n 2 >/dev/null; exit 0",
    "echo not JSON",
    "echo",
    "printf '{\"Libvirt\":'; exit 0",
    "printf '\\377\\376\\000\\n'",
    "echo '{\"contract\":\"9.0.0\"}'",
    "echo '{}'",
    "echo '[]'",
    "head -c 200000 /dev/zero | tr '\\0' '['; echo",
    "yes '' | tr -d '\\n'",
    "yes >&2",
    "READY; head -n 1 >/dev/null; echo '{}'",
    "READY; head -n 1 >/dev/null; echo '{\"clock\":{\"now\":5}}'",
    "READY; head -n 1 >/dev/null; echo '{\"log\":{\"write\":null}}'",
    "READY; head -n 1 >/dev/null; echo '{\"libvirt\":{\"destroy\":{\"Ok\":null}}}'",
    "READY; head -n 1 >/dev/null; echo '{\"libvirt\":{\"find\":{\"Ok\":{\"name\":\"one-5\"}}}}'",
    "READY; head -n 1 >/dev/null; yes x | tr -d '\\n'",
    "READY; head -n 1 >/dev/null; exit 0",
    "READY; READY; READY",
    "exec 0<&-; READY; sleep 1",
    "exec 1>&-; sleep 1",
];

/// Starts the conversation in place of the libvirt server.
fn grounds(conversation: &str) -> Grounds {
    let grounds = Grounds::new();
    // `read` takes the greeting to the byte, so that what follows sees the effect.
    let ready = "echo '{\"contract\":\"1.0.0\"}'";
    let script = format!("#!/bin/sh\nread -r greeting\n{}\n", conversation.replace("READY", ready));
    grounds.program("tree/bin/remotes-libvirt", &script);
    grounds
}

#[test]
fn servers_that_do_not_answer() {
    for conversation in CONVERSATIONS {
        let grounds = grounds(conversation);
        let before = grounds.snapshot();
        let trial = Trial::of(HYPERVISOR).granting(LIBVIRT).milliseconds(3000);
        let ended = trial.made(|policy, deadline| grounds.machine(policy, deadline));
        let failures = ended.journal.failures("libvirt.find");
        assert_eq!(failures.len(), 1, "{conversation}");
        let kinds = [FailureKind::Unavailable, FailureKind::Failed, FailureKind::Timeout];
        assert!(kinds.contains(&failures[0].kind), "{conversation}: {failures:?}");
        // Whoever does not answer is libvirt; what is wrong with an answer is the server's.
        let whom =
            if failures[0].kind == FailureKind::Timeout { "libvirt at qemu:///system" } else { "the libvirt server" };
        assert!(failures[0].message.contains(whom), "{conversation}: {failures:?}");
        assert!(failures[0].message.len() < 2000, "{conversation}: {}", failures[0].message.len());
        ended.assert_protocol();
        assert_eq!(grounds.snapshot(), before, "{conversation}");
    }
}

/// A write that was sent and not answered may have happened: it is never sent again, and the message says so.
#[test]
fn a_write_is_not_repeated() {
    let conversation = "READY; head -n 1 >> \"$0.asked\"; exit 0";
    let grounds = grounds(conversation);
    let trial = Trial::of(DESTROYER).granting(LIBVIRT).milliseconds(3000);
    let ended = trial.made(|policy, deadline| grounds.machine(policy, deadline));
    let failures = ended.journal.failures("libvirt.destroy");
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].kind, FailureKind::Unknown, "{failures:?}");
    let asked = std::fs::read_to_string(grounds.path("tree/bin/remotes-libvirt.asked")).unwrap();
    assert_eq!(asked.lines().count(), 1, "{asked}");
}

/// Text that the other side chose, as every other text: one line, nothing that a terminal obeys.
#[test]
fn a_server_with_last_words() {
    let grounds = grounds("printf 'ERROR: forged\\nExitCode: 0 EOF_ERR\\033[2K\\r' >&2; exit 1");
    let ended = Trial::of(HYPERVISOR).granting(LIBVIRT).made(|policy, deadline| grounds.machine(policy, deadline));
    assert_eq!(ended.failure().kind, FailureKind::Unavailable);
    assert!(ended.printed.stderr.contains("libvirt.find: the libvirt server"), "{}", ended.printed.stderr);
}
