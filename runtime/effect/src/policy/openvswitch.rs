//! Open vSwitch: which bridges, what may be plugged into them, and whose packets may meet flows.

use serde::{Deserialize, Serialize};

use super::pattern::{Pattern, any, listed};
use crate::network::{flows, switch};
use crate::openvswitch::{Backing, Change, Effect};
use crate::types::Failure;

/// The table `[openvswitch]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct OpenvswitchGrant {
    /// Bridges that are made, and removed when they have no port but uplinks.
    pub bridges: Vec<Pattern>,
    /// Links of the host, and devices above them, that become ports of these bridges or leave them. What
    /// they do with packets is not the driver's.
    pub uplinks: Vec<Pattern>,
    /// Interfaces of virtual machines: their ports' columns, and flows for what comes in by them.
    pub ports: Vec<Pattern>,
    /// Whether it may say how many VLAN tags the switch looks at, which concerns all bridges.
    pub vlan_limit: bool,
}

fn check(what: &str, name: &str, patterns: &[Pattern], key: &str) -> Result<(), Failure> {
    switch::name(name)?;
    match any(patterns, name) {
        true => Ok(()),
        false => Err(Failure::denied(format!(
            "{what} {name}: granted are {}; `{key}` under [openvswitch] in the driver's policy would allow it",
            listed(patterns)
        ))),
    }
}

impl OpenvswitchGrant {
    fn bridge(&self, name: &str) -> Result<(), Failure> {
        check("bridge", name, &self.bridges, "bridges")
    }

    fn uplink(&self, name: &str) -> Result<(), Failure> {
        check("uplink", name, &self.uplinks, "uplinks")
    }

    fn port(&self, name: &str) -> Result<(), Failure> {
        check("port", name, &self.ports, "ports")
    }

    fn plug(&self, name: &str) -> Result<(), Failure> {
        self.uplink(name).or_else(|_| self.port(name))
    }

    fn check_change(&self, change: &Change) -> Result<(), Failure> {
        match change {
            Change::EnsureBridge(bridge) => {
                self.bridge(&bridge.name)?;
                switch::settings(&bridge.settings).map(drop)
            }
            Change::EnsurePort(port) => {
                self.bridge(&port.bridge)?;
                match port.backing {
                    Backing::Link => self.plug(&port.name),
                    Backing::VhostUser => self.port(&port.name),
                }
            }
            Change::SetPort(port) => {
                self.bridge(&port.bridge)?;
                self.port(&port.name)?;
                switch::commands(&port.name, &port.columns).map(drop)
            }
            Change::RemovePort(port) => {
                self.bridge(&port.bridge)?;
                self.plug(&port.name)
            }
        }
    }

    /// Checks everything that the effect shows. Which bridge a port is on, the executor sees.
    pub(super) fn check(&self, effect: &Effect) -> Result<(), Failure> {
        match effect {
            Effect::Bridges {} => Ok(()),
            Effect::Apply { changes } => changes.iter().try_for_each(|change| self.check_change(change)),
            Effect::RemoveUnusedBridge { name, uplinks } => {
                self.bridge(name)?;
                uplinks.iter().try_for_each(|uplink| self.uplink(uplink))
            }
            Effect::Flows { bridge } | Effect::ForgetFlows { bridge, .. } => self.bridge(bridge),
            Effect::ReplaceFlows { bridge, port, flows } => {
                self.bridge(bridge)?;
                self.port(port)?;
                flows.iter().try_for_each(|flow| flows::listed(flow, 1).map(drop))
            }
            Effect::LimitVlans { limit } => match self.vlan_limit {
                true => Ok(()),
                false => Err(Failure::denied(format!(
                    "{limit} VLAN tags: `vlan-limit` under [openvswitch] in the driver's policy would allow it"
                ))),
            },
        }
    }
}
