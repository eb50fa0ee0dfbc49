//! Ends the command that `exec` started in the guest.

use remotes_sdk::{Failure, FailureKind, at, filesystem};

use crate::agent;

pub fn run(vm_id: u32) -> Result<(), Failure> {
    cancel(vm_id)
        .map_err(|failure| Failure { message: format!("Error executing the command: {}", failure.message), ..failure })
}

fn cancel(vm_id: u32) -> Result<(), Failure> {
    agent::alone_if_any()?;
    let file = at(agent::file(vm_id));
    let content = match filesystem::read(&file) {
        Err(failure) if failure.kind == FailureKind::NotFound => return Ok(()),
        content => content?,
    };
    let text = String::from_utf8_lossy(&content).trim().to_owned();
    if text.is_empty() {
        return Ok(());
    }
    let pid: u64 = text.parse().map_err(|_| Failure::invalid(format!("{}: {text:?} is no process id", file.path)))?;
    agent::start(vm_id, "kill", &["-9".to_owned(), pid.to_string()], &[])?;
    filesystem::remove(&file, false)
}
