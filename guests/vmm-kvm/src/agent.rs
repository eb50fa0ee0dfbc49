//! Commands inside of a guest, through its agent. A probe collects what comes of them, by the process
//! id that is left in a file a virtual machine.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remotes_sdk::{Failure, FailureKind, here, libvirt, locks};
use serde_json::{Value, json};

/// Seconds for the agent to answer that it has started a command.
const ANSWER: u32 = 10;

/// The file with the process id of the virtual machine's command.
pub fn file(vm_id: u32) -> String {
    format!("/var/run/one/one-{vm_id}")
}

/// Keeps the probe, and other commands, away until the action ends. The lock lies in the folder of the process
/// ids: where there is none, no command may start, for none could be cancelled.
pub fn alone() -> Result<(), Failure> {
    locks::acquire("exec")
}

/// The same for who only looks: where that folder is not there, nobody is.
pub fn alone_if_any() -> Result<(), Failure> {
    match alone() {
        Err(failure) if failure.kind == FailureKind::NotFound => Ok(()),
        taken => taken,
    }
}

/// Starts a program in the guest; returns its process id there.
pub fn start(vm_id: u32, program: &str, arguments: &[String], stdin: &[u8]) -> Result<u64, Failure> {
    let mut command = json!({
        "execute": "guest-exec",
        "arguments": { "path": program, "arg": arguments, "capture-output": true },
    });
    if !stdin.is_empty() {
        command["arguments"]["input-data"] = Value::String(STANDARD.encode(stdin));
    }
    let answer = libvirt::guest_agent(&here(), &format!("one-{vm_id}"), &command.to_string(), ANSWER)?;
    let value: Option<Value> = serde_json::from_str(&answer).ok();
    let pid = value.as_ref().and_then(|value| value.get("return")?.get("pid")?.as_u64());
    pid.ok_or_else(|| Failure::failed(format!("the guest agent answers without a process id: {answer}")))
}
