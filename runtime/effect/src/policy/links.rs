//! Network links: bridges, what lies below them, what is made between, and what virtual machines plug in.

use serde::{Deserialize, Serialize};

use super::networks::{self, GrantedNetwork};
use super::pattern::{Pattern, any, listed};
use crate::links::{Bridge, Effect, Endpoint, Vlan, Vxlan};
use crate::network::names::{self, Network};
use crate::network::{proxies, settings};
use crate::types::Failure;

/// The table `[links]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct LinksGrant {
    /// Bridges that are made, changed, and removed when nothing uses them.
    pub bridges: Vec<Pattern>,
    /// Links of the host (`PHYDEV`) that become ports of bridges, or lie below devices.
    pub uplinks: Vec<Pattern>,
    /// VLAN and VXLAN devices that are made and removed.
    pub devices: Vec<Pattern>,
    /// Interfaces of virtual machines.
    pub ports: Vec<Pattern>,
    /// Networks of which single addresses may be routed to bridges and answered for.
    pub networks: Vec<GrantedNetwork>,
}

fn check(what: &str, name: &str, patterns: &[Pattern], key: &str) -> Result<(), Failure> {
    names::link(name)?;
    match any(patterns, name) {
        true => Ok(()),
        false => Err(Failure::denied(format!(
            "{what} {name}: granted are {}; `{key}` under [links] in the driver's policy would allow it",
            listed(patterns)
        ))),
    }
}

impl LinksGrant {
    fn bridge(&self, name: &str) -> Result<(), Failure> {
        check("bridge", name, &self.bridges, "bridges")
    }

    fn uplink(&self, name: &str) -> Result<(), Failure> {
        check("uplink", name, &self.uplinks, "uplinks")
    }

    fn device(&self, name: &str) -> Result<(), Failure> {
        check("device", name, &self.devices, "devices")
    }

    /// What may be a bridge's way out: an uplink or a device above one.
    fn way_out(&self, name: &str) -> Result<(), Failure> {
        self.device(name).or_else(|_| self.uplink(name))
    }

    /// What is plugged into a bridge, its transparent proxy included.
    fn port(&self, name: &str) -> Result<(), Failure> {
        let is_proxys = name.strip_suffix(proxies::PORT).is_some_and(|bridge| self.bridge(bridge).is_ok());
        match is_proxys {
            true => Ok(()),
            false => self.way_out(name).or_else(|_| check("port", name, &self.ports, "ports")),
        }
    }

    fn address(&self, address: &str) -> Result<(), Failure> {
        let network = Network::parse(address)?;
        match network.is_single() && networks::hold(&self.networks, &network) {
            true => Ok(()),
            false => Err(Failure::denied(format!(
                "{address}: granted are single addresses of {}; `networks` under [links] in the driver's policy would allow it",
                networks::shown(&self.networks)
            ))),
        }
    }

    /// Checks everything that the effect shows. What kind of link a name belongs to, the executor sees.
    pub(super) fn check(&self, effect: &Effect) -> Result<(), Failure> {
        match effect {
            Effect::Entries {} | Effect::Find { .. } => Ok(()),
            Effect::MakeBridge { bridge: Bridge { name, settings } } => {
                self.bridge(name)?;
                settings::words("bridge", settings::BRIDGE, settings).map(drop)
            }
            Effect::MakeVlan { vlan: Vlan { name, lower, settings, .. } } => {
                self.device(name)?;
                self.uplink(lower)?;
                settings::words("vlan", settings::VLAN, settings).map(drop)
            }
            Effect::MakeVxlan { vxlan } => self.vxlan(vxlan),
            Effect::Remove { name } => self.device(name),
            Effect::RemoveUnusedBridge { name, uplinks } => {
                self.bridge(name)?;
                uplinks
                    .iter()
                    .filter(|uplink| **uplink != proxies::port(name))
                    .try_for_each(|uplink| self.way_out(uplink))
            }
            Effect::SetMaster { name, master } => {
                self.way_out(name)?;
                master.as_deref().map_or(Ok(()), |master| self.bridge(master))
            }
            Effect::SetMtu { name, .. } => self.device(name),
            Effect::FilterVlans { bridge } => self.bridge(bridge),
            Effect::AddVlans { vlans } => vlans.iter().try_for_each(|vlan| self.port(&vlan.port)),
            Effect::RemoveVlans { port, .. } => self.port(port),
            Effect::Addresses { name } => self.way_out(name),
            Effect::AddRoute { address, link }
            | Effect::RemoveRoute { address, link }
            | Effect::AddProxy { address, link }
            | Effect::RemoveProxy { address, link } => {
                self.bridge(link)?;
                self.address(address)
            }
        }
    }

    fn vxlan(&self, vxlan: &Vxlan) -> Result<(), Failure> {
        self.device(&vxlan.name)?;
        match &vxlan.endpoint {
            Endpoint::Device(lower) => self.uplink(lower)?,
            Endpoint::Address(address) => names::address(address).map(drop)?,
        }
        if let Some(group) = &vxlan.group
            && !names::address(group)?.is_multicast()
        {
            return Err(Failure::invalid(format!("group {group}: expected a multicast address")));
        }
        settings::words("vxlan", settings::VXLAN, &vxlan.settings).map(drop)
    }
}
