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
use crate::network::netlink::Netlink;

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

    fn vlans(&mut self, port: &str, vlans: Vec<BridgeVlanInfo>, what: &str) -> Result<LinkMessage, Failure> {
        let mut message = LinkMessage::default();
        message.header.interface_family = AddressFamily::Bridge;
        message.header.index = self.index(port, what)?;
        message.attributes = vec![LinkAttribute::AfSpecBridge(vlans.into_iter().map(AfSpecBridge::VlanInfo).collect())];
        Ok(message)
    }
}

/// A message about the link of this name.
fn named(name: &str, more: impl IntoIterator<Item = LinkAttribute>) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(name.to_owned()));
    message.attributes.extend(more);
    message
}

fn family(network: &Network) -> AddressFamily {
    if network.address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

impl Change for Kernel {
    fn make(&mut self, new: New<'_>) -> Result<(), Failure> {
        let what = format!("make {} {}", new.kind(), new.name());
        let mut message = named(new.name(), []);
        message.header.flags = LinkFlags::Up;
        message.header.change_mask = LinkFlags::Up;
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
        let filtering = InfoData::Bridge(vec![InfoBridge::VlanFiltering(true)]);
        let info = LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge), LinkInfo::Data(filtering)]);
        let what = format!("have bridge {bridge} filter VLANs");
        self.change(RouteNetlinkMessage::NewLink(named(bridge, [info])), &what)
    }

    fn add_vlan(&mut self, vlan: &PortVlan) -> Result<(), Failure> {
        let what = format!("add VLAN {} to port {}", vlan.id, vlan.port);
        let mut flags = BridgeVlanInfoFlags::empty();
        flags.set(BridgeVlanInfoFlags::Pvid, vlan.pvid);
        flags.set(BridgeVlanInfoFlags::Untagged, vlan.untagged);
        let message = self.vlans(&vlan.port, vec![BridgeVlanInfo { flags, vid: vlan.id }], &what)?;
        self.change(RouteNetlinkMessage::SetLink(message), &what)
    }

    fn remove_vlans(&mut self, port: &str, first: u16, last: u16) -> Result<(), Failure> {
        let what = format!("remove VLANs {first}-{last} from port {port}");
        let end = |flags, vid| BridgeVlanInfo { flags, vid };
        let range = match first == last {
            true => vec![end(BridgeVlanInfoFlags::empty(), first)],
            false => vec![end(BridgeVlanInfoFlags::RangeBegin, first), end(BridgeVlanInfoFlags::RangeEnd, last)],
        };
        let message = self.vlans(port, range, &what)?;
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
