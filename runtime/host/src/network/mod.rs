//! The host's network: links, packet filter, Open vSwitch, the locks of its drivers and the operator's hooks.

pub mod hooks;
pub mod iptables;
pub mod links;
pub mod locks;
pub mod openvswitch;
mod privileged;
pub mod sriov;
