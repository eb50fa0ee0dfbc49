//! Links: looked at by rtnetlink, and changed by it where this process may, otherwise by iproute2 as far as
//! sudoers lets it.

mod change;
mod iproute;
mod kernel;
pub(super) mod look;
pub mod others;

use remotes_effect::links::{Bridge, Endpoint, Executor, Link, PortVlan, Vlan, Vxlan};
use remotes_effect::network::names::{self, Network};
use remotes_effect::types::{Failure, FailureKind};

use super::privileged::Privileged;
use change::{Change, New};
use iproute::Iproute;
use kernel::Kernel;

/// What a driver may remove by name: links that stand for nothing but themselves.
const REMOVABLE: [&str; 3] = ["vlan", "vxlan", "veth"];

/// The executor of `links`.
#[derive(Debug, Clone)]
pub struct Links(Privileged);

impl Links {
    /// Changes are made with these rights.
    pub fn new(privileged: Privileged) -> Self {
        Self(privileged)
    }

    fn change(&self) -> Result<Box<dyn Change>, Failure> {
        Ok(match self.0.is_own() {
            true => Box::new(Kernel::open()?),
            false => Box::new(Iproute(self.0.clone())),
        })
    }

    /// Makes a link; false where there is one of its kind. A device below a bridge comes up also where it was
    /// there: nothing would pass it otherwise.
    fn make(&mut self, new: New<'_>) -> Result<bool, Failure> {
        let (name, kind) = (new.name(), new.kind());
        names::link(name)?;
        // Options are iproute2's, and it alone knows them all: a link that has any is made by it.
        let made = match new.settings().is_empty() {
            true => self.change()?.make(new),
            false => Iproute(self.0.clone()).make(new),
        };
        let Err(failure) = made else { return Ok(true) };
        match self.find(name)? {
            Some(link) if link.kind == kind => {
                if !link.up && !matches!(new, New::Bridge(_)) {
                    self.change()?.set_up(name)?;
                }
                Ok(false)
            }
            Some(link) => Err(Failure::exists(format!(
                "{kind} {name}: there is a link of this name, of kind {:?}; remove or rename it",
                link.kind
            ))),
            None => Err(failure),
        }
    }
}

fn single(address: &str) -> Result<Network, Failure> {
    let network = Network::parse(address)?;
    match network.is_single() {
        true => Ok(network),
        false => Err(Failure::invalid(format!("{address}: expected a single address"))),
    }
}

/// What is wanted is so already.
fn unless(result: Result<(), Failure>, so: FailureKind) -> Result<(), Failure> {
    match result {
        Err(failure) if failure.kind == so => Ok(()),
        other => other,
    }
}

impl Executor for Links {
    fn entries(&mut self) -> Result<Vec<Link>, Failure> {
        look::links()
    }

    fn find(&mut self, name: &str) -> Result<Option<Link>, Failure> {
        names::link(name)?;
        look::link(name)
    }

    fn make_bridge(&mut self, bridge: &Bridge) -> Result<bool, Failure> {
        self.make(New::Bridge(bridge))
    }

    fn make_vlan(&mut self, vlan: &Vlan) -> Result<bool, Failure> {
        names::link(&vlan.lower)?;
        self.make(New::Vlan(vlan))
    }

    fn make_vxlan(&mut self, vxlan: &Vxlan) -> Result<bool, Failure> {
        if let Endpoint::Device(lower) = &vxlan.endpoint {
            names::link(lower)?;
        }
        self.make(New::Vxlan(vxlan))
    }

    fn remove(&mut self, name: &str) -> Result<(), Failure> {
        let Some(link) = self.find(name)? else { return Ok(()) };
        if !REMOVABLE.contains(&link.kind.as_str()) {
            return Err(Failure::denied(format!(
                "link {name}: is of kind {:?}; drivers remove only {}",
                link.kind,
                REMOVABLE.join(", ")
            )));
        }
        unless(self.change()?.remove(name), FailureKind::NotFound)
    }

    fn remove_unused_bridge(&mut self, name: &str, uplinks: &[String]) -> Result<bool, Failure> {
        names::link(name)?;
        let links = self.entries()?;
        match links.iter().find(|link| link.name == name) {
            None => return Ok(true),
            Some(link) if link.kind != "bridge" => {
                return Err(Failure::denied(format!("link {name}: is of kind {:?}, expected a bridge", link.kind)));
            }
            Some(_) => {}
        }
        let mut ports = links.iter().filter(|link| link.master.as_deref() == Some(name));
        if ports.any(|port| !uplinks.contains(&port.name)) {
            return Ok(false);
        }
        unless(self.change()?.remove(name), FailureKind::NotFound)?;
        Ok(true)
    }

    fn set_master(&mut self, name: &str, master: Option<&str>) -> Result<(), Failure> {
        names::link(name)?;
        master.map_or(Ok(()), names::link)?;
        self.change()?.set_master(name, master)
    }

    fn set_mtu(&mut self, name: &str, mtu: u32) -> Result<(), Failure> {
        names::link(name)?;
        self.change()?.set_mtu(name, mtu)
    }

    fn filter_vlans(&mut self, bridge: &str) -> Result<(), Failure> {
        names::link(bridge)?;
        self.change()?.filter_vlans(bridge)
    }

    fn add_vlans(&mut self, vlans: &[PortVlan]) -> Result<(), Failure> {
        vlans.iter().try_for_each(|vlan| names::link(&vlan.port))?;
        let mut change = self.change()?;
        vlans.iter().try_for_each(|vlan| change.add_vlan(vlan))
    }

    fn remove_vlans(&mut self, port: &str, first: u16, last: u16) -> Result<(), Failure> {
        names::link(port)?;
        self.change()?.remove_vlans(port, first, last)
    }

    fn addresses(&mut self, name: &str) -> Result<Vec<String>, Failure> {
        names::link(name)?;
        look::addresses(name)
    }

    fn add_route(&mut self, address: &str, link: &str) -> Result<(), Failure> {
        names::link(link)?;
        let to = single(address)?;
        match self.change()?.route(true, &to, link) {
            Err(failure) if failure.kind == FailureKind::Exists => match look::has_route(to.address, link)? {
                true => Ok(()),
                false => Err(Failure::exists(format!(
                    "{}; one by another link is in the way: remove it, or change the address",
                    failure.message
                ))),
            },
            other => other,
        }
    }

    fn remove_route(&mut self, address: &str, link: &str) -> Result<(), Failure> {
        names::link(link)?;
        unless(self.change()?.route(false, &single(address)?, link), FailureKind::NotFound)
    }

    fn add_proxy(&mut self, address: &str, link: &str) -> Result<(), Failure> {
        names::link(link)?;
        unless(self.change()?.proxy(true, &single(address)?, link), FailureKind::Exists)
    }

    fn remove_proxy(&mut self, address: &str, link: &str) -> Result<(), Failure> {
        names::link(link)?;
        unless(self.change()?.proxy(false, &single(address)?, link), FailureKind::NotFound)
    }
}
