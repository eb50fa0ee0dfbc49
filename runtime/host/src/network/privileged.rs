//! Programs that change the network: run directly by root, otherwise as far as sudoers lets them.

use remotes_effect::deadline::Deadline;
use remotes_effect::tools::Outcome;
use remotes_effect::types::Failure;

use crate::process::{Process, last_line, system_program};

/// Bytes that a listing may have: ten thousand rules, or links with all their attributes.
const LISTING: usize = 64 * 1024 * 1024;

/// Runs a program of the system and reads what it says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Privileged(pub Deadline);

impl Privileged {
    /// Runs it as root, to its end.
    pub fn run(self, program: &str, arguments: &[&str], input: &[u8]) -> Result<Outcome, Failure> {
        match rustix::process::geteuid().is_root() {
            true => self.start(program, arguments, input),
            false => self.start("sudo", &[&["-n", program], arguments].concat(), input),
        }
    }

    /// Runs it as it is, to its end.
    pub fn start(self, program: &str, arguments: &[&str], input: &[u8]) -> Result<Outcome, Failure> {
        let path = system_program(program)
            .ok_or_else(|| Failure::unavailable(format!("{program}: is not installed; install it on this host")))?;
        Process::new(path).arguments(arguments.iter().copied()).input(input).limit(LISTING).run(self.0)
    }

    /// Runs it as root; whatever is not success is the failure to do `what`.
    pub fn must(self, program: &str, arguments: &[&str], what: &str) -> Result<Vec<u8>, Failure> {
        let outcome = self.run(program, arguments, &[])?;
        if outcome.status == 0 { Ok(outcome.stdout) } else { Err(failure(what, &outcome)) }
    }
}

/// Why `what` could not be done, by what the program says.
pub(super) fn failure(what: &str, outcome: &Outcome) -> Failure {
    let said = last_line(&outcome.stderr);
    let said = if said.is_empty() { format!("exit status {}", outcome.status) } else { said };
    let message = format!("cannot {what}: {said}");
    let says = |texts: &[&str]| texts.iter().any(|text| said.contains(text));
    if says(&["Cannot find device", "does not exist", "No such", "doesn't exist"]) {
        Failure::not_found(message)
    } else if says(&["File exists", "already exists"]) {
        Failure::exists(message)
    } else if says(&["in use", "busy", "Another app is currently holding"]) {
        Failure::busy(message)
    } else if says(&["Operation not supported", "Unknown device type", "not supported"]) {
        Failure::unsupported(message)
    } else if says(&["Operation not permitted", "Permission denied", "a password is required", "not allowed"]) {
        Failure::failed(format!("{message}; the runtime's user needs root, or a rule in sudoers, for this"))
    } else {
        Failure::failed(message)
    }
}
