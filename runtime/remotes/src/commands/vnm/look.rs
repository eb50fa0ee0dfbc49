//! What there is to see, asked for as a driver asks: effects that change nothing, under a policy that grants
//! nothing else.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use remotes_effect::deadline::Deadline;
use remotes_effect::iptables::{Family, ListedChain, ListedSet};
use remotes_effect::journal::Nothing;
use remotes_effect::links::Link;
use remotes_effect::openvswitch::{self, Bridge, ListedFlow};
use remotes_effect::pipeline::Pipeline;
use remotes_effect::policy::Policy;
use remotes_effect::types::Failure;
use remotes_effect::{Answer, Effect, iptables, links};
use remotes_host::{Machine, Surroundings};
use remotes_network::iptables::bridged::Bridged;
use remotes_network::openvswitch::is_installed;

use super::deployed::{self, Deployed};
use super::flows::Key;
use super::host;
use crate::output;

const POLICY: &str = r#"
schema = 1
[links]
[iptables]
chains = ["one-*"]
shared = ["opennebula"]
callers = ["FORWARD", "INPUT"]
sets = ["one-*"]
[openvswitch]
bridges = ["*"]
[paths]
"#;

/// The chain that the interfaces' chains are called from.
pub const ENTRY: &str = "opennebula";
/// What names of the drivers' chains and sets begin with.
const BEGINNING: &str = "one-";

/// What was seen.
#[derive(Debug, Default)]
pub struct Seen {
    pub links: Vec<Link>,
    /// rules of IPv4 and of IPv6; none where they could not be seen
    pub rules: [Option<Rules>; 2],
    /// none where they could not be seen
    pub sets: Option<Vec<ListedSet>>,
    /// bridges of Open vSwitch
    pub switches: Vec<Switch>,
    /// whether there may be such that could not be seen
    pub is_switch_unseen: bool,
    /// what interfaces were deployed with
    pub deployed: BTreeMap<Key, Deployed>,
    /// what could not be seen, and why
    pub unseen: Vec<String>,
}

/// One family's chains.
#[derive(Debug, Default)]
pub struct Rules {
    /// of the interfaces
    pub chains: Vec<ListedChain>,
    /// rules of the chain that calls them
    pub entry: Vec<String>,
    /// those of FORWARD, which leads there
    pub forward: Vec<String>,
    /// those of INPUT, which leads to the chains of what machines send
    pub input: Vec<String>,
    /// the bridges whose packets meet them
    pub bridged: Bridged,
}

/// A bridge of Open vSwitch.
#[derive(Debug)]
pub struct Switch {
    pub bridge: Bridge,
    /// none where they could not be seen
    pub flows: Option<Vec<ListedFlow>>,
}

/// What is asked.
pub type Asked = Pipeline<Nothing, Machine>;

/// Looks, also into the folder in which the datastores are.
pub fn look(datastores: &Path) -> Result<Seen> {
    let policy = format!("{POLICY}{} = \"ro\"\n", toml::Value::from(datastores.to_string_lossy().as_ref()));
    let policy = Arc::new(Policy::parse(&policy, Path::new("the policy of vnm show"))?);
    let machine = Machine::new(Surroundings {
        policy: policy.clone(),
        tree: "/".into(),
        deadline: Deadline::after(Duration::from_secs(60)),
        libvirt_server: "/nonexistent".into(),
        log: Box::new(|_, text| output::complain(text)),
    });
    let mut asked = Pipeline::new(policy, Nothing, machine);
    let links = match asked.perform(Effect::Links(links::Effect::Entries {}))? {
        Answer::Links(links::Answer::Entries(Ok(links))) => links,
        answer => bail!("{}", answer.failure().map_or("the links cannot be listed", |failure| &failure.message)),
    };
    let mut seen = Seen { links, ..Seen::default() };
    for (place, family) in [Family::Ipv4, Family::Ipv6].into_iter().enumerate() {
        let name = if family == Family::Ipv4 { "IPv4" } else { "IPv6" };
        seen.rules[place] = known(rules(&mut asked, family)?, &format!("rules of {name}"), &mut seen.unseen);
    }
    let sets = match asked.perform(Effect::Iptables(iptables::Effect::Sets { beginning: BEGINNING.to_owned() }))? {
        Answer::Iptables(iptables::Answer::Sets(sets)) => sets,
        answer => bail!("sets: {answer:?} is no answer"),
    };
    seen.sets = known(sets, "sets of addresses", &mut seen.unseen);
    // A host that does without it lacks nothing.
    if is_installed() {
        let switches = switches(&mut asked, &mut seen.unseen)?;
        seen.is_switch_unseen = switches.is_none();
        seen.switches = switches.unwrap_or_default();
    }
    seen.deployed = deployed::look(&mut asked, &host::vms(&seen), datastores, &mut seen.unseen)?;
    Ok(seen)
}

fn rules(asked: &mut Asked, family: Family) -> Result<Result<Rules, Failure>> {
    let mut chains = |beginning: &str| -> Result<Result<Vec<ListedChain>, Failure>> {
        match asked.perform(Effect::Iptables(iptables::Effect::Chains { family, beginning: beginning.to_owned() }))? {
            Answer::Iptables(iptables::Answer::Chains(chains)) => Ok(chains),
            answer => bail!("chains: {answer:?} is no answer"),
        }
    };
    let mut rules = Rules { bridged: Bridged::of_host(family), ..Rules::default() };
    match chains(BEGINNING)? {
        Ok(chains) => rules.chains = chains,
        Err(failure) => return Ok(Err(failure)),
    }
    for (name, rules) in [(ENTRY, &mut rules.entry), ("FORWARD", &mut rules.forward), ("INPUT", &mut rules.input)] {
        match chains(name)? {
            Ok(chains) => {
                let chain = chains.into_iter().find(|chain| chain.name == name);
                *rules = chain.map(|chain| chain.rules).unwrap_or_default();
            }
            Err(failure) => return Ok(Err(failure)),
        }
    }
    Ok(Ok(rules))
}

fn switches(asked: &mut Asked, unseen: &mut Vec<String>) -> Result<Option<Vec<Switch>>> {
    let bridges = match asked.perform(Effect::Openvswitch(openvswitch::Effect::Bridges {}))? {
        Answer::Openvswitch(openvswitch::Answer::Bridges(bridges)) => bridges,
        answer => bail!("bridges: {answer:?} is no answer"),
    };
    let Some(bridges) = known(bridges, "bridges of Open vSwitch", unseen) else { return Ok(None) };
    let mut switches = Vec::with_capacity(bridges.len());
    for bridge in bridges {
        let flows =
            match asked.perform(Effect::Openvswitch(openvswitch::Effect::Flows { bridge: bridge.name.clone() }))? {
                Answer::Openvswitch(openvswitch::Answer::Flows(flows)) => flows,
                answer => bail!("flows: {answer:?} is no answer"),
            };
        let flows = known(flows, &format!("flows of bridge {}", bridge.name), unseen);
        switches.push(Switch { bridge, flows });
    }
    Ok(Some(switches))
}

/// What was answered; where nothing was, why is noted.
pub fn known<T>(result: Result<T, Failure>, what: &str, unseen: &mut Vec<String>) -> Option<T> {
    result.inspect_err(|failure| unseen.push(format!("{what}: {}", failure.message))).ok()
}
