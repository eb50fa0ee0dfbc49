//! The dry run.

mod bring;
mod domains;
mod files;
mod moves;
mod network;
mod openvswitch;
mod reality;
mod rules;
mod shadow;
mod transfer;

use std::collections::BTreeMap;
use std::time::Duration;

use remotes_effect::tools::Outcome;
use remotes_effect::transfer::Effect as Transfer;
use remotes_effect::types::{Failure, Node};
use remotes_effect::{Answer, Effect, Executor, clock, filesystem, sriov, tools};

use crate::files::MAX_UNPACKED;
use crate::libvirt::{Agent, Guest, Reaction};
use crate::{Machine, Simulation};
use domains::Known;
use reality::Reality;
use rules::Copied;
use shadow::Shadow;

/// Bytes that a plan keeps of what a driver hands over: it may write the same file again and again.
const MOST_KEPT: u64 = 256 * 1024 * 1024;

/// An executor that changes nothing and lists what would be changed.
///
/// What only looks goes to the real executor `E`, as long as the plan has not touched the thing; then,
/// as everything that changes, to a [`Simulation`] into which the real domains and files are copied when
/// they are first touched. So a driver sees the consequences of what it does, and comes to its natural
/// end. Guests in it do what they are asked to; sleeping takes no time.
///
/// Executors never get an effect that changes something from it, whatever a driver does.
#[derive(Debug)]
pub struct Plan<E> {
    real: Reality<E>,
    overlay: Simulation,
    files: BTreeMap<String, Shadow>,
    domains: BTreeMap<String, Known>,
    steps: Vec<Effect>,
    /// bytes of the effects that change something, and of what they unpack
    kept: u64,
    /// Until the clock has been read: how long the action may take.
    limit: Option<Duration>,
    started: bool,
    /// Whether the overlay has the real links.
    linked: bool,
    /// What the overlay has of the real rules and sets.
    rules: Copied,
    /// Whether the overlay has the real bridges of Open vSwitch.
    switched: bool,
}

impl<E: Executor> Plan<E> {
    /// A plan against this reality.
    pub fn new(real: E) -> Self {
        Self {
            real: Reality(real),
            overlay: Simulation::new(),
            files: BTreeMap::new(),
            domains: BTreeMap::new(),
            steps: Vec::new(),
            kept: 0,
            limit: None,
            started: false,
            linked: false,
            rules: Copied::default(),
            switched: false,
        }
    }

    /// How long the action may take, counted in time slept: without it a driver that waits for something
    /// that never comes waits until the policy's number of effects is used up.
    pub fn limit(mut self, time: Duration) -> Self {
        self.limit = Some(time);
        self
    }

    /// What would be changed, in order. What fails is not listed.
    pub fn steps(&self) -> &[Effect] {
        &self.steps
    }

    /// The overlay's machine for a node, made when first asked for.
    fn machine(&mut self, on: &Node) -> &mut Machine {
        self.start();
        let fresh = || {
            let mut machine = Machine::new();
            machine.libvirt.other_guests = obedient();
            machine
        };
        match on {
            Node::Here => &mut self.overlay.here,
            Node::Host(name) => self.overlay.hosts.entry(name.clone()).or_insert_with(fresh),
        }
    }

    /// Sets the overlay's clock, once, by the real one.
    fn start(&mut self) {
        if self.started {
            return;
        }
        self.started = true;
        self.overlay.here.libvirt.other_guests = obedient();
        if let Answer::Clock(clock::Answer::Now(now)) = self.real.look(&Effect::Clock(clock::Effect::Now {})) {
            self.overlay.clock.milliseconds = now.saturating_mul(1000);
        }
        let limit = self.limit.map(|limit| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
        self.overlay.clock.deadline = limit.map(|limit| self.overlay.clock.milliseconds.saturating_add(limit));
    }

    /// To the overlay.
    fn pretend(&mut self, effect: &Effect) -> Answer {
        for on in effect.nodes() {
            self.machine(on);
        }
        self.overlay.execute(effect)
    }
}

impl<E: Executor> Executor for Plan<E> {
    fn execute(&mut self, effect: &Effect) -> Answer {
        if effect.changes() {
            self.kept = self.kept.saturating_add(weight(effect));
            if self.kept > MOST_KEPT {
                let most = MOST_KEPT / 1024 / 1024;
                let why = format!("a dry run keeps no more than {most} MiB of what a driver writes and asks for");
                return effect.decline(Failure::failed(format!("{}: {why}", effect.name())));
            }
        }
        let (answer, done) = match effect {
            Effect::Clock(_) => {
                self.start();
                (self.overlay.execute(effect), false)
            }
            Effect::Log(_) | Effect::Configuration(_) | Effect::Tools(tools::Effect::Available { .. }) => {
                (self.real.look(effect), false)
            }
            Effect::Tools(tools::Effect::Run { .. }) => {
                let outcome = Outcome { status: 0, stdout: Vec::new(), stderr: Vec::new() };
                (Answer::Tools(tools::Answer::Run(Ok(outcome))), true)
            }
            Effect::Filesystem(on_files) => self.filesystem(effect, on_files),
            Effect::Image(on_image) => self.image(effect, on_image),
            Effect::Transfer(Transfer::Copy { source, target }) => self.transfer(effect, source, target),
            Effect::Hooks(on_hooks) => self.hooks(effect, on_hooks),
            Effect::Locks(_) => (self.pretend(effect), true),
            Effect::Iptables(on_iptables) => (self.iptables(effect, on_iptables), true),
            Effect::Links(on_links) => (self.links(effect, on_links), true),
            Effect::Openvswitch(_) => (self.openvswitch(effect), true),
            // What a driver set up it never asks for.
            Effect::Sriov(sriov::Effect::Find { .. }) => (self.real.look(effect), false),
            Effect::Sriov(sriov::Effect::Configure { .. }) => (Answer::Sriov(sriov::Answer::Configure(Ok(()))), true),
            Effect::Sriov(sriov::Effect::Offload { .. }) => (Answer::Sriov(sriov::Answer::Offload(Ok(()))), true),
            Effect::Tproxy(_) => (self.proxies(effect), true),
            Effect::Libvirt(on_domain) => (self.libvirt(effect, on_domain), true),
        };
        if done && effect.changes() && answer.failure().is_none() {
            self.steps.push(effect.clone());
        }
        answer
    }
}

/// About how many bytes an effect takes.
fn weight(effect: &Effect) -> u64 {
    struct Count(u64);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len() as u64;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Counting cannot fail.
    let _ = serde_json::to_writer(&mut count, effect);
    let unpacked = matches!(effect, Effect::Filesystem(filesystem::Effect::Unpack { .. }));
    count.0 + if unpacked { MAX_UNPACKED } else { 0 }
}

/// A guest that does at once, or nearly so, what it is asked to.
fn obedient() -> Guest {
    Guest {
        power_button: Reaction::AfterPolls(1),
        unplug: Reaction::AfterPolls(0),
        agent: Agent::answering([]),
        tray_locked: false,
    }
}

/// Where a node's share of the plan is kept.
fn key(on: &Node) -> String {
    match on {
        Node::Here => String::new(),
        Node::Host(name) => name.clone(),
    }
}
