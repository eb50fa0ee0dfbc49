//! Starts a command inside the guest.

use remotes_sdk::{Failure, at, filesystem};

use crate::agent;

pub fn run(vm_id: u32, command: &str, stdin: &[u8]) -> Result<(), Failure> {
    start(vm_id, command, stdin)
        .map_err(|failure| Failure { message: format!("Error executing the command: {}", failure.message), ..failure })
}

fn start(vm_id: u32, command: &str, stdin: &[u8]) -> Result<(), Failure> {
    let words = shell_words::split(command).map_err(|error| Failure::invalid(format!("{error}: {command}")))?;
    let Some((program, arguments)) = words.split_first() else {
        return Err(Failure::invalid("there is no command"));
    };
    agent::alone()?;
    let pid = agent::start(vm_id, program, arguments, stdin)?;
    filesystem::write(&at(agent::file(vm_id)), pid.to_string().as_bytes(), 0o644)
}
