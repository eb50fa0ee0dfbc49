//! This machine, as the executor of every effect.

use std::cell::OnceCell;
use std::path::PathBuf;
use std::sync::Arc;

use remotes_effect::deadline::Deadline;
use remotes_effect::log::Level;
use remotes_effect::policy::Policy;
use remotes_effect::types::{Failure, Node};
use remotes_effect::{Answer, Effect, clock, configuration, filesystem, hooks, image, locks, log, tools, transfer};
use remotes_network::hooks::Hooks;
use remotes_network::locks::Locks;

use crate::clock::Clock;
use crate::configuration::Configuration;
use crate::filesystem::Filesystem;
use crate::image::Images;
use crate::jail::Jail;
use crate::libvirt::Libvirt;
use crate::remote::Hosts;
use crate::ssh::{REMOTE_DIRECTORY, Ssh};
use crate::tools::{Tools, ungranted};
use crate::transfer::{Between, Transfer};
use crate::way::{Network, Ways};

/// Takes one line of the driver's log.
pub type Log = Box<dyn FnMut(Level, &str) + Send>;

/// What an action finds around it.
pub struct Surroundings {
    /// What the driver may do.
    pub policy: Arc<Policy>,
    /// The root of the remotes tree: it has `bin/` and `etc/`.
    pub tree: PathBuf,
    /// When the action must have ended.
    pub deadline: Deadline,
    /// The program that serves libvirt's effects.
    pub libvirt_server: PathBuf,
    /// Where the driver's log lines go.
    pub log: Log,
}

/// The executors of this machine. Nothing is opened, read or started before an effect needs it.
pub struct Machine {
    policy: Arc<Policy>,
    tree: PathBuf,
    deadline: Deadline,
    libvirt_server: PathBuf,
    log: Log,
    jail: OnceCell<Jail>,
    configuration: Configuration,
    libvirt: Option<Libvirt>,
    hosts: Hosts,
    locks: Locks,
    network: Network,
    actions: Option<PathBuf>,
}

impl Machine {
    /// One machine serves one action.
    pub fn new(surroundings: Surroundings) -> Self {
        let Surroundings { policy, tree, deadline, libvirt_server, log } = surroundings;
        let directory = policy.remote_directory.clone().unwrap_or_else(|| REMOTE_DIRECTORY.to_owned());
        let ssh = Ssh { directory: directory.into(), configuration: None };
        Self {
            configuration: Configuration::new(&tree, policy.clone()),
            hosts: Hosts::new(policy.clone(), deadline, ssh),
            network: Network::new(policy.clone(), &tree, deadline, None),
            policy,
            tree,
            deadline,
            libvirt_server,
            log,
            jail: OnceCell::new(),
            libvirt: None,
            locks: Locks::default(),
            actions: None,
        }
    }

    /// The driver's actions lie in this folder; their hooks are beside them.
    pub fn with_actions(mut self, folder: PathBuf) -> Self {
        self.actions = Some(folder);
        self
    }

    /// The locks of network drivers lie in this folder instead of `/tmp`.
    pub fn with_lock_directory(mut self, directory: PathBuf) -> Self {
        self.locks = Locks::below(directory);
        self
    }

    /// The network is changed by one of these ways instead of the host's.
    pub fn with_ways(mut self, ways: Ways) -> Self {
        self.network = Network::new(self.policy.clone(), &self.tree, self.deadline, Some(ways));
        self
    }

    /// Hosts have the remotes tree in this folder, whatever the policy says.
    pub fn with_remote_directory(mut self, directory: PathBuf) -> Self {
        self.hosts.ssh().directory = directory;
        self
    }

    /// ssh reads this configuration file in place of the user's and the system's.
    pub fn with_ssh_configuration(mut self, file: PathBuf) -> Self {
        self.hosts.ssh().configuration = Some(file);
        self
    }

    fn jail(&self) -> &Jail {
        self.jail.get_or_init(|| Jail::new(&self.policy.paths))
    }

