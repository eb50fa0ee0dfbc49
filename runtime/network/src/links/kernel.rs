//! Changes by rtnetlink, a message each. Links are named in the message itself where the kernel takes that, so
//! that nothing can come between finding a link and changing it.

use std::net::IpAddr;

use netlink_packet_route::link::{
    AfSpecBridge, BridgeVlanInfo, BridgeVlanInfoFlags, InfoBridge, InfoData, InfoKind, InfoVlan, InfoVxlan,
    LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::neighbour::NeighbourState;
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use remotes_effect::links::{Endpoint, PortVlan};
use remotes_effect::network::names::{self, Network};
use remotes_effect::types::Failure;

use super::change::{Change, New, verb};
use super::look;
use crate::netlink::Netlink;

/// A connection to the kernel.
pub(super) struct Kernel(Netlink);

impl Kernel {
    /// Connects.
    pub fn open() -> Result<Self, Failure> {
        Netlink::open().map(Self).map_err(|error| error.failure("change links"))
    }

    fn index(&mut self, name: &str, what: &str) -> Result<u32, Failure> {
        look::index(&mut self.0, name)?
            .ok_or_else(|| Failure::not_found(format!("cannot {what}: there is no link {name}")))
    }

    fn change(&mut self, message: RouteNetlinkMessage, what: &str) -> Result<(), Failure> {
        self.0.change(message).map_err(|error| error.failure(what))
    }

    /// What kind of link, with the attributes of that kind.
    fn info(&mut self, new: New<'_>, what: &str) -> Result<Vec<LinkInfo>, Failure> {
        Ok(match new {
            New::Bridge(_) => vec![LinkInfo::Kind(InfoKind::Bridge)],
            New::Vlan(vlan) => {
                vec![LinkInfo::Kind(InfoKind::Vlan), LinkInfo::Data(InfoData::Vlan(vec![InfoVlan::Id(vlan.id)]))]
            }
            New::Vxlan(vxlan) => {
                let mut data = vec![InfoVxlan::Id(vxlan.id)];
                if let Some(group) = &vxlan.group {
                    data.push(match names::address(group)? {
                        IpAddr::V4(group) => InfoVxlan::Group(group),
                        IpAddr::V6(group) => InfoVxlan::Group6(group),
                    });
                }
                data.extend(vxlan.ttl.map(InfoVxlan::Ttl));
                data.push(match &vxlan.endpoint {
                    Endpoint::Device(lower) => InfoVxlan::Link(self.index(lower, what)?),
                    Endpoint::Address(address) => match names::address(address)? {
                        IpAddr::V4(local) => InfoVxlan::Local(local),
                        IpAddr::V6(local) => InfoVxlan::Local6(local),
                    },
                });
                vec![LinkInfo::Kind(InfoKind::Vxlan), LinkInfo::Data(InfoData::Vxlan(data))]
            }
        })
    }
}

/// A message about VLANs of the port with this number.
fn of_port(index: u32, vlans: Vec<BridgeVlanInfo>) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.interface_family = AddressFamily::Bridge;
    message.header.index = index;
    message.attributes = vec![LinkAttribute::AfSpecBridge(vlans.into_iter().map(AfSpecBridge::VlanInfo).collect())];
    message
}

/// The VLANs from `first` to `last`.
fn range(first: u16, last: u16) -> Vec<BridgeVlanInfo> {
    let end = |flags, vid| BridgeVlanInfo { flags, vid };
    match first == last {
        true => vec![end(BridgeVlanInfoFlags::empty(), first)],
        false => vec![end(BridgeVlanInfoFlags::RangeBegin, first), end(BridgeVlanInfoFlags::RangeEnd, last)],
    }
}

/// What has a bridge look at VLAN tags.
fn filtering() -> LinkAttribute {
    let data = InfoData::Bridge(vec![InfoBridge::VlanFiltering(true)]);
    LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge), LinkInfo::Data(data)])
}

/// A message about the link of this name.
fn named(name: &str, more: impl IntoIterator<Item = LinkAttribute>) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(name.to_owned()));
    message.attributes.extend(more);
    message
}

/// The same message, which brings its link up as well.
fn up(mut message: LinkMessage) -> LinkMessage {
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
    message
}

