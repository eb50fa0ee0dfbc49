//! What links and addresses there are. Looking needs no rights.

use std::collections::BTreeMap;
use std::net::IpAddr;

use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::{LinkAttribute, LinkExtentMask, LinkMessage};
use netlink_packet_route::route::{RouteHeader, RouteMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use remotes_effect::links::Link;
use remotes_effect::types::Failure;

use crate::netlink::{Netlink, attributes, text, value};

/// The kernel's numbers of attributes.
mod kind {
    pub const ADDRESS: u16 = 1;
    pub const NAME: u16 = 3;
    pub const MTU: u16 = 4;
    pub const LINK: u16 = 5;
    pub const MASTER: u16 = 10;
    pub const INFO: u16 = 18;
    pub const LINK_NAMESPACE: u16 = 37;
    pub const INFO_KIND: u16 = 1;
    pub const INFO_DATA: u16 = 2;
    pub const VLAN_ID: u16 = 1;
    pub const VXLAN_ID: u16 = 1;
    pub const VXLAN_LINK: u16 = 3;
    pub const ADDRESS_OF: u16 = 1;
    pub const LOCAL: u16 = 2;
    pub const ROUTE_TO: u16 = 1;
    pub const ROUTE_BY: u16 = 4;
}

/// The sizes of `struct ifinfomsg`, `struct ifaddrmsg` and `struct rtmsg`.
const LINK_HEADER: usize = 16;
const ADDRESS_HEADER: usize = 8;
const ROUTE_HEADER: usize = 12;
/// `IFF_UP`
const UP: u32 = 1;

/// All links, in the kernel's order.
pub(crate) fn links() -> Result<Vec<Link>, Failure> {
    let mut ask = LinkMessage::default();
    ask.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    let listed = Netlink::open().and_then(|mut kernel| kernel.list(&RouteNetlinkMessage::GetLink(ask)));
    let replies = listed.map_err(|error| error.failure("list the links"))?;
    let listed: Vec<Listed> = replies.iter().filter_map(|reply| Listed::read(&reply.0)).collect();
    let names: BTreeMap<u32, &str> = listed.iter().map(|link| (link.index, link.name.as_str())).collect();
    let name = |index: &u32| names.get(index).map(|name| (*name).to_owned());
    Ok(listed.iter().map(|link| link.named(name)).collect())
}

/// The link of this name, where there is one.
pub(super) fn link(name: &str) -> Result<Option<Link>, Failure> {
    let mut kernel = Netlink::open().map_err(|error| error.failure(&format!("look for link {name}")))?;
    let Some(link) = asked(&mut kernel, name)? else { return Ok(None) };
    let mut of = |index: Option<u32>| {
        let mut ask = LinkMessage::default();
        ask.header.index = index?;
        let reply = kernel.get(RouteNetlinkMessage::GetLink(ask)).ok()??;
        Some((index?, Listed::read(&reply.0)?.name))
    };
    let names: BTreeMap<u32, String> = [of(link.master), of(link.lower)].into_iter().flatten().collect();
    Ok(Some(link.named(|index| names.get(index).cloned())))
}

/// The number that the kernel knows a link by; none where there is none of this name.
pub(super) fn index(kernel: &mut Netlink, name: &str) -> Result<Option<u32>, Failure> {
    Ok(asked(kernel, name)?.map(|link| link.index))
}

fn asked(kernel: &mut Netlink, name: &str) -> Result<Option<Listed>, Failure> {
    let mut ask = LinkMessage::default();
    ask.attributes.push(LinkAttribute::IfName(name.to_owned()));
    let failure = match kernel.get(RouteNetlinkMessage::GetLink(ask)) {
        Ok(reply) => return Ok(reply.and_then(|reply| Listed::read(&reply.0))),
        Err(error) => error.failure(&format!("look for link {name}")),
    };
    match failure.kind {
        remotes_effect::types::FailureKind::NotFound => Ok(None),
        _ => Err(failure),
    }
}

/// The addresses of a link, in the kernel's order.
pub(super) fn addresses(name: &str) -> Result<Vec<String>, Failure> {
    let what = format!("list the addresses of {name}");
    let mut kernel = Netlink::open().map_err(|error| error.failure(&what))?;
    let index = index(&mut kernel, name)?
        .ok_or_else(|| Failure::not_found(format!("cannot {what}: there is no link of this name")))?;
    let listed = kernel.list(&RouteNetlinkMessage::GetAddress(AddressMessage::default()));
    let replies = listed.map_err(|error| error.failure(&what))?;
    let of_link = replies.iter().filter(|reply| number(reply.0.get(4..8)) == Some(index));
    Ok(of_link.filter_map(|reply| address(&reply.0)).map(|address| address.to_string()).collect())
}

/// Whether the main table has a route to this one address by this link.
pub(super) fn has_route(to: IpAddr, link: &str) -> Result<bool, Failure> {
    let what = format!("look for the route to {to}");
    let mut kernel = Netlink::open().map_err(|error| error.failure(&what))?;
    let Some(index) = index(&mut kernel, link)? else { return Ok(false) };
    let mut ask = RouteMessage::default();
    ask.header.address_family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let listed = kernel.list(&RouteNetlinkMessage::GetRoute(ask)).map_err(|error| error.failure(&what))?;
    let bytes = match to {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let is_it = |route: &[u8]| {
        let (length, table) = (route.get(1).copied(), route.get(4).copied());
        let said = route.get(ROUTE_HEADER..).unwrap_or_default();
        length.map(usize::from) == Some(bytes.len() * 8)
            && table == Some(RouteHeader::RT_TABLE_MAIN)
            && value(said, kind::ROUTE_TO) == Some(&bytes)
            && number(value(said, kind::ROUTE_BY)) == Some(index)
    };
    Ok(listed.iter().any(|reply| is_it(&reply.0)))
}

/// What a message says of a link.
#[derive(Debug, Default, PartialEq)]
struct Listed {
    index: u32,
    name: String,
    kind: String,
    master: Option<u32>,
    lower: Option<u32>,
    vlan: Option<u32>,
    mtu: u32,
    up: bool,
    mac: String,
}

impl Listed {
    /// Reads an `RTM_NEWLINK`; none where it names no link.
    fn read(message: &[u8]) -> Option<Self> {
        let mut link =
            Self { index: number(message.get(4..8))?, up: number(message.get(8..12))? & UP != 0, ..Self::default() };
        let (mut below, mut elsewhere, mut info) = (None, false, None);
        for (attribute, value) in attributes(message.get(LINK_HEADER..)?) {
            match attribute {
                kind::NAME => link.name = text(value),
                kind::MTU => link.mtu = number(Some(value)).unwrap_or_default(),
                kind::ADDRESS => link.mac = mac(value),
                kind::MASTER => link.master = number(Some(value)),
                kind::LINK => below = number(Some(value)),
                kind::LINK_NAMESPACE => elsewhere = true,
                kind::INFO => info = Some(value),
                _ => {}
            }
        }
        link.informed(info.unwrap_or_default(), below);
        // A number of another namespace says nothing here.
        link.lower.take_if(|_| elsewhere);
        (!link.name.is_empty()).then_some(link)
    }

    /// As it is shown, with the names of the links that it knows by number.
    fn named(&self, name: impl Fn(&u32) -> Option<String>) -> Link {
        Link {
            name: self.name.clone(),
            kind: self.kind.clone(),
            master: self.master.as_ref().and_then(&name),
            lower: self.lower.as_ref().and_then(&name),
            vlan: self.vlan,
            mtu: self.mtu,
            up: self.up,
            mac: self.mac.clone(),
        }
    }

    fn informed(&mut self, info: &[u8], below: Option<u32>) {
        self.kind = value(info, kind::INFO_KIND).map(text).unwrap_or_default();
        let data = value(info, kind::INFO_DATA).unwrap_or_default();
        let of = |wanted| value(data, wanted);
        match self.kind.as_str() {
            "vlan" => {
                let id = of(kind::VLAN_ID).and_then(|value| value.try_into().ok()).map(u16::from_ne_bytes);
                (self.vlan, self.lower) = (id.map(u32::from), below);
            }
            "vxlan" => {
                (self.vlan, self.lower) = (number(of(kind::VXLAN_ID)), number(of(kind::VXLAN_LINK)).or(below));
            }
            _ => {}
        }
    }
}

fn number(bytes: Option<&[u8]>) -> Option<u32> {
    bytes?.try_into().ok().map(u32::from_ne_bytes)
}

fn mac(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

/// The address of an `RTM_NEWADDR`. Where a link has a peer, its own address is the local one.
fn address(message: &[u8]) -> Option<IpAddr> {
    let rest = message.get(ADDRESS_HEADER..)?;
    let value = value(rest, kind::LOCAL).or_else(|| value(rest, kind::ADDRESS_OF))?;
    match value.len() {
        4 => <[u8; 4]>::try_from(value).ok().map(IpAddr::from),
        _ => <[u8; 16]>::try_from(value).ok().map(IpAddr::from),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use netlink_packet_core::Emitable as _;
    use netlink_packet_route::link::{InfoData, InfoKind, InfoVxlan, LinkFlags, LinkInfo};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_is_read() {
        let mut message = LinkMessage::default();
        message.header.index = 7;
        message.header.flags = LinkFlags::Up;
        message.attributes = vec![
            LinkAttribute::IfName("eth1.77".into()),
            LinkAttribute::Mtu(1450),
            LinkAttribute::Address(vec![2, 0, 0, 0, 0, 0x1f]),
            LinkAttribute::Controller(3),
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Vxlan),
                LinkInfo::Data(InfoData::Vxlan(vec![InfoVxlan::Id(77), InfoVxlan::Link(2)])),
            ]),
        ];
        let mut bytes = vec![0; message.buffer_len()];
        message.emit(&mut bytes);
        let expected = Listed {
            index: 7,
            name: "eth1.77".into(),
            kind: "vxlan".into(),
            master: Some(3),
            lower: Some(2),
            vlan: Some(77),
            mtu: 1450,
            up: true,
            mac: "02:00:00:00:00:1f".into(),
        };
        assert_eq!(Listed::read(&bytes), Some(expected));
    }

    proptest! {
        #[test]
        fn any_message_is_read_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            Listed::read(&bytes);
            address(&bytes);
        }
    }
}
