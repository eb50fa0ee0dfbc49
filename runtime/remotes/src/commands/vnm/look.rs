//! What there is to see, asked for as a driver asks: effects that change nothing, under a policy that grants
//! nothing else.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use remotes_effect::deadline::Deadline;
use remotes_effect::iptables::{Family, ListedChain, ListedSet};
use remotes_effect::links::Link;
use remotes_effect::pipeline::Pipeline;
use remotes_effect::policy::Policy;
use remotes_effect::text::one_line;
use remotes_effect::types::Failure;
use remotes_effect::{Answer, Effect, iptables, links};
use remotes_host::{Machine, Surroundings};

use crate::output;

const POLICY: &str =
    "schema = 1\n[links]\n[iptables]\nchains = [\"one-*\"]\nshared = [\"opennebula\"]\nsets = [\"one-*\"]\n";

/// The chain that the interfaces' chains are called from.
const ENTRY: &str = "opennebula";
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
}

/// Looks.
pub fn look() -> Result<Seen> {
    let policy = Arc::new(Policy::parse(POLICY, Path::new("the policy of vnm show"))?);
    let machine = Machine::new(Surroundings {
        policy: policy.clone(),
        tree: "/".into(),
        deadline: Deadline::after(Duration::from_secs(60)),
        libvirt_server: "/nonexistent".into(),
        log: Box::new(|_, text| output::complain(&one_line(text))),
    });
    let mut asked = Pipeline::new(policy, remotes_effect::journal::Several::default(), machine);
    let mut perform = |effect| asked.perform(effect);
    let links = match perform(Effect::Links(links::Effect::Entries {}))? {
        Answer::Links(links::Answer::Entries(Ok(links))) => links,
        answer => bail!("{}", answer.failure().map_or("the links cannot be listed", |failure| &failure.message)),
    };
    let mut seen = Seen { links, ..Seen::default() };
    let mut chains = |family, beginning: &str| -> Result<Result<Vec<ListedChain>, Failure>> {
        match perform(Effect::Iptables(iptables::Effect::Chains { family, beginning: beginning.to_owned() }))? {
            Answer::Iptables(iptables::Answer::Chains(chains)) => Ok(chains),
            answer => bail!("chains: {answer:?} is no answer"),
        }
    };
    for (place, family) in [Family::Ipv4, Family::Ipv6].into_iter().enumerate() {
        let rules = match (chains(family, BEGINNING)?, chains(family, ENTRY)?) {
            (Ok(chains), Ok(entry)) => {
                let entry = entry.into_iter().find(|chain| chain.name == ENTRY);
                Ok(Rules { chains, entry: entry.map(|chain| chain.rules).unwrap_or_default() })
            }
            (Err(failure), _) | (_, Err(failure)) => Err(failure),
        };
        let name = if family == Family::Ipv4 { "IPv4" } else { "IPv6" };
        seen.rules[place] = known(rules, &format!("rules of {name}"), &mut seen.unseen);
    }
    let sets = match perform(Effect::Iptables(iptables::Effect::Sets { beginning: BEGINNING.to_owned() }))? {
        Answer::Iptables(iptables::Answer::Sets(sets)) => sets,
        answer => bail!("sets: {answer:?} is no answer"),
    };
    seen.sets = known(sets, "sets of addresses", &mut seen.unseen);
    Ok(seen)
}

fn known<T>(result: Result<T, Failure>, what: &str, unseen: &mut Vec<String>) -> Option<T> {
    result.inspect_err(|failure| unseen.push(format!("{what}: {}", failure.message))).ok()
}