    fn here(&mut self, effect: &Effect) -> Result<Answer, Failure> {
        Ok(match effect {
            Effect::Clock(effect) => Answer::Clock(clock::Executor::execute(&mut Clock(self.deadline), effect)),
            Effect::Log(effect) => Answer::Log(log::Executor::execute(self, effect)),
            Effect::Configuration(effect) => {
                Answer::Configuration(configuration::Executor::execute(&mut self.configuration, effect))
            }
            Effect::Filesystem(effect) => {
                let mut executor = Filesystem::new(self.jail(), self.deadline);
                Answer::Filesystem(filesystem::Executor::execute(&mut executor, effect))
            }
            Effect::Image(effect) => {
                let mut executor = Images::new(self.jail(), self.deadline);
                Answer::Image(image::Executor::execute(&mut executor, effect))
            }
            Effect::Tools(effect) => {
                if let (tools::Effect::Available { tool, .. }, Some(actions)) = (effect, &self.actions)
                    && let Some(line) = ungranted(&self.policy, actions, tool)
                {
                    (self.log)(Level::Warning, &line);
                }
                let mut executor = Tools::new(&self.policy, &self.tree, self.deadline);
                Answer::Tools(tools::Executor::execute(&mut executor, effect))
            }
            Effect::Transfer(effect) => {
                let mut executor = Transfer::new(self.jail(), self.deadline);
                Answer::Transfer(transfer::Executor::execute(&mut executor, effect))
            }
            Effect::Hooks(effect) => Answer::Hooks(hooks::Executor::execute(&mut self.hooks()?, effect)),
            Effect::Locks(effect) => {
                Answer::Locks(locks::Executor::execute(&mut self.locks.until(self.deadline), effect))
            }
            Effect::Iptables(_) | Effect::Links(_) | Effect::Openvswitch(_) | Effect::Sriov(_) | Effect::Tproxy(_) => {
                let log = &mut self.log;
                return self.network.call(effect, self.locks.folder(), &mut |level, text| log(level, text));
            }
            Effect::Libvirt(effect) => {
                let libvirt = match &mut self.libvirt {
                    Some(libvirt) => libvirt,
                    none => none.insert(Libvirt::new(
                        &self.libvirt_server,
                        &mut self.configuration,
                        &self.policy,
                        self.deadline,
                    )?),
                };
                return libvirt.call(effect, self.jail.get_or_init(|| Jail::new(&self.policy.paths)));
            }
        })
    }

    fn hooks(&self) -> Result<Hooks<'_>, Failure> {
        let folder = self.actions.as_deref().ok_or_else(|| {
            Failure::unsupported("hooks: this runtime was not told where the driver's actions lie".to_owned())
        })?;
        let output = usize::try_from(self.policy.limits.tool_output_kib).unwrap_or(usize::MAX).saturating_mul(1024);
        Ok(Hooks::new(folder, self.deadline, output))
    }

    fn perform(&mut self, effect: &Effect) -> Result<Answer, Failure> {
        if let Effect::Transfer(transfer::Effect::Copy { source, target }) = effect
            && source.on != target.on
        {
            let between = Between::new(self.jail(), &self.hosts, self.deadline);
            return Ok(Answer::Transfer(transfer::Answer::Copy(between.copy(source, target))));
        }
        let host = match effect.nodes().as_slice() {
            [] => None,
            [first, rest @ ..] if rest.iter().all(|node| node == first) => match first {
                Node::Here => None,
                Node::Host(host) => Some(host.as_str()),
            },
            _ => return Err(Failure::invalid(format!("{}: both places must be on the same node", effect.name()))),
        };
        match host {
            Some(host) => self.hosts.call(host, effect),
            None => self.here(effect),
        }
    }
}

impl log::Executor for Machine {
    fn write(&mut self, level: Level, message: &str) {
        (self.log)(level, message);
    }
}

impl remotes_effect::Executor for Machine {
    fn execute(&mut self, effect: &Effect) -> Answer {
        if self.deadline.passed() {
            let late = format!("{}: the action's time is over, {}", effect.name(), self.deadline.limit());
            let late = Failure::timeout(late);
            if let Some(answer) = effect.refuse(late) {
                return answer;
            }
        }
        let answer = self.perform(effect).unwrap_or_else(|failure| effect.decline(failure));
        for remark in self.configuration.remarks() {
            (self.log)(Level::Warning, &remark);
        }
        answer
    }
}
