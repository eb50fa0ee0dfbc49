//! The networks of a host as they are shown.

use serde::Serialize;

use super::deployed::Group;
use super::filter::Filter;
use super::flows::Flows;
use super::vlans::Vlans;

/// The networks of a host.
#[derive(Debug, Serialize)]
pub struct Host {
    pub bridges: Vec<Bridge>,
    /// interfaces of machines on no bridge: routed, or left by machines that are gone
    pub elsewhere: Vec<Machine>,
    /// what could not be seen, and why
    pub unseen: Vec<String>,
}

#[derive(Debug, Serialize)]
pub struct Bridge {
    pub name: String,
    /// whether it is one of Open vSwitch, and none of the kernel's own
    pub openvswitch: bool,
    pub up: bool,
    /// none where the kernel has no link of it
    pub mtu: Option<u32>,
    /// ports that are no machine's
    pub uplinks: Vec<Uplink>,
    pub machines: Vec<Machine>,
}

#[derive(Debug, Serialize)]
pub struct Uplink {
    pub name: String,
    /// the kernel's name of its kind; empty for hardware; none where it has no link: what Open vSwitch makes itself
    pub kind: Option<String>,
    /// none where it has no link
    pub up: Option<bool>,
    /// VLAN, or VXLAN network identifier
    pub id: Option<u32>,
    /// the link below
    pub on: Option<String>,
    /// on a bridge of Open vSwitch
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlans: Option<Vlans>,
    /// the interface whose flows its packets meet
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flows_of: Option<Owner>,
}

#[derive(Debug, Serialize)]
pub struct Owner {
    pub vm: u32,
    pub nic: u32,
}

/// A virtual machine as far as it is on one bridge.
#[derive(Debug, Serialize)]
pub struct Machine {
    pub id: u32,
    pub interfaces: Vec<Interface>,
}

#[derive(Debug, Serialize)]
pub struct Interface {
    pub id: u32,
    /// the host's side of it
    pub port: Option<Port>,
    pub ipv4: Filter,
    pub ipv6: Filter,
    /// on a bridge of Open vSwitch
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlans: Option<Vlans>,
    /// on a bridge of Open vSwitch, or left on one
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flows: Option<Flows>,
    pub sets: Vec<Set>,
    /// Security groups that it was deployed with; none where no description of the machine tells.
    pub deployed_groups: Option<Vec<Group>>,
    /// Security groups that have networks. The chains do not say from which group a rule comes.
    pub groups_with_networks: Vec<u32>,
}

#[derive(Debug, Serialize)]
pub struct Port {
    pub name: String,
    /// what the kernel knows of its link; none where it has none: QEMU serves the switch by a socket
    pub up: Option<bool>,
    pub mac: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct Set {
    pub name: String,
    pub members: u32,
}
