//! Running a driver natively in `cargo test`: behind its policy, on a simulated host, with faults
//! where the test wants them, and stopped at any effect.
//!
//! ```
//! use remotes_sdk::testing::{Host, Simulation};
//! use remotes_sdk::{Failure, Vmm, error};
//!
//! struct Mine;
//!
//! impl Vmm for Mine {
//!     const ACTIONS: &'static [&'static str] = &["reboot"];
//!
//!     fn reboot(deploy_id: String, _host: String, _action: String) -> Result<(), Failure> {
//!         error!("{deploy_id} cannot be reached");
//!         Err(Failure::unavailable("Could not reboot it"))
//!     }
//! }
//!
//! let host = Host::new(Simulation::default(), "schema = 1");
//! let call = host.call(|| Mine::reboot("one-5".into(), "node1".into(), String::new()));
//! assert_eq!(call.failure().message, "Could not reboot it");
//! assert_eq!(call.log(), ["error: one-5 cannot be reached"]);
//! ```

use std::cell::RefCell;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::rc::Rc;

use remotes_effect::policy::Policy;
use remotes_effect::{Answer, Effect, Executor, log};
pub use remotes_effect::{libvirt::State, tools::Outcome};
pub use remotes_simulation::{Agent, Guest, Image, Machine, Reaction, Simulation};

use crate::Failure;

/// A host that a driver can be called on. What calls change is there for the next call.
pub struct Host(Rc<RefCell<Guard>>);

/// What stands between a driver and the simulation.
struct Guard {
    simulation: Simulation,
    policy: Policy,
    stop_before: Option<usize>,
    done: Vec<(Effect, Answer)>,
}

/// What unwinds a driver that is stopped in mid-action.
struct Stopped;

impl Executor for Guard {
    fn execute(&mut self, effect: &Effect) -> Answer {
        if self.stop_before == Some(self.done.len()) {
            self.stop_before = None;
            resume_unwind(Box::new(Stopped));
        }
        let refusal = self.policy.check(effect).err().and_then(|failure| effect.refuse(failure));
        let answer = refusal.unwrap_or_else(|| self.simulation.execute(effect));
        self.done.push((effect.clone(), answer.clone()));
        answer
    }
}

impl Host {
    /// A host for a driver with this policy. Failures to meet are the simulation's: see
    /// [`Simulation::failing`] and [`Simulation::losing`].
    ///
    /// # Panics
    /// When the policy does not parse.
    pub fn new(simulation: Simulation, policy: &str) -> Self {
        let policy = match Policy::parse(policy, Path::new("policy.toml")) {
            Ok(policy) => policy,
            Err(error) => panic!("{error}"),
        };
        let simulation = simulation.policy(policy.clone());
        Self(Rc::new(RefCell::new(Guard { simulation, policy, stop_before: None, done: Vec::new() })))
    }

    /// Ends the next call, as `kill -9` would, before its effect number `index`, counted from 0.
    pub fn stop_before(&self, index: usize) -> &Self {
        self.0.borrow_mut().stop_before = Some(index);
        self
    }

    /// The simulation as it is now.
    pub fn simulation(&self) -> Simulation {
        self.0.borrow().simulation.clone()
    }

    /// Changes the simulation between two calls.
    pub fn change(&self, change: impl FnOnce(Simulation) -> Simulation) -> &Self {
        let mut guard = self.0.borrow_mut();
        guard.simulation = change(std::mem::take(&mut guard.simulation));
        drop(guard);
        self
    }

    /// Calls the driver.
    pub fn call<T: Debug>(&self, action: impl FnOnce() -> Result<T, Failure>) -> Call<T> {
        self.0.borrow_mut().done.clear();
        let result = match catch_unwind(AssertUnwindSafe(|| crate::native::with(&self.0, action))) {
            Ok(result) => Some(result),
            Err(panic) if panic.is::<Stopped>() => None,
            Err(panic) => resume_unwind(panic),
        };
        let mut guard = self.0.borrow_mut();
        guard.stop_before = None;
        Call { result, done: std::mem::take(&mut guard.done) }
    }
}

/// What came of one call.
#[derive(Debug)]
pub struct Call<T> {
    /// What the driver returned; none where it was stopped before that.
    pub result: Option<Result<T, Failure>>,
    /// The effects that it asked for, with the answers it got.
    pub done: Vec<(Effect, Answer)>,
}

impl<T: Debug> Call<T> {
    /// What it returned.
    ///
    /// # Panics
    /// When it failed or was stopped.
    pub fn value(self) -> T {
        match self.result {
            Some(Ok(value)) => value,
            other => panic!("expected success, got {other:?}; log: {:#?}", lines(&self.done)),
        }
    }

    /// How it failed.
    ///
    /// # Panics
    /// When it succeeded or was stopped.
    pub fn failure(&self) -> &Failure {
        match &self.result {
            Some(Err(failure)) => failure,
            other => panic!("expected a failure, got {other:?}; log: {:#?}", lines(&self.done)),
        }
    }

    /// Names of the effects in their order, without those of the log and the clock.
    pub fn names(&self) -> Vec<&'static str> {
        let names = self.done.iter().map(|(effect, _)| effect.name());
        names.filter(|name| !name.starts_with("log.") && !name.starts_with("clock.")).collect()
    }

    /// How often an effect was asked for.
    pub fn count(&self, name: &str) -> usize {
        self.done.iter().filter(|(effect, _)| effect.name() == name).count()
    }

    /// The milliseconds that the driver paused.
    pub fn paused(&self) -> u64 {
        let pauses = self.done.iter().map(|(effect, _)| match effect {
            Effect::Clock(remotes_effect::clock::Effect::Sleep { milliseconds }) => *milliseconds,
            _ => 0,
        });
        pauses.sum()
    }

    /// The lines logged, each led by its level: `error: …`.
    pub fn log(&self) -> Vec<String> {
        lines(&self.done)
    }
}

fn lines(done: &[(Effect, Answer)]) -> Vec<String> {
    let lines = done.iter().filter_map(|(effect, _)| match effect {
        Effect::Log(log::Effect::Write { level, message }) => {
            Some(format!("{}: {message}", format!("{level:?}").to_lowercase()))
        }
        _ => None,
    });
    lines.collect()
}
