//! The way every effect takes: policy ▶ journal ▶ executor.

use std::sync::Arc;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::journal::Journal;
use crate::policy::Policy;
use crate::types::Failure;
use crate::{Answer, Effect, Executor, log};

/// A limit of the policy that ends the action instead of failing one call.
#[derive(Debug, Error, Clone, PartialEq)]
pub enum Stop {
    /// More calls than `limits.effects`.
    #[error("the driver made more than {0} calls (limits.effects in its policy)")]
    Effects(u64),
    /// More text than `limits.log-kib`.
    #[error("the driver logged more than {0} KiB (limits.log-kib in its policy)")]
    Log(u64),
    /// The policy refused a call that cannot fail.
    #[error("{0}")]
    Refused(Failure),
}

/// Policy, journal and executor of one action.
pub struct Pipeline<J, E> {
    policy: Arc<Policy>,
    checked: bool,
    /// Gives the journal back after the action.
    pub journal: J,
    /// Gives the executor back after the action.
    pub executor: E,
    effects: u64,
    log_bytes: u64,
}

impl<J: Journal, E: Executor> Pipeline<J, E> {
    /// One pipeline serves one action: its counters are the action's.
    pub fn new(policy: Arc<Policy>, journal: J, executor: E) -> Self {
        Self { policy, checked: true, journal, executor, effects: 0, log_bytes: 0 }
    }

    /// A pipeline that keeps the policy's limits but asks it nothing. Only for executors that carry
    /// nothing out, a [`crate::recording::Replay`] say.
    pub fn unchecked(policy: Arc<Policy>, journal: J, executor: E) -> Self {
        Self { checked: false, ..Self::new(policy, journal, executor) }
    }

    /// The policy that every effect is held against.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Sends one effect down the pipeline. A denial is an answer; a [`Stop`] ends the action.
    pub fn perform(&mut self, effect: Effect) -> Result<Answer, Stop> {
        self.effects += 1;
        let limits = &self.policy.limits;
        if self.effects > limits.effects {
            return Err(Stop::Effects(limits.effects));
        }
        if let Effect::Log(log::Effect::Write { message, .. }) = &effect {
            self.log_bytes += message.len() as u64 + 1;
            if self.log_bytes > limits.log_kib * 1024 {
                return Err(Stop::Log(limits.log_kib));
            }
        }
        self.journal.begin(self.effects, &effect);
        let started = Instant::now();
        let verdict = if self.checked { self.policy.check(&effect) } else { Ok(()) };
        let answer = match verdict {
            Ok(()) => self.executor.execute(&effect),
            Err(failure) => match effect.refuse(failure.clone()) {
                Some(answer) => answer,
                None => return self.stop(&effect, started.elapsed(), failure),
            },
        };
        self.journal.end(self.effects, &effect, &answer, started.elapsed());
        Ok(answer)
    }

    fn stop(&mut self, effect: &Effect, duration: Duration, failure: Failure) -> Result<Answer, Stop> {
        self.journal.stopped(self.effects, effect, &failure, duration);
        Err(Stop::Refused(failure))
    }
}
