//! What a change has to know of the rules that there are. On a host with many machines that is little of
//! all: listing everything would make each change the slower, the more machines there are.

use std::collections::BTreeSet;

use netlink_packet_core::NetlinkSerializable;
use netlink_sys::protocols::NETLINK_NETFILTER;
use remotes_effect::iptables::{Change, Family, PlacedRule, Position, Table, TableChange};
use remotes_effect::network::chains::{Chains, is_of_family};
use remotes_effect::types::Failure;

use super::stepwise;
use crate::network::netlink::{Netlink, NetlinkError, attributes};
use crate::network::privileged::Privileged;
use crate::process::system_program;

/// As long as there are fewer chains than this for each that is needed, one listing of all costs less than
/// one of each.
const WORTH: usize = 30;

/// `NFNL_SUBSYS_NFTABLES` and `NFT_MSG_GETCHAIN`
const GET_CHAIN: u16 = 10 << 8 | 4;
/// `NFTA_CHAIN_TABLE` and `NFTA_CHAIN_NAME`
const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;

/// A listing in the form of `iptables-save` that has what these changes depend on: the names of all chains,
/// and the rules of those that matter.
pub(super) fn listing(privileged: &Privileged, family: Family, tables: &[&TableChange]) -> Result<String, Failure> {
    if tables.iter().all(|change| change.table == Table::Filter)
        && let Some(names) = chains(family)
    {
        let needed = needed(&names, tables.iter().flat_map(|change| &change.changes));
        if names.len() > needed.len().max(1) * WORTH {
            return list(privileged, family, &names, &needed);
        }
    }
    all(privileged, family)
}

/// The chains of one table.
pub(super) fn chains_of(privileged: &Privileged, family: Family, table: &str) -> Result<Chains, Failure> {
    Ok(Chains::parse(&all(privileged, family)?, table))
}

/// A listing of everything.
fn all(privileged: &Privileged, family: Family) -> Result<String, Failure> {
    let program = match family {
        Family::Ipv4 => "iptables-save",
        Family::Ipv6 => "ip6tables-save",
    };
    let listing = privileged.must(program, &[], &format!("list the rules ({program})"))?;
    String::from_utf8(listing).map_err(|_| Failure::failed(format!("{program}: its listing is not UTF-8")))
}

fn list(
    privileged: &Privileged,
    family: Family,
    names: &BTreeSet<String>,
    needed: &BTreeSet<&str>,
) -> Result<String, Failure> {
    let program = stepwise::program(family);
    let mut listing = "*filter\n".to_owned();
    names.iter().for_each(|name| listing += &format!(":{name} - [0:0]\n"));
    for chain in needed {
        let what = format!("list the rules of chain {chain} ({program})");
        let rules = privileged.must(program, &["-w", "10", "-S", chain], &what)?;
        let rules = String::from_utf8_lossy(&rules);
        rules.lines().filter(|line| line.starts_with("-A ")).for_each(|line| listing += &format!("{line}\n"));
    }
    Ok(listing)
}

/// The chains of these names whose rules the changes depend on.
fn needed<'a>(names: &BTreeSet<String>, changes: impl Iterator<Item = &'a Change>) -> BTreeSet<&'a str> {
    let mut needed = BTreeSet::new();
    for change in changes {
        match change {
            // Whether it is there says its name.
            Change::EnsureChain(_) => {}
            Change::ReplaceChain(chain) => drop(needed.insert(chain.name.as_str())),
            // Nothing leads to chains that are not there.
            Change::RemoveChains(removal) if names.iter().any(|name| is_of_family(name, &removal.base)) => {
                needed.extend(removal.callers.iter().map(String::as_str));
            }
            Change::RemoveChains(_)
            | Change::AddRule(PlacedRule { position: Position::First | Position::Last, .. }) => {}
            Change::AddRule(placed)
            | Change::EnsureRule(placed)
            | Change::EnsureJump(placed)
            | Change::RemoveRule(placed) => drop(needed.insert(placed.chain.as_str())),
        }
    }
    needed.retain(|name| names.contains(*name));
    needed
}

/// The names of all chains of the table of filters; none where iptables keeps its rules elsewhere than in
/// nf_tables, or the kernel does not say.
fn chains(family: Family) -> Option<BTreeSet<String>> {
    let program = system_program("iptables-save")?.canonicalize().ok()?;
    let is_nft = program.file_name()?.to_str()?.contains("nft");
    if is_nft { ask(family).ok() } else { None }
}

fn ask(family: Family) -> Result<BTreeSet<String>, NetlinkError> {
    let replies = Netlink::connect(NETLINK_NETFILTER)?.list(&GetChains(family))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned();
    let name = |reply: &[u8]| {
        // Behind `struct nfgenmsg`.
        let values: Vec<_> = attributes(reply.get(4..)?).collect();
        let value = |wanted| values.iter().find(|(kind, _)| *kind == wanted).map(|(_, bytes)| text(bytes));
        value(CHAIN_NAME).filter(|_| value(CHAIN_TABLE).as_deref() == Some("filter"))
    };
    Ok(replies.iter().filter_map(|reply| name(&reply.0)).collect())
}

/// Asks for all chains of a family.
#[derive(Clone)]
struct GetChains(Family);

impl NetlinkSerializable for GetChains {
    fn message_type(&self) -> u16 {
        GET_CHAIN
    }

    fn buffer_len(&self) -> usize {
        4
    }

    fn serialize(&self, buffer: &mut [u8]) {
        // `struct nfgenmsg`: family, version, resource
        let family = match self.0 {
            Family::Ipv4 => 2,
            Family::Ipv6 => 10,
        };
        buffer.copy_from_slice(&[family, 0, 0, 0]);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use remotes_effect::iptables::{Chain, Removal, Rule, Target};

    use super::*;

    fn placed(chain: &str, position: Position) -> PlacedRule {
        PlacedRule { chain: chain.into(), rule: Rule { conditions: vec![], target: Target::Accept }, position }
    }

    #[test]
    fn only_chains_that_a_change_depends_on_are_needed() {
        let names: BTreeSet<String> =
            ["opennebula", "FORWARD", "INPUT", "one-1-0-i", "one-2-0-i"].map(str::to_owned).into();
        let removal = |base: &str| {
            Change::RemoveChains(Removal { base: base.into(), callers: vec!["opennebula".into(), "INPUT".into()] })
        };
        let chain = |name: &str| Chain { name: name.into(), rules: vec![] };
        let of = |changes: &[Change]| -> Vec<String> {
            needed(&names, changes.iter()).into_iter().map(str::to_owned).collect()
        };
        assert_eq!(of(&[removal("one-1-0")]), ["INPUT", "opennebula"]);
        assert_eq!(of(&[removal("one-1"), removal("one-3-0")]), ["INPUT", "opennebula"]);
        assert_eq!(of(&[removal("one-3-0"), Change::ReplaceChain(chain("one-3-0-i"))]), [""; 0]);
        assert_eq!(
            of(&[Change::ReplaceChain(chain("one-2-0-i")), Change::EnsureChain(chain("opennebula"))]),
            ["one-2-0-i"]
        );
        assert_eq!(of(&[Change::AddRule(placed("INPUT", Position::First))]), [""; 0]);
        assert_eq!(of(&[Change::AddRule(placed("INPUT", Position::BehindItsLike))]), ["INPUT"]);
        assert_eq!(of(&[Change::EnsureJump(placed("FORWARD", Position::Last))]), ["FORWARD"]);
        assert_eq!(of(&[Change::RemoveRule(placed("opennebula", Position::Last))]), ["opennebula"]);
    }
}
