//! The data centre.

use std::collections::BTreeMap;
use std::sync::Arc;

use remotes_effect::libvirt::State;
use remotes_effect::policy::Policy;
use remotes_effect::tools::Outcome;
use remotes_effect::types::{Failure, Node};
use remotes_effect::{Answer, Effect, Executor, dispatch};
use serde::{Deserialize, Serialize};

use crate::basics::{Clock, Line};
use crate::failures::{Injected, Moment, due};
use crate::libvirt::{Domain, Guest};
use crate::machine::Machine;

/// A data centre in memory, which carries out every effect of the contract.
///
/// ```
/// use remotes_effect::libvirt::State;
/// use remotes_simulation::Simulation;
///
/// let xml = "<domain type='kvm'><name>one-5</name></domain>";
/// let world = Simulation::new()
///     .directory("/var/lib/one/datastores/0/5")
///     .domain(xml, State::Running)
///     .configuration("SHUTDOWN_TIMEOUT", "180");
/// assert_eq!(world.here.find("one-5").map(|domain| domain.state), Some(State::Running));
/// ```
///
/// As serde value it is a state file, in which every part may be left out.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Simulation {
    /// Time.
    pub clock: Clock,
    /// The operator's configuration by key.
    pub configuration: BTreeMap<String, String>,
    /// The machine that runs the driver.
    pub here: Machine,
    /// Other machines by the name oned knows them by; one that is not here cannot be reached.
    pub hosts: BTreeMap<String, Machine>,
    /// Folders that all machines share.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shared: Vec<String>,
    /// What drivers logged.
    pub log: Vec<Line>,
    /// Failures to come.
    pub failures: Vec<Injected>,
    /// How many effects were asked for.
    pub effects: u64,
    /// What the executors of a real machine enforce on the way: the name behind a UUID, the target of a
    /// link. None: everything is allowed. The check of the effect itself is the pipeline's.
    #[serde(skip)]
    pub(crate) policy: Option<Arc<Policy>>,
}

impl Simulation {
    /// An empty data centre of one machine.
    pub fn new() -> Self {
        Self::default()
    }

    fn map_here(mut self, change: impl FnOnce(Machine) -> Machine) -> Self {
        self.here = change(self.here);
        self
    }

    /// See [`Machine::file`].
    pub fn file(self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.map_here(|machine| machine.file(path, content))
    }

    /// See [`Machine::directory`].
    pub fn directory(self, path: &str) -> Self {
        self.map_here(|machine| machine.directory(path))
    }

    /// See [`Machine::link`].
    pub fn link(self, path: &str, target: &str) -> Self {
        self.map_here(|machine| machine.link(path, target))
    }

    /// See [`Machine::domain`].
    pub fn domain(self, xml: &str, state: State) -> Self {
        self.map_here(|machine| machine.domain(xml, state))
    }

    /// See [`Machine::guest`].
    pub fn guest(self, domain: &str, guest: Guest) -> Self {
        self.map_here(|machine| machine.guest(domain, guest))
    }

    /// See [`Machine::tool`].
    pub fn tool(self, name: &str) -> Self {
        self.map_here(|machine| machine.tool(name))
    }

    /// See [`Machine::tool_outcome`].
    pub fn tool_outcome(self, name: &str, outcome: Outcome) -> Self {
        self.map_here(|machine| machine.tool_outcome(name, outcome))
    }

    /// The machine that runs the driver, for what has no method here.
    pub fn here(self, change: impl FnOnce(Machine) -> Machine) -> Self {
        self.map_here(change)
    }

    /// Another machine, by the name oned knows it by.
    pub fn host(mut self, name: &str, machine: Machine) -> Self {
        self.hosts.insert(name.to_owned(), machine);
        self
    }

    /// A folder that all machines share, with what the one that runs the driver has in it.
    pub fn shared(mut self, folder: &str) -> Self {
        self.shared.push(folder.to_owned());
        self
    }

    /// A key of the operator's configuration.
    pub fn configuration(mut self, key: &str, value: &str) -> Self {
        self.configuration.insert(key.to_owned(), value.to_owned());
        self
    }

    /// When the action must have ended, in milliseconds from now.
    pub fn deadline(mut self, milliseconds: u64) -> Self {
        self.clock.deadline = Some(self.clock.milliseconds.saturating_add(milliseconds));
        self
    }

    /// Enforces what of this policy shows only on the way.
    pub fn policy(mut self, policy: impl Into<Arc<Policy>>) -> Self {
        self.policy = Some(policy.into());
        self
    }

    /// The `nth` effect of this name from now on (1 is the next one) fails and does not happen.
    pub fn failing(self, effect: &str, nth: u64, failure: Failure) -> Self {
        self.inject(effect, nth, failure, Moment::Instead)
    }

    /// The `nth` effect of this name from now on happens, and the driver gets a failure all the same.
    pub fn losing(self, effect: &str, nth: u64, failure: Failure) -> Self {
        self.inject(effect, nth, failure, Moment::After)
    }

    fn inject(mut self, effect: &str, nth: u64, failure: Failure, moment: Moment) -> Self {
        self.failures.push(Injected { effect: effect.to_owned(), nth, failure, moment });
        self
    }

    /// The domains of the machine that runs the driver, by name.
    pub fn domains(&self) -> impl Iterator<Item = &Domain> {
        self.here.libvirt.domains.iter()
    }

    /// What was logged, without the severities.
    pub fn messages(&self) -> Vec<&str> {
        self.log.iter().map(|line| line.message.as_str()).collect()
    }

    pub(crate) fn machine(&mut self, on: &Node) -> Result<&mut Machine, Failure> {
        match on {
            Node::Here => Ok(&mut self.here),
            Node::Host(name) => self.hosts.get_mut(name).ok_or_else(|| {
                Failure::unavailable(format!("host {name}: cannot be reached: there is none of this name"))
            }),
        }
    }

    /// Time has passed: what guests were about to do, they have done.
    pub(crate) fn settle(&mut self) {
        let now = self.clock.milliseconds;
        for machine in std::iter::once(&mut self.here).chain(self.hosts.values_mut()) {
            machine.libvirt.settle(now);
        }
    }
}

impl Executor for Simulation {
    fn execute(&mut self, effect: &Effect) -> Answer {
        self.effects += 1;
        self.mirror(&Node::Here);
        let answer = self.carry_out(effect);
        if let Some(node) = effect.nodes().last() {
            self.mirror(node);
        }
        answer
    }
}

impl Simulation {
    fn carry_out(&mut self, effect: &Effect) -> Answer {
        match due(&mut self.failures, effect) {
            None => dispatch(self, effect),
            Some((answer, Moment::Instead)) => answer,
            Some((answer, Moment::After)) => {
                dispatch(self, effect);
                answer
            }
        }
    }
}
