//! What there is to see.

use std::path::Path;

use anyhow::{Result, bail};
use remotes_effect::iptables::{Family, ListedChain};
use remotes_effect::types::Failure;
use remotes_effect::{Answer, Effect, iptables, links, openvswitch};
use remotes_network::iptables::bridged::Bridged;
use remotes_network::openvswitch::is_installed;

use super::asked::{self, Asked, known};
use super::deployed;
use super::seen::{ENTRY, Rules, Seen, Switch};

/// What names of the drivers' chains and sets begin with.
const BEGINNING: &str = "one-";

/// Looks, also into the folder in which the datastores are.
pub fn look(datastores: &Path) -> Result<Seen> {
    let mut asked = asked::host(datastores)?;
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
    seen.deployed = deployed::look(&mut asked, &seen.vms(), datastores, &mut seen.unseen)?;
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
