//! Transparent proxies: on which bridges, and to which services.

use serde::{Deserialize, Serialize};

use super::networks::{self, GrantedNetwork};
use super::pattern::{Pattern, any, listed};
use crate::network::names::{self, Network};
use crate::network::proxies;
use crate::tproxy::{Effect, Endpoint};
use crate::types::Failure;

/// The table `[tproxy]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct TproxyGrant {
    /// Bridges that may have proxies.
    pub bridges: Vec<Pattern>,
    /// Ports of these bridges that are no machines: links of the host, and devices above them.
    pub uplinks: Vec<Pattern>,
    /// Names of hosts that may be looked up.
    pub names: Vec<Pattern>,
    /// Networks of which addresses may be a service's.
    pub networks: Vec<GrantedNetwork>,
    /// The daemon's program; absent: `vnm/tproxy` of the remotes tree. Root's bounds have to name one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
}

fn check(what: &str, name: &str, patterns: &[Pattern], key: &str) -> Result<(), Failure> {
    match any(patterns, name) {
        true => Ok(()),
        false => Err(Failure::denied(format!(
            "{what} {name}: granted are {}; `{key}` under [tproxy] in the driver's policy would allow it",
            listed(patterns)
        ))),
    }
}

impl TproxyGrant {
    fn bridge(&self, name: &str) -> Result<(), Failure> {
        proxies::bridge(name)?;
        check("bridge", name, &self.bridges, "bridges")
    }

    fn endpoint(&self, endpoint: &Endpoint) -> Result<(), Failure> {
        let address = Network::parse(&endpoint.remote_address)?;
        match networks::hold(&self.networks, &address) {
            true => Ok(()),
            false => Err(Failure::denied(format!(
                "endpoint {}: granted are services of {}; `networks` under [tproxy] in the driver's policy would allow it",
                proxies::shown(endpoint),
                networks::shown(&self.networks)
            ))),
        }
    }

    /// Checks everything that the effect shows. What is a port of a bridge, the executor sees.
    pub(super) fn check(&self, effect: &Effect) -> Result<(), Failure> {
        match effect {
            Effect::Resolve { name } => {
                proxies::host(name)?;
                check("host", name, &self.names, "names")
            }
            Effect::Up { bridge, endpoints } => {
                self.bridge(bridge)?;
                proxies::check(endpoints)?;
                endpoints.iter().try_for_each(|endpoint| self.endpoint(endpoint))
            }
            Effect::Down { bridge, uplinks } => {
                self.bridge(bridge)?;
                uplinks.iter().filter(|uplink| **uplink != proxies::port(bridge)).try_for_each(|uplink| {
                    names::link(uplink)?;
                    check("uplink", uplink, &self.uplinks, "uplinks")
                })
            }
        }
    }
}
