//! One call of one hostile driver.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use remotes_action::convention::Printed;
use remotes_action::run::printed;
use remotes_effect::deadline::Deadline;
use remotes_effect::pipeline::Pipeline;
use remotes_effect::policy::{Limits, Policy};
use remotes_effect::types::Failure;
use remotes_effect::{Call, Executor, Reply, vmm, vnm};
use remotes_sandbox::{Driver, RunError, compile, engine};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::{Guest, Memory};

/// A call about to be made.
pub struct Trial {
    guest: Guest,
    call: Call,
    policy: Policy,
    time: Duration,
}

/// How it ended.
pub struct Ended<E> {
    /// The driver's reply, or why there is none.
    pub result: Result<Reply, RunError>,
    /// What the journal was told.
    pub journal: Memory,
    /// The executor, given back.
    pub executor: E,
    /// What oned would read.
    pub printed: Printed,
}

impl Trial {
    /// `reboot` of the guest, under a policy that grants nothing, with tight limits.
    pub fn of(guest: Guest) -> Self {
        let limits = Limits { start_seconds: 1, time_seconds: 20, effects: 1000, ..Limits::default() };
        let policy = Policy { schema: 1, limits, ..Policy::default() };
        let call = vmm::Call::Reboot { deploy_id: "one-5".into(), host: "node1".into(), action: String::new() };
        Self { guest, call: Call::Vmm(call), policy, time: Duration::from_secs(20) }
    }

    /// Other limits.
    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.policy.limits);
        self
    }

    /// The grants of this policy, without its limits.
    pub fn granting(mut self, policy: &str) -> Self {
        let policy = Policy::parse(&format!("schema = 1\n{policy}"), Path::new("policy.toml")).unwrap();
        self.policy = Policy { limits: self.policy.limits, ..policy };
        self
    }

    /// Another call.
    pub fn calling(mut self, call: vmm::Call) -> Self {
        self.call = Call::Vmm(call);
        self
    }

    /// `pre` of a network driver.
    pub fn pre(mut self) -> Self {
        self.call = Call::Vnm(vnm::Call::Pre { vm: "<VM><ID>5</ID></VM>".into() });
        self
    }

    /// `reboot` with this deploy id and document: what the attack is to be tried on.
    pub fn with(self, id: &str, action: &str) -> Self {
        self.calling(vmm::Call::Reboot { deploy_id: id.into(), host: "node1".into(), action: action.into() })
    }

    /// The action's deadline.
    pub fn milliseconds(mut self, time: u64) -> Self {
        self.time = Duration::from_millis(time);
        self
    }

    /// The policy, for executors that ask it themselves.
    pub fn policy(&self) -> Arc<Policy> {
        Arc::new(self.policy.clone())
    }

    /// The guest, compiled once for all tests of this process.
    pub fn driver(&self) -> Driver {
        type Compiled = BTreeMap<(&'static str, u64), (Engine, Component)>;
        static COMPILED: Mutex<Compiled> = Mutex::new(BTreeMap::new());
        let limits = &self.policy.limits;
        let key = (self.guest.name(), limits.stack_kib);
        let known = COMPILED.lock().unwrap().get(&key).cloned();
        let (engine, component) = known.unwrap_or_else(|| {
            let engine = engine(limits).unwrap();
            let component = compile::compile(&engine, &self.guest.component()).unwrap();
            COMPILED.lock().unwrap().entry(key).or_insert((engine, component)).clone()
        });
        Driver::new(engine, component)
    }

    /// Calls the driver on an executor.
    pub fn on<E: Executor + Send + 'static>(self, executor: E) -> Ended<E> {
        self.made(|_, _| executor)
    }

    /// Calls the driver on an executor that wants policy and deadline.
    pub fn made<E: Executor + Send + 'static>(self, make: impl FnOnce(Arc<Policy>, Deadline) -> E) -> Ended<E> {
        self.call_of(&self.driver(), make)
    }

    /// Calls a driver that is there already.
    pub fn call_of<E: Executor + Send + 'static>(
        &self,
        driver: &Driver,
        make: impl FnOnce(Arc<Policy>, Deadline) -> E,
    ) -> Ended<E> {
        let (policy, deadline) = (self.policy(), Deadline::after(self.time));
        let executor = make(policy.clone(), deadline);
        let call = self.call.clone();
        let outcome = driver.call(&call, Pipeline::new(policy, Memory::default(), executor), deadline, None);
        let printed = printed(&call, &outcome.result);
        let Pipeline { journal, executor, .. } = outcome.pipeline;
        Ended { result: outcome.result, journal, executor, printed }
    }
}

impl<E> Ended<E> {
    /// Why there is no reply; the journal and oned are told the same.
    pub fn error(&self) -> &RunError {
        let error = match &self.result {
            Err(error) => error,
            Ok(reply) => panic!("expected the action to be ended, but the driver replied {reply:?}"),
        };
        assert_eq!(self.journal.aborted.as_ref(), Some(&error.to_string()));
        self.assert_protocol();
        assert_ne!(self.printed.code, 0);
        assert_ne!(self.printed.stderr, "");
        error
    }

    /// The failure that the driver replied with.
    pub fn failure(&self) -> &Failure {
        self.assert_protocol();
        match &self.result {
            Ok(reply) => reply.failure().unwrap_or_else(|| panic!("expected a failure, but the reply is {reply:?}")),
            Err(error) => panic!("expected a reply, but the action was ended: {error}"),
        }
    }

    /// That the driver came to its end without an error of its own.
    pub fn assert_done(&self) {
        self.assert_protocol();
        match &self.result {
            Ok(reply) => assert_eq!(reply.failure(), None),
            Err(error) => panic!("expected a reply, but the action was ended: {error}"),
        }
    }

    /// That oned reads nothing but what the convention has: whole lines without marks of the protocol.
    pub fn assert_protocol(&self) {
        let Printed { stdout, stderr, code } = &self.printed;
        assert_ne!(*code, 42, "the front-end takes 42 for a missing script");
        assert!(stderr.is_empty() || stderr.ends_with('\n'), "{stderr:?} does not end with a newline");
        assert!(stderr.lines().count() <= 1, "{stderr:?}: one line is for the user");
        assert!(stdout.lines().count() <= 1, "{stdout:?}");
        for mark in ["ExitCode:", "EOF_", "LOG ", "ERROR:", "INFO:", "DEBUG:", "WARN:"] {
            let marked = |line: &str| line.trim_start().starts_with(mark);
            assert!(!stderr.lines().chain(stdout.lines()).any(marked), "{stdout:?} {stderr:?} has the mark {mark}");
        }
        assert!(!stdout.contains("EOF_OUT"), "{stdout:?}");
        let unfit = |c: char| c.is_control() && c != '\n';
        assert!(!stdout.contains(unfit) && !stderr.contains(unfit), "{stdout:?} {stderr:?}");
    }
}
