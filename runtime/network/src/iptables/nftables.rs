//! What nf_tables says of the rules that iptables keeps there, without a process: names of chains, where the rules of
//! one chain lead, and whether it began with a certain one.
//!
//! The numbers are those of `linux/netfilter/nf_tables.h`.

use std::collections::BTreeSet;

use netlink_packet_core::{DefaultNla, Emitable as _, NetlinkSerializable};
use netlink_sys::protocols::NETLINK_NETFILTER;
use remotes_effect::iptables::Family;
use rustix::io::Errno;

use crate::netlink::{Netlink, NetlinkError, attributes, text, value};

/// `NFNL_SUBSYS_NFTABLES`
const SUBSYSTEM: u16 = 10 << 8;
/// `NFT_MSG_GETCHAIN` and `NFT_MSG_GETRULE`
const GET_CHAIN: u16 = SUBSYSTEM | 4;
const GET_RULE: u16 = SUBSYSTEM | 7;
/// The size of `struct nfgenmsg`.
const HEADER: usize = 4;

/// Attributes.
mod kind {
    pub const CHAIN_TABLE: u16 = 1;
    pub const CHAIN_HANDLE: u16 = 2;
    pub const CHAIN_NAME: u16 = 3;
    pub const RULE_TABLE: u16 = 1;
    pub const RULE_CHAIN: u16 = 2;
    pub const RULE_HANDLE: u16 = 3;
    pub const RULE_EXPRESSIONS: u16 = 4;
    pub const EXPRESSION_NAME: u16 = 1;
    pub const EXPRESSION_DATA: u16 = 2;
    pub const IMMEDIATE_DATA: u16 = 2;
    pub const DATA_VERDICT: u16 = 2;
    pub const VERDICT_CODE: u16 = 1;
    pub const VERDICT_CHAIN: u16 = 2;
}

/// The names of all chains of a family's table `filter`.
pub(super) fn chains(family: Family) -> Result<BTreeSet<String>, NetlinkError> {
    let replies = Netlink::connect(NETLINK_NETFILTER)?.list(&Question { family, kind: GET_CHAIN, of: Vec::new() })?;
    let name = |reply: &[u8]| {
        let said = reply.get(HEADER..)?;
        value(said, kind::CHAIN_TABLE).filter(|table| text(table) == TABLE)?;
        value(said, kind::CHAIN_NAME).map(text)
    };
    Ok(replies.iter().filter_map(|reply| name(&reply.0)).collect())
}

/// Where the rules of a chain of the table `filter` lead, in their order: `-j TARGET` where all packets go there,
/// [`UNREAD`] before it where only some do.
pub(super) fn targets(family: Family, chain: &str) -> Result<Vec<String>, NetlinkError> {
    let of = vec![named(kind::RULE_TABLE, TABLE), named(kind::RULE_CHAIN, chain)];
    let replies = Netlink::connect(NETLINK_NETFILTER)?.list(&Question { family, kind: GET_RULE, of })?;
    let said = replies.iter().filter_map(|reply| reply.0.get(HEADER..));
    // Kernels before 4.7 answer with the rules of all chains.
    let ours = said.filter(|said| value(said, kind::RULE_CHAIN).is_some_and(|name| text(name) == chain));
    Ok(ours.map(rule).collect())
}

/// How many numbers behind a chain's own are looked at for the rule that it began with: as many chains and rules as
/// are made in one transaction with it before.
const NEAR: u64 = 16;

