//! The host's links as an action finds and leaves them.

use remotes_sdk::links::{Bridge, Link};
use remotes_sdk::network::Nic;
use remotes_sdk::{Failure, info, links};

use crate::settings::Settings;

/// Links by what was looked up at the beginning, and what the action has done since.
pub struct Host {
    links: Vec<Link>,
}

impl Host {
    /// Looks.
    pub fn look() -> Result<Self, Failure> {
        Ok(Self { links: links::entries()? })
    }

    /// A link by name.
    pub fn link(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.name == name)
    }

    /// Whether there is a bridge of this name.
    pub fn has_bridge(&self, name: &str) -> bool {
        self.link(name).is_some_and(|link| link.kind == "bridge")
    }

    /// The ports of a bridge.
    pub fn ports<'a>(&'a self, bridge: &'a str) -> impl Iterator<Item = &'a Link> {
        self.links.iter().filter(move |link| link.master.as_deref() == Some(bridge))
    }

    /// Whether a link is a port of this bridge.
    pub fn is_port(&self, name: &str, bridge: &str) -> bool {
        self.ports(bridge).any(|port| port.name == name)
    }

    /// Makes the interface's bridge where it is missing.
    pub fn ensure_bridge(&mut self, name: &str, settings: &Settings) -> Result<(), Failure> {
        if self.has_bridge(name) {
            return Ok(());
        }
        let bridge = Bridge { name: name.to_owned(), settings: settings.bridge()? };
        if links::make_bridge(&bridge)? {
            info!("bridge {name} was made");
        }
        self.links.push(blank(name, "bridge"));
        Ok(())
    }

    /// Makes a link a port of the bridge, unless it is.
    pub fn ensure_port(&mut self, name: &str, bridge: &str) -> Result<(), Failure> {
        if self.is_port(name, bridge) {
            return Ok(());
        }
        links::set_master(name, Some(bridge))?;
        match self.links.iter_mut().find(|link| link.name == name) {
            Some(link) => link.master = Some(bridge.to_owned()),
            None => self.links.push(Link { master: Some(bridge.to_owned()), ..blank(name, "") }),
        }
        Ok(())
    }

    /// Removes a bridge that has no ports but these; returns whether it is gone.
    pub fn remove_unused(&mut self, bridge: &str, uplinks: Vec<String>) -> Result<bool, Failure> {
        let gone = links::remove_unused_bridge(bridge, &uplinks)?;
        if gone {
            info!("bridge {bridge} was removed");
            self.links.retain(|link| link.name != bridge);
        }
        Ok(gone)
    }

    /// A link is gone.
    pub fn forget(&mut self, name: &str) {
        self.links.retain(|link| link.name != name);
    }
}

fn blank(name: &str, kind: &str) -> Link {
    Link {
        name: name.to_owned(),
        kind: kind.to_owned(),
        master: None,
        lower: None,
        vlan: None,
        mtu: 0,
        up: true,
        mac: String::new(),
    }
}

/// The port of a bridge that leads to its transparent proxy.
pub fn proxy_port(bridge: &str) -> String {
    format!("{bridge}b")
}

/// Bridge and uplink of an interface, where it has a bridge.
pub fn bridge_of(nic: &Nic) -> Option<&str> {
    nic.bridge.as_deref()
}

/// The bridge of an interface that is to be connected.
pub fn required_bridge(nic: &Nic) -> Result<&str, Failure> {
    bridge_of(nic).ok_or_else(|| Failure::invalid(format!("NIC {}: its network has no BRIDGE; set it", nic.id)))
}
