//! Links.

use remotes_effect::links::{Bridge, Endpoint, Executor, Link, PortVlan, Vlan, Vxlan};
use remotes_effect::types::Failure;

use super::Network;
use crate::Simulation;

/// What a VXLAN's headers take of the lower link's packets.
const VXLAN_OVERHEAD: u32 = 50;

impl Network {
    fn find(&mut self, name: &str) -> Result<&mut Link, Failure> {
        self.links
            .iter_mut()
            .find(|link| link.name == name)
            .ok_or_else(|| Failure::not_found(format!("link {name}: Cannot find device")))
    }

    /// Adds a link; false where there is one of the same kind, which comes up unless it is a bridge.
    fn make(&mut self, link: Link) -> Result<bool, Failure> {
        match self.links.iter_mut().find(|other| other.name == link.name) {
            Some(other) if other.kind == link.kind => {
                other.up |= link.kind != "bridge";
                Ok(false)
            }
            Some(other) => {
                Err(Failure::exists(format!("link {}: there is one of this name, of kind {:?}", link.name, other.kind)))
            }
            None => {
                self.links.push(link);
                Ok(true)
            }
        }
    }

    pub(super) fn drop_link(&mut self, name: &str) {
        self.links.retain(|link| link.name != name && link.lower.as_deref() != Some(name));
        for link in &mut self.links {
            link.master.take_if(|master| master == name);
        }
        self.vlans.retain(|vlan| vlan.port != name);
        self.filtering.remove(name);
    }
}

pub(super) fn link(name: &str, kind: &str, mtu: u32) -> Link {
    Link {
        name: name.to_owned(),
        kind: kind.to_owned(),
        master: None,
        lower: None,
        vlan: None,
        mtu,
        up: true,
        mac: "02:00:00:00:00:01".to_owned(),
    }
}

impl Executor for Simulation {
    fn entries(&mut self) -> Result<Vec<Link>, Failure> {
        Ok(self.here.network.links.clone())
    }

    fn find(&mut self, name: &str) -> Result<Option<Link>, Failure> {
        Ok(self.here.network.links.iter().find(|link| link.name == name).cloned())
    }

    fn make_bridge(&mut self, bridge: &Bridge) -> Result<bool, Failure> {
        self.here.network.make(link(&bridge.name, "bridge", 1500))
    }

    fn make_vlan(&mut self, vlan: &Vlan) -> Result<bool, Failure> {
        let network = &mut self.here.network;
        let most = network.find(&vlan.lower)?.mtu;
        let mtu = vlan.mtu.unwrap_or(most);
        let made =
            Link { lower: Some(vlan.lower.clone()), vlan: Some(vlan.id.into()), ..link(&vlan.name, "vlan", mtu) };
        match mtu <= most {
            true => network.make(made),
            false => Err(Failure::failed(format!("vlan {}: Numerical result out of range (MTU {mtu})", vlan.name))),
        }
    }

    fn make_vxlan(&mut self, vxlan: &Vxlan) -> Result<bool, Failure> {
        let network = &mut self.here.network;
        let (lower, most) = match &vxlan.endpoint {
            Endpoint::Device(lower) => {
                let most = network.find(lower)?.mtu.saturating_sub(VXLAN_OVERHEAD);
                (Some(lower.clone()), most)
            }
            Endpoint::Address(_) => (None, u32::MAX),
        };
        let mtu = vxlan.mtu.unwrap_or(1500).min(most);
        network.make(Link { lower, vlan: Some(vxlan.id), ..link(&vxlan.name, "vxlan", mtu) })
    }

    fn remove(&mut self, name: &str) -> Result<(), Failure> {
        let network = &mut self.here.network;
        match network.links.iter().find(|link| link.name == name) {
            None => Ok(()),
            Some(link) if matches!(link.kind.as_str(), "vlan" | "vxlan" | "veth") => {
                network.drop_link(name);
                Ok(())
            }
            Some(link) => Err(Failure::denied(format!("link {name}: is of kind {:?}", link.kind))),
        }
    }

    fn remove_unused_bridge(&mut self, name: &str, uplinks: &[String]) -> Result<bool, Failure> {
        let network = &mut self.here.network;
        match network.links.iter().find(|link| link.name == name) {
            None => return Ok(true),
            Some(link) if link.kind != "bridge" => {
                return Err(Failure::denied(format!("link {name}: is of kind {:?}, expected a bridge", link.kind)));
            }
            Some(_) => {}
        }
        let guest = |link: &Link| link.master.as_deref() == Some(name) && !uplinks.contains(&link.name);
        if network.links.iter().any(guest) {
            return Ok(false);
        }
        network.drop_link(name);
        Ok(true)
    }

    fn set_master(&mut self, name: &str, master: Option<&str>) -> Result<(), Failure> {
        let network = &mut self.here.network;
        if let Some(master) = master {
            network.find(master)?;
        }
        network.find(name)?.master = master.map(str::to_owned);
        Ok(())
    }

    fn set_mtu(&mut self, name: &str, mtu: u32) -> Result<(), Failure> {
        self.here.network.find(name)?.mtu = mtu;
        Ok(())
    }

    fn filter_vlans(&mut self, bridge: &str) -> Result<(), Failure> {
        self.here.network.find(bridge)?;
        self.here.network.filtering.insert(bridge.to_owned());
        Ok(())
    }

    fn add_vlans(&mut self, vlans: &[PortVlan]) -> Result<(), Failure> {
        let network = &mut self.here.network;
        for vlan in vlans {
            network.find(&vlan.port)?;
            network.vlans.retain(|other| (&other.port, other.id) != (&vlan.port, vlan.id));
            network.vlans.push(vlan.clone());
        }
        Ok(())
    }

    fn remove_vlans(&mut self, port: &str, first: u16, last: u16) -> Result<(), Failure> {
        self.here.network.find(port)?;
        self.here.network.vlans.retain(|vlan| vlan.port != port || !(first..=last).contains(&vlan.id));
        Ok(())
    }

    fn addresses(&mut self, name: &str) -> Result<Vec<String>, Failure> {
        self.here.network.find(name)?;
        Ok(self.here.network.addresses.get(name).cloned().unwrap_or_default())
    }

    fn add_route(&mut self, address: &str, link: &str) -> Result<(), Failure> {
        self.here.network.find(link)?;
        self.here.network.routes.insert((address.to_owned(), link.to_owned()));
        Ok(())
    }

    fn remove_route(&mut self, address: &str, link: &str) -> Result<(), Failure> {
        self.here.network.routes.remove(&(address.to_owned(), link.to_owned()));
        Ok(())
    }

    fn add_proxy(&mut self, address: &str, link: &str) -> Result<(), Failure> {
        self.here.network.find(link)?;
        self.here.network.proxies.insert((address.to_owned(), link.to_owned()));
        Ok(())
    }

    fn remove_proxy(&mut self, address: &str, link: &str) -> Result<(), Failure> {
        self.here.network.proxies.remove(&(address.to_owned(), link.to_owned()));
        Ok(())
    }
}
