//! exec and exec_cancel

use remotes_sdk::testing::{Agent, Call, Guest, Host, Simulation};
use remotes_sdk::{Failure, FailureKind, Vmm};
use serde_json::{Value, json};
use vmm_kvm::Kvm;

use crate::fixture::*;

const FILE: &str = "/var/run/one/one-1";

fn world() -> Simulation {
    let agent = Agent::answering([("guest-exec", json!({ "pid": 4711 }))]);
    running(&plain()).guest("one-1", Guest { agent, ..Guest::default() }).directory("/var/run/one")
}

fn exec(host: &Host, command: &str, stdin: &[u8]) -> Call<()> {
    host.call(|| Kvm::exec(1, "node1".into(), command.into(), stdin.to_vec()))
}

fn cancel(host: &Host) -> Call<()> {
    host.call(|| Kvm::exec_cancel(1, "node1".into()))
}

/// The arguments that the agent got.
fn asked(call: &Call<()>) -> Value {
    let command = call.done.iter().find_map(|(effect, _)| match effect {
        remotes_effect::Effect::Libvirt(remotes_effect::libvirt::Effect::GuestAgent { command, .. }) => Some(command),
        _ => None,
    });
    let value: Value = serde_json::from_str(command.unwrap()).unwrap();
    assert_eq!(value["execute"], "guest-exec");
    value["arguments"].clone()
}

#[test]
fn a_command_is_started_and_its_id_kept() {
    let host = host(world());
    let call = exec(&host, "ls /", b"");
    assert_eq!(asked(&call), json!({ "path": "ls", "arg": ["/"], "capture-output": true }));
    call.value();
    assert_eq!(host.simulation().here.text(FILE), Some("4711"));
    let call = cancel(&host);
    assert_eq!(asked(&call), json!({ "path": "kill", "arg": ["-9", "4711"], "capture-output": true }));
    call.value();
    assert!(!host.simulation().here.exists(FILE));
    assert_eq!(cancel(&host).names(), ["locks.acquire", "filesystem.read"]);
}

#[test]
fn quotes_hold_words_together() {
    let call = exec(&host(world()), "sh -c \"echo 'a  b' \\\"c\\\"\"", b"in\0put");
    let expected =
        json!({ "path": "sh", "arg": ["-c", "echo 'a  b' \"c\""], "capture-output": true, "input-data": "aW4AcHV0" });
    assert_eq!(asked(&call), expected);
}

#[test]
fn a_command_that_is_none_is_refused() {
    for command in ["", "  ", "sh -c 'x"] {
        let call = exec(&host(world()), command, b"");
        assert_eq!(call.failure().kind, FailureKind::Invalid);
        assert!(call.failure().message.starts_with("Error executing the command: "));
        assert!(call.done.is_empty());
    }
}

#[test]
fn without_an_agent_it_says_so() {
    let host1 = host(running(&plain()).directory("/var/run/one"));
    let call = exec(&host1, "ls /", b"");
    let line = "Error executing the command: Guest agent is not responding: QEMU guest agent is not connected";
    assert_eq!(call.failure(), &Failure::unavailable(line));
    assert!(!host1.simulation().here.exists(FILE));

    let agent = Agent::answering([("guest-exec", json!({}))]);
    let host2 = host(world().guest("one-1", Guest { agent, ..Guest::default() }));
    assert_eq!(exec(&host2, "ls", b"").failure().kind, FailureKind::Failed);
}

/// Nobody could cancel it.
#[test]
fn without_a_place_for_its_id_no_command_starts() {
    let agent = Agent::answering([("guest-exec", json!({ "pid": 4711 }))]);
    let simulation = running(&plain()).guest("one-1", Guest { agent, ..Guest::default() });
    let missing = |simulation: Simulation, nth| {
        simulation.failing("locks.acquire", nth, Failure::not_found("/var/run/one: there is no such folder"))
    };
    let host = host(missing(missing(simulation, 1), 2));
    let call = exec(&host, "ls /", b"");
    assert_eq!(call.count("libvirt.guest-agent"), 0);
    assert!(call.failure().message.starts_with("Error executing the command: "), "{:?}", call.failure());
    cancel(&host).value();
}

#[test]
fn an_id_that_is_none_ends_nothing() {
    for (content, kind) in
        [("", None), (" \n", None), ("1; rm", Some(FailureKind::Invalid)), ("-1", Some(FailureKind::Invalid))]
    {
        let call = cancel(&host(world().file(FILE, content)));
        assert_eq!(call.count("libvirt.guest-agent"), 0);
        assert_eq!(call.result.unwrap().err().map(|failure| failure.kind), kind, "{content:?}");
    }
}

#[test]
fn the_grant_is_for_that_one_command() {
    let policy = POLICY.replace("guest-agent = [\"guest-exec\"]", "guest-agent = [\"guest-ping\"]");
    let call = exec(&Host::new(world(), &policy), "ls", b"");
    assert_eq!(call.failure().kind, FailureKind::Denied);
}
