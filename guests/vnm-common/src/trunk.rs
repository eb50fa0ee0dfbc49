//! VLANs that pass a bridge with their tags.

use std::collections::BTreeSet;

use remotes_sdk::links::PortVlan;
use remotes_sdk::network::{Nic, Vm};
use remotes_sdk::{Failure, links, locks};

use crate::host::{Host, bridge_of, proxy_port};
use crate::taps::Taps;
use crate::vlans::list;

/// The VLANs of an interface's port: one without a tag, if any, and those with theirs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trunk {
    native: Option<u16>,
    tagged: Vec<u16>,
}

impl Trunk {
    /// The trunk of a network on a link of the host: `VLAN_TAGGED_ID`.
    pub fn tagged(nic: &Nic) -> Result<Self, Failure> {
        Ok(Self { native: None, tagged: list(nic, "VLAN_TAGGED_ID", nic.vlan_tagged_id.as_deref())? })
    }

    /// The trunk of a network on a VLAN that has customers' VLANs inside: `CVLANS`.
    pub fn customers(nic: &Nic) -> Result<Self, Failure> {
        let tagged = list(nic, "CVLANS", nic.cvlans.as_deref())?;
        Ok(Self { native: nic.vlan_id.as_deref().and_then(|id| id.trim().parse().ok()), tagged })
    }

    /// Whether no VLAN is named: nothing is to be filtered then.
    pub fn is_empty(&self) -> bool {
        self.tagged.is_empty()
    }

    fn on(&self, port: &str) -> Vec<PortVlan> {
        let vlan = |id, native| PortVlan { port: port.to_owned(), id, pvid: native, untagged: native };
        self.native.iter().map(|id| vlan(*id, true)).chain(self.tagged.iter().map(|id| vlan(*id, false))).collect()
    }

    fn native_on(&self, port: &str) -> Vec<PortVlan> {
        Self { tagged: Vec::new(), ..self.clone() }.on(port)
    }

    /// Puts these VLANs in place of others on every port of a bridge.
    pub fn replace(&self, host: &Host, bridge: &str) -> Result<(), Failure> {
        host.ports(bridge).try_for_each(|port| links::remove_vlans(&port.name, 2, 4094))?;
        // Machines reach their proxy by the network's own VLAN; where it has none, by any that pass.
        let is_apart = |port: &str| self.native.is_some() && port == proxy_port(bridge);
        host.ports(bridge).try_for_each(|port| match is_apart(&port.name) {
            true => links::add_vlans(&self.native_on(&port.name)),
            false => links::add_vlans(&self.on(&port.name)),
        })
    }
}

/// Lets the VLANs of each interface pass its bridge, and no others, where a network names some. `uplink` is the
/// bridge's way out.
pub fn filter(
    vm: &Vm,
    driver: &str,
    lock: &str,
    deploy_id: &str,
    trunk: impl Fn(&Nic) -> Result<Trunk, Failure>,
    uplink: impl Fn(&Nic) -> Option<String>,
) -> Result<(), Failure> {
    let trunks = vm.nics_of(driver).map(|nic| Ok((nic, trunk(nic)?))).collect::<Result<Vec<_>, Failure>>()?;
    if trunks.iter().all(|(_, trunk)| trunk.is_empty()) {
        return Ok(());
    }
    let taps = Taps::find(vm, deploy_id);
    let mut seen = BTreeSet::new();
    for (nic, trunk) in trunks.into_iter().filter(|(_, trunk)| !trunk.is_empty()) {
        let (Some(bridge), Some(uplink)) = (bridge_of(nic), uplink(nic)) else { continue };
        locks::acquire(lock)?;
        links::add_vlans(&trunk.on(&taps.require(nic)?))?;
        if !seen.insert(bridge.to_owned()) {
            continue;
        }
        links::filter_vlans(bridge)?;
        let proxy = proxy_port(bridge);
        if trunk.native.is_some() && Host::look()?.is_port(&proxy, bridge) {
            links::add_vlans(&trunk.native_on(&proxy))?;
        }
        links::add_vlans(&trunk.on(&uplink))?;
    }
    Ok(())
}
