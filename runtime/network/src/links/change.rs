//! Changes of links, whichever way they are made.

use remotes_effect::links::{Bridge, PortVlan, Setting, Vlan, Vxlan};
use remotes_effect::network::names::Network;
use remotes_effect::types::Failure;

/// A link that is to be made, and to come up as it is made: nothing can be left halfway.
#[derive(Debug, Clone, Copy)]
pub(super) enum New<'a> {
    Bridge(&'a Bridge),
    Vlan(&'a Vlan),
    Vxlan(&'a Vxlan),
}

impl<'a> New<'a> {
    /// Its name.
    pub fn name(self) -> &'a str {
        match self {
            Self::Bridge(bridge) => &bridge.name,
            Self::Vlan(vlan) => &vlan.name,
            Self::Vxlan(vxlan) => &vxlan.name,
        }
    }

    /// The kernel's name of its kind.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Bridge(_) => "bridge",
            Self::Vlan(_) => "vlan",
            Self::Vxlan(_) => "vxlan",
        }
    }

    /// Options in iproute2's words.
    pub fn settings(self) -> &'a [Setting] {
        match self {
            Self::Bridge(bridge) => &bridge.settings,
            Self::Vlan(vlan) => &vlan.settings,
            Self::Vxlan(vxlan) => &vxlan.settings,
        }
    }
}

/// One way of changing links. Names and addresses have been checked.
pub(super) trait Change {
    /// Makes a link and brings it up.
    fn make(&mut self, new: New<'_>) -> Result<(), Failure>;
    /// Brings a link up.
    fn set_up(&mut self, name: &str) -> Result<(), Failure>;
    /// Removes a link.
    fn remove(&mut self, name: &str) -> Result<(), Failure>;
    /// Makes a link a port of a bridge, or of none.
    fn set_master(&mut self, name: &str, master: Option<&str>) -> Result<(), Failure>;
    /// Sets the size of a link's packets.
    fn set_mtu(&mut self, name: &str, mtu: u32) -> Result<(), Failure>;
    /// Has a bridge look at VLAN tags.
    fn filter_vlans(&mut self, bridge: &str) -> Result<(), Failure>;
    /// Adds a VLAN to a port.
    fn add_vlan(&mut self, vlan: &PortVlan) -> Result<(), Failure>;
    /// Removes VLANs from a port.
    fn remove_vlans(&mut self, port: &str, first: u16, last: u16) -> Result<(), Failure>;
    /// Adds or removes the route to an address.
    fn route(&mut self, add: bool, to: &Network, link: &str) -> Result<(), Failure>;
    /// Adds or removes the answering for an address.
    fn proxy(&mut self, add: bool, of: &Network, link: &str) -> Result<(), Failure>;
}

/// `add` or `remove`, for messages.
pub(super) fn verb(add: bool) -> &'static str {
    if add { "add" } else { "remove" }
}