fn family(network: &Network) -> AddressFamily {
    if network.address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

impl Change for Kernel {
    fn make(&mut self, new: New<'_>) -> Result<(), Failure> {
        let what = format!("make {} {}", new.kind(), new.name());
        let mut message = up(named(new.name(), []));
        let mtu = match new {
            New::Bridge(_) => None,
            New::Vlan(vlan) => {
                message.attributes.push(LinkAttribute::Link(self.index(&vlan.lower, &what)?));
                vlan.mtu
            }
            New::Vxlan(vxlan) => vxlan.mtu,
        };
        message.attributes.extend(mtu.map(LinkAttribute::Mtu));
        message.attributes.push(LinkAttribute::LinkInfo(self.info(new, &what)?));
        self.0.create(RouteNetlinkMessage::NewLink(message)).map_err(|error| error.failure(&what))
    }

    fn set_up(&mut self, name: &str) -> Result<(), Failure> {
        self.change(RouteNetlinkMessage::SetLink(up(named(name, []))), &format!("bring {name} up"))
    }

    fn remove(&mut self, name: &str) -> Result<(), Failure> {
        self.change(RouteNetlinkMessage::DelLink(named(name, [])), &format!("remove link {name}"))
    }

    fn set_master(&mut self, name: &str, master: Option<&str>) -> Result<(), Failure> {
        let (index, what) = match master {
            Some(master) => {
                let what = format!("make {name} a port of bridge {master}");
                (self.index(master, &what)?, what)
            }
            None => (0, format!("take {name} out of its bridge")),
        };
        self.change(RouteNetlinkMessage::SetLink(named(name, [LinkAttribute::Controller(index)])), &what)
    }

    fn set_mtu(&mut self, name: &str, mtu: u32) -> Result<(), Failure> {
        let what = format!("set the MTU of {name} to {mtu}");
        self.change(RouteNetlinkMessage::SetLink(named(name, [LinkAttribute::Mtu(mtu)])), &what)
    }

    fn filter_vlans(&mut self, bridge: &str) -> Result<(), Failure> {
        let what = format!("have bridge {bridge} filter VLANs");
        self.change(RouteNetlinkMessage::NewLink(named(bridge, [filtering()])), &what)
    }

    fn add_vlan(&mut self, vlan: &PortVlan) -> Result<(), Failure> {
        let what = format!("add VLAN {} to port {}", vlan.id, vlan.port);
        let mut flags = BridgeVlanInfoFlags::empty();
        flags.set(BridgeVlanInfoFlags::Pvid, vlan.pvid);
        flags.set(BridgeVlanInfoFlags::Untagged, vlan.untagged);
        let message = of_port(self.index(&vlan.port, &what)?, vec![BridgeVlanInfo { flags, vid: vlan.id }]);
        self.change(RouteNetlinkMessage::SetLink(message), &what)
    }

    fn remove_vlans(&mut self, port: &str, first: u16, last: u16) -> Result<(), Failure> {
        let what = format!("remove VLANs {first}-{last} from port {port}");
        let message = of_port(self.index(port, &what)?, range(first, last));
        self.change(RouteNetlinkMessage::DelLink(message), &what)
    }

    fn route(&mut self, add: bool, to: &Network, link: &str) -> Result<(), Failure> {
        let what = format!("{} the route to {to} by {link}", verb(add));
        let mut message = RouteMessage::default();
        message.header.address_family = family(to);
        message.header.destination_prefix_length = to.bits;
        message.header.table = RouteHeader::RT_TABLE_MAIN;
        message.attributes = vec![
            RouteAttribute::Destination(RouteAddress::from(to.address)),
            RouteAttribute::Oif(self.index(link, &what)?),
        ];
        if !add {
            // Whoever made it, and however far it reaches.
            message.header.scope = RouteScope::NoWhere;
            return self.change(RouteNetlinkMessage::DelRoute(message), &what);
        }
        message.header.protocol = RouteProtocol::Boot;
        message.header.scope = if to.address.is_ipv4() { RouteScope::Link } else { RouteScope::Universe };
        message.header.kind = RouteType::Unicast;
        self.0.create(RouteNetlinkMessage::NewRoute(message)).map_err(|error| error.failure(&what))
    }

    fn proxy(&mut self, add: bool, of: &Network, link: &str) -> Result<(), Failure> {
        let what = format!("{} the proxy for {} on {link}", verb(add), of.address);
        let mut message = NeighbourMessage::default();
        message.header.family = family(of);
        message.header.ifindex = self.index(link, &what)?;
        message.header.state = NeighbourState::Permanent;
        message.header.flags = NeighbourFlags::Proxy;
        message.attributes.push(NeighbourAttribute::Destination(NeighbourAddress::from(of.address)));
        match add {
            true => self.0.create(RouteNetlinkMessage::NewNeighbour(message)).map_err(|error| error.failure(&what)),
            false => self.change(RouteNetlinkMessage::DelNeighbour(message), &what),
        }
    }
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::Emitable as _;

    use super::*;

    fn bytes(message: &LinkMessage) -> Vec<u8> {
        let mut bytes = vec![0; message.buffer_len()];
        message.emit(&mut bytes);
        bytes
    }

    /// Not every kernel that this is built on has VLANs: these are the bytes that `bridge` and `ip` send.
    #[test]
    #[cfg(target_endian = "little")]
    fn messages_about_vlans_are_iproute2s() {
        let flags = BridgeVlanInfoFlags::Pvid | BridgeVlanInfoFlags::Untagged;
        let header = |family| [vec![family, 0, 0, 0], vec![4, 0, 0, 0], vec![0; 8]].concat();
        // bridge vlan add dev one-1-0 vid 5 pvid untagged
        let native = of_port(4, vec![BridgeVlanInfo { flags, vid: 5 }]);
        assert_eq!(bytes(&native), [header(7), vec![12, 0, 26, 0, 8, 0, 2, 0, 6, 0, 5, 0]].concat());
        // bridge vlan del dev one-1-0 vid 2-4094
        let attributes = vec![20, 0, 26, 0, 8, 0, 2, 0, 8, 0, 2, 0, 8, 0, 2, 0, 16, 0, 0xfe, 0x0f];
        assert_eq!(bytes(&of_port(4, range(2, 4094))), [header(7), attributes].concat());
        assert_eq!(bytes(&of_port(4, range(9, 9))), [header(7), vec![12, 0, 26, 0, 8, 0, 2, 0, 0, 0, 9, 0]].concat());
        // ip link set dev br0 type bridge vlan_filtering 1
        let mut message = named("br0", [filtering()]);
        message.attributes.remove(0);
        message.header.index = 4;
        // But for the NUL behind the kind, which counts here.
        let kind = [11, 0, 1, 0, b'b', b'r', b'i', b'd', b'g', b'e', 0, 0].to_vec();
        let data = vec![12, 0, 2, 0, 5, 0, 7, 0, 1, 0, 0, 0];
        assert_eq!(bytes(&message), [header(0), vec![28, 0, 18, 0], kind, data].concat());
    }
}
