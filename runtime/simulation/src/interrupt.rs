//! A process that is killed between two effects.
//!
//! For the world, a kill after effect N and a kill before effect N + 1 are the same; so there is one
//! number, how many effects are carried out. A test runs an action once to count them and then, for
//! every number below, on a fresh copy of the world: the interrupted action, then the same action again.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use remotes_effect::types::Failure;
use remotes_effect::{Answer, Effect, Executor};

/// Carries out a number of effects and then no more.
///
/// Whatever a driver does after that reaches nothing, which is what a kill means for the world. By
/// default further effects are answered by failures (and sleeps by `false`); with
/// [`Interrupt::unwinding`] the call is left by unwinding, to be caught by [`catch`].
#[derive(Debug)]
pub struct Interrupt<E> {
    executor: E,
    left: u64,
    carried_out: u64,
    refused: Option<&'static str>,
    unwind: bool,
}

/// What [`catch`] finds: the effect that was not carried out any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupted {
    /// Its name.
    pub effect: &'static str,
    /// Effects carried out before it.
    pub after: u64,
}

impl<E: Executor> Interrupt<E> {
    /// Carries out `effects` effects.
    pub fn after(executor: E, effects: u64) -> Self {
        Self { executor, left: effects, carried_out: 0, refused: None, unwind: false }
    }

    /// Carries out all of them: to count.
    pub fn never(executor: E) -> Self {
        Self::after(executor, u64::MAX)
    }

    /// Leaves the call by unwinding when the number is reached. No message is printed.
    pub fn unwinding(mut self) -> Self {
        self.unwind = true;
        self
    }

    /// Effects carried out so far.
    pub fn carried_out(&self) -> u64 {
        self.carried_out
    }

    /// Name of the first effect that was refused, if there was one.
    pub fn refused(&self) -> Option<&'static str> {
        self.refused
    }
}

impl<E: Executor> Executor for Interrupt<E> {
    fn execute(&mut self, effect: &Effect) -> Answer {
        if self.left > 0 {
            self.left -= 1;
            self.carried_out += 1;
            return self.executor.execute(effect);
        }
        let first = *self.refused.get_or_insert(effect.name());
        if self.unwind {
            resume_unwind(Box::new(Interrupted { effect: first, after: self.carried_out }));
        }
        let failure = Failure::unavailable(format!("interrupted after {} effects", self.carried_out));
        effect.decline(failure)
    }
}

/// Runs an action whose executor is an [`Interrupt::unwinding`] one. Other panics go on.
pub fn catch<T>(action: impl FnOnce() -> T) -> Result<T, Interrupted> {
    // What the action leaves half-done is what the test wants to look at.
    catch_unwind(AssertUnwindSafe(action)).map_err(|payload: Box<dyn Any + Send>| {
        match payload.downcast::<Interrupted>() {
            Ok(interrupted) => *interrupted,
            Err(other) => resume_unwind(other),
        }
    })
}