/// Whether a chain has a rule that leads so, for all packets, and was made soon after the chain. Where it was not, that
/// says nothing. It costs the same however many rules the chain has by now.
pub(super) fn began_with(family: Family, chain: &str, wanted: &str) -> Result<bool, NetlinkError> {
    let mut kernel = Netlink::connect(NETLINK_NETFILTER)?;
    let of = vec![named(kind::CHAIN_TABLE, TABLE), named(kind::CHAIN_NAME, chain)];
    let reply = kernel.get(Question { family, kind: GET_CHAIN, of })?;
    let Some(number) = reply.as_ref().and_then(|reply| handle(reply.0.get(HEADER..)?)) else { return Ok(false) };
    for number in (1..=NEAR).map(|behind| number.saturating_add(behind)) {
        let handle = (kind::RULE_HANDLE, number.to_be_bytes().to_vec());
        let of = vec![named(kind::RULE_TABLE, TABLE), named(kind::RULE_CHAIN, chain), handle];
        match kernel.get(Question { family, kind: GET_RULE, of }) {
            Ok(Some(reply)) if reply.0.get(HEADER..).is_some_and(|said| rule(said) == wanted) => return Ok(true),
            Ok(_) | Err(NetlinkError::Refused { errno: Errno::NOENT, .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

fn handle(chain: &[u8]) -> Option<u64> {
    value(chain, kind::CHAIN_HANDLE)?.try_into().map(u64::from_be_bytes).ok()
}

/// Conditions that were not read.
const UNREAD: &str = "…";

fn rule(said: &[u8]) -> String {
    let (mut conditions, mut target) = (false, None);
    for (_, expression) in attributes(value(said, kind::RULE_EXPRESSIONS).unwrap_or_default()) {
        let data = value(expression, kind::EXPRESSION_DATA).unwrap_or_default();
        match value(expression, kind::EXPRESSION_NAME).map(text).as_deref() {
            Some("counter") => {}
            Some("immediate") => target = verdict(data),
            _ => conditions = true,
        }
    }
    let words = [conditions.then(|| UNREAD.to_owned()), target.or_else(|| Some(UNREAD.to_owned()))];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn verdict(immediate: &[u8]) -> Option<String> {
    let verdict = value(value(immediate, kind::IMMEDIATE_DATA)?, kind::DATA_VERDICT)?;
    let code = i32::from_be_bytes(value(verdict, kind::VERDICT_CODE)?.try_into().ok()?);
    let chain = || value(verdict, kind::VERDICT_CHAIN).map(text);
    match code {
        0 => Some("-j DROP".to_owned()),
        1 => Some("-j ACCEPT".to_owned()),
        -3 => Some(format!("-j {}", chain()?)),
        -4 => Some(format!("-g {}", chain()?)),
        -5 => Some("-j RETURN".to_owned()),
        _ => None,
    }
}

fn attribute(kind: u16, value: Vec<u8>) -> Vec<u8> {
    let attribute = DefaultNla::new(kind, value);
    let mut bytes = vec![0; attribute.buffer_len()];
    attribute.emit(&mut bytes);
    bytes
}

/// The table of filters.
const TABLE: &str = "filter";

fn named(kind: u16, name: &str) -> (u16, Vec<u8>) {
    (kind, format!("{name}\0").into_bytes())
}

/// Asks for chains or rules, of which these attributes say which.
#[derive(Clone)]
struct Question {
    family: Family,
    kind: u16,
    of: Vec<(u16, Vec<u8>)>,
}

impl Question {
    fn body(&self) -> Vec<u8> {
        // `struct nfgenmsg`: family, version, resource
        let family = match self.family {
            Family::Ipv4 => 2,
            Family::Ipv6 => 10,
        };
        let mut body = vec![family, 0, 0, 0];
        self.of.iter().for_each(|(kind, value)| body.extend(attribute(*kind, value.clone())));
        body
    }
}

impl NetlinkSerializable for Question {
    fn message_type(&self) -> u16 {
        self.kind
    }

    fn buffer_len(&self) -> usize {
        self.body().len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&self.body());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use proptest::prelude::*;

    use super::*;

    fn attribute(kind: u16, content: &[u8]) -> Vec<u8> {
        super::attribute(kind, content.to_vec())
    }

    fn expression(name: &str, data: &[u8]) -> Vec<u8> {
        let name = attribute(kind::EXPRESSION_NAME, format!("{name}\0").as_bytes());
        attribute(1, &[name, attribute(kind::EXPRESSION_DATA, data)].concat())
    }

    fn immediate(code: i32, chain: Option<&str>) -> Vec<u8> {
        let mut verdict = attribute(kind::VERDICT_CODE, &code.to_be_bytes());
        chain.inspect(|chain| verdict.extend(attribute(kind::VERDICT_CHAIN, format!("{chain}\0").as_bytes())));
        let data = attribute(kind::IMMEDIATE_DATA, &attribute(kind::DATA_VERDICT, &verdict));
        expression("immediate", &data)
    }

    #[test]
    fn a_rule_says_where_it_leads() {
        let of = |expressions: &[Vec<u8>]| rule(&attribute(kind::RULE_EXPRESSIONS, &expressions.concat()));
        let counter = expression("counter", &[]);
        assert_eq!(of(&[counter.clone(), immediate(1, None)]), "-j ACCEPT");
        assert_eq!(of(&[expression("match", &[]), counter.clone(), immediate(1, None)]), "… -j ACCEPT");
        assert_eq!(of(&[expression("match", &[]), immediate(-3, Some("opennebula"))]), "… -j opennebula");
        assert_eq!(of(&[immediate(-4, Some("x"))]), "-g x");
        assert_eq!(of(&[immediate(-5, None)]), "-j RETURN");
        assert_eq!(of(&[counter, expression("target", &[])]), "… …");
        assert_eq!(of(&[]), "…");
    }

    proptest! {
        #[test]
        fn any_answer_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            rule(&bytes);
        }
    }
}
