//! OpenNebula's calling convention: argv and standard input to a typed call, and a reply to what oned
//! reads. One module a subsystem.

mod lines;
mod text;
mod vmm;
mod vnm;

use remotes_effect::types::Failure;
use remotes_effect::{Call, Reply};
use thiserror::Error;

pub use lines::{failure_line, log_line};
pub use text::readable;

/// No document that oned sends is longer than this (bytes).
pub const LARGEST_STDIN: u64 = 16 * 1024 * 1024;

/// The front-end reads standard output until this mark, wherever it stands.
const END_OF_OUTPUT: &str = "EOF_OUT";

/// A call that cannot be made of what the program was given.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum ConventionError {
    /// Too few or unfit arguments.
    #[error("{action}: expected arguments {expected}; {problem}")]
    Arguments {
        /// the action
        action: String,
        /// how it is called
        expected: &'static str,
        /// what is wrong
        problem: String,
    },
    /// No action of that name.
    #[error("{subsystem} has no action {action:?}")]
    Action {
        /// the subsystem
        subsystem: String,
        /// the action asked for
        action: String,
    },
    /// No subsystem of that name.
    #[error("there is no subsystem {0:?}; expected one of {known}", known = remotes_effect::SUBSYSTEMS.join(", "))]
    Subsystem(String),
    /// The description of a domain is not text.
    #[error("{0}: standard input is not UTF-8")]
    Stdin(String),
}

/// What oned reads of an action.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Printed {
    /// Exactly this, to the byte.
    pub stdout: String,
    /// Whole lines: without a newline at the end the front-end would wait for ever.
    pub stderr: String,
    /// Exit code; 0 is success, 42 is never used, since the front-end takes it for a missing script.
    pub code: u8,
}

impl Printed {
    /// A failed action with one line for the user.
    pub fn failed(message: &str, code: u8) -> Self {
        Self { stdout: String::new(), stderr: failure_line(message), code }
    }
}

/// Makes the typed call.
pub fn call(subsystem: &str, action: &str, argv: &[String], stdin: &[u8]) -> Result<Call, ConventionError> {
    match subsystem {
        "vmm" => vmm::call(action, argv, stdin).map(Call::Vmm),
        "vnm" => vnm::call(action, argv, stdin).map(Call::Vnm),
        other => Err(ConventionError::Subsystem(other.to_owned())),
    }
}

/// What oned is to read of the driver's reply.
pub fn print(call: &Call, reply: &Reply) -> Printed {
    match (call, reply) {
        (Call::Vmm(call), Reply::Vmm(reply)) => vmm::print(call, reply),
        (Call::Vnm(call), Reply::Vnm(reply)) => vnm::print(call, reply),
        (call, _) => print_failure(call, &Failure::failed("the driver answered for another subsystem".to_owned())),
    }
}

/// What oned is to read when there is no reply.
pub fn print_failure(call: &Call, failure: &Failure) -> Printed {
    match call {
        Call::Vmm(call) => vmm::print_failure(call, failure),
        Call::Vnm(call) => vnm::print_failure(call, failure),
    }
}
