//! Why a driver did not come to a reply.

use std::time::Duration;

use remotes_effect::Call;
use remotes_effect::pipeline::Stop;
use remotes_effect::policy::Limits;
use thiserror::Error;
use wasmtime::Trap;

use crate::limiter::Exceeded;
use crate::link::Unfit;

/// An action that ended without the driver's reply. Nothing that the driver did is undone by this.
#[derive(Debug, Error)]
pub enum RunError {
    /// The component asks for something its world does not offer, or lacks what it must export.
    #[error("this component is not a driver of subsystem {subsystem}: {reason}")]
    Unsuitable {
        /// the subsystem it was called for
        subsystem: String,
        /// what is wrong
        reason: String,
    },
    /// Instantiation, which runs initialisers, took too long.
    #[error("the driver did not start within {} s (limits.start-seconds in its policy)", .0.as_secs())]
    Start(Duration),
    /// The action took too long.
    #[error("the action did not end within {} s (limits.time-seconds or limits.action-seconds in the driver's policy)", .0.as_secs())]
    Deadline(Duration),
    /// A limit on calls or log lines.
    #[error(transparent)]
    Stopped(#[from] Stop),
    /// A limit on memory or tables.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    /// One call handed over too much.
    #[error("the driver handed over more than {0} KiB in one call (limits.argument-kib in its policy)")]
    Argument(u64),
    /// Recursion without end, mostly.
    #[error("the driver's stack overflowed (limits.stack-kib in its policy)")]
    Stack,
    /// The driver panicked or broke a rule of WebAssembly.
    #[error("the driver trapped: {0}")]
    Trapped(String),
}

impl RunError {
    /// A component that is no driver of the subsystem that it is called for.
    pub(crate) fn unsuitable(call: &Call, reason: &impl std::fmt::Display) -> Self {
        Self::Unsuitable { subsystem: call.subsystem().to_owned(), reason: reason.to_string() }
    }

    /// Sorts an error of the engine.
    pub(crate) fn sort(error: &wasmtime::Error, phase: Phase, limits: &Limits, call: &Call) -> Self {
        if let Some(unfit) = error.downcast_ref::<Unfit>() {
            return Self::unsuitable(call, unfit);
        }
        if let Some(stop) = error.downcast_ref::<Stop>() {
            return Self::Stopped(stop.clone());
        }
        if let Some(exceeded) = error.downcast_ref::<Exceeded>() {
            return Self::Exceeded(exceeded.clone());
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => match phase {
                Phase::Start => Self::Start(Duration::from_secs(limits.start_seconds)),
                Phase::Call => Self::Deadline(limits.time(call.action())),
            },
            Some(Trap::StackOverflow) => Self::Stack,
            Some(trap) => Self::Trapped(trap.to_string()),
            None => {
                let text = reason(error);
                if let Some(exceeded) = Exceeded::counted(&text, limits) {
                    return Self::Exceeded(exceeded);
                }
                // The engine has no type for this one.
                match text.contains("fuel allocated for hostcalls") {
                    true => Self::Argument(limits.argument_kib),
                    false => Self::Trapped(text),
                }
            }
        }
    }
}

/// The causes in one line, without the driver's stack, which says nothing to an operator.
fn reason(error: &wasmtime::Error) -> String {
    let causes = error.chain().map(ToString::to_string);
    causes.filter(|cause| !cause.starts_with("error while executing at wasm backtrace")).collect::<Vec<_>>().join(": ")
}

/// Where the action was.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Start,
    Call,
}
