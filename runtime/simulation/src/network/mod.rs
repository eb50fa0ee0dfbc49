//! The network of a machine: links, packet filter, sets, Open vSwitch, locks, hooks.

mod filter;
mod links;
mod openvswitch;
mod sriov;
mod tproxy;

use std::collections::{BTreeMap, BTreeSet};

use remotes_effect::hooks::{self, Hook, Outcome};
use remotes_effect::iptables::AddressSet;
use remotes_effect::links::{Link, PortVlan};
use remotes_effect::locks;
use remotes_effect::network::chains::Chains;
use remotes_effect::tproxy::Endpoint;
use remotes_effect::types::Failure;
use serde::{Deserialize, Serialize};

use crate::Simulation;
use crate::tools::Run;
pub use openvswitch::Switch;
pub use sriov::SimulatedFunction;

/// What the drivers of virtual networks see and change.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Network {
    /// Links, in the order in which they were made.
    pub links: Vec<Link>,
    /// Addresses by link.
    pub addresses: BTreeMap<String, Vec<String>>,
    /// Bridges that look at VLAN tags.
    pub filtering: BTreeSet<String>,
    /// VLANs of ports.
    pub vlans: Vec<PortVlan>,
    /// Routes, as address and link.
    pub routes: BTreeSet<(String, String)>,
    /// Proxied addresses, as address and link.
    pub proxies: BTreeSet<(String, String)>,
    /// Chains by table: `ipv4 filter`, `ipv6 filter`, `ipv4 nat`.
    pub tables: BTreeMap<String, Chains>,
    /// Sets by name.
    pub sets: BTreeMap<String, AddressSet>,
    /// Bridges of Open vSwitch.
    pub openvswitch: Switch,
    /// Virtual functions of network cards.
    pub functions: Vec<SimulatedFunction>,
    /// Endpoints of transparent proxies by bridge.
    pub transparent_proxies: BTreeMap<String, Vec<Endpoint>>,
    /// Addresses of hosts by name.
    pub names: BTreeMap<String, String>,
    /// Locks that were taken.
    pub locks: Vec<String>,
    /// Locks that others hold, for as long as anybody looks.
    pub locked: BTreeSet<String>,
    /// Hooks by action.
    pub hooks: BTreeMap<String, Vec<SimulatedHook>>,
}

/// A program beside an action, and what its runs come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulatedHook {
    /// its file's name
    pub name: String,
    /// whether it may be run
    pub executable: bool,
    /// what each run comes to
    pub outcome: Outcome,
    /// how it was run
    #[serde(default)]
    pub runs: Vec<Run>,
}

impl Network {
    /// Adds a link that is up, of no bridge.
    pub fn link(mut self, name: &str, kind: &str, master: Option<&str>) -> Self {
        self.links.push(Link {
            name: name.to_owned(),
            kind: kind.to_owned(),
            master: master.map(str::to_owned),
            lower: None,
            vlan: None,
            mtu: 1500,
            up: true,
            mac: "02:00:00:00:00:01".to_owned(),
        });
        self
    }

    /// Adds a program beside an action.
    pub fn hook(mut self, action: &str, name: &str, executable: bool, outcome: Outcome) -> Self {
        let hook = SimulatedHook { name: name.to_owned(), executable, outcome, runs: Vec::new() };
        let hooks = self.hooks.entry(action.to_owned()).or_default();
        hooks.push(hook);
        hooks.sort_by(|a, b| a.name.cmp(&b.name));
        self
    }
}

impl locks::Executor for Simulation {
    fn acquire(&mut self, name: &str) -> Result<(), Failure> {
        match self.try_acquire(name)? {
            true => Ok(()),
            false => Err(Failure::timeout(format!("lock {name}: another driver holds it"))),
        }
    }

    fn try_acquire(&mut self, name: &str) -> Result<bool, Failure> {
        let network = &mut self.here.network;
        let free = !network.locked.contains(name);
        if free {
            network.locks.push(name.to_owned());
        }
        Ok(free)
    }
}

impl hooks::Executor for Simulation {
    fn entries(&mut self, action: &str) -> Result<Vec<Hook>, Failure> {
        let hooks = self.here.network.hooks.get(action).map(Vec::as_slice).unwrap_or_default();
        Ok(hooks.iter().map(|hook| Hook { name: hook.name.clone(), executable: hook.executable }).collect())
    }

    fn run(&mut self, action: &str, name: &str, arguments: &[String], stdin: &[u8]) -> Result<Outcome, Failure> {
        let hooks = self.here.network.hooks.get_mut(action).map(Vec::as_mut_slice).unwrap_or_default();
        let hook = hooks
            .iter_mut()
            .find(|hook| hook.name == name && hook.executable)
            .ok_or_else(|| Failure::not_found(format!("hook {name}: there is no such program beside {action}")))?;
        hook.runs.push(Run { arguments: arguments.to_vec(), stdin: stdin.to_vec() });
        Ok(hook.outcome.clone())
    }
}
