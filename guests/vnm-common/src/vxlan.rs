//! VXLAN devices, wherever they are plugged in: below a bridge of the kernel or of Open vSwitch.

use std::net::Ipv4Addr;

use remotes_sdk::Failure;
use remotes_sdk::links::{self, Endpoint};
use remotes_sdk::network::Nic;

use crate::settings::{Settings, is_false};

/// Base of the multicast groups where none is set.
const GROUPS: Ipv4Addr = Ipv4Addr::new(239, 0, 0, 0);

/// Makes the VXLAN of an interface's network and brings it up; false where there was one. `key` is the
/// attribute that has its identifier, and `given` what that says.
pub fn make(name: &str, key: &str, given: Option<&str>, nic: &Nic, settings: &Settings) -> Result<bool, Failure> {
    let given = given.unwrap_or_default();
    let id: u32 = given.trim().parse().ok().filter(|id| *id < 1 << 24).ok_or_else(|| {
        Failure::invalid(format!("NIC {}: {key} is {given:?}, expected a VXLAN network identifier", nic.id))
    })?;
    let phydev = nic.phydev.as_deref().unwrap_or_default();
    let evpn =
        choice(nic.vxlan_mode.as_deref(), settings.of(nic, "vxlan_mode")?, "multicast").eq_ignore_ascii_case("evpn");
    let by_device = choice(nic.vxlan_tep.as_deref(), settings.of(nic, "vxlan_tep")?, "dev").eq_ignore_ascii_case("dev");
    let endpoint = match evpn && !by_device {
        true => Endpoint::Address(first_address(phydev)?),
        false => Endpoint::Device(phydev.to_owned()),
    };
    let group = match evpn {
        true => None,
        false => {
            let base = choice(nic.vxlan_mc.as_deref(), settings.of(nic, "vxlan_mc")?, "");
            Some(group(&base, id).to_string())
        }
    };
    let ttl = ttl(settings.of(nic, "vxlan_ttl")?.as_deref())?;
    let mtu = nic.mtu()?.map_or_else(|| settings.number(nic, "vxlan_mtu"), |mtu| Ok(Some(mtu)))?;
    let settings = settings.link(nic)?;
    links::make_vxlan(&links::Vxlan { name: name.to_owned(), id, endpoint, group, ttl, mtu, settings })
}

/// None where the kernel is to choose.
fn ttl(given: Option<&str>) -> Result<Option<u8>, Failure> {
    let Some(given) = given.map(str::trim).filter(|given| !is_false(given) && *given != "auto") else {
        return Ok(None);
    };
    let hops = given.parse().map(Some);
    hops.map_err(|_| Failure::invalid(format!("vxlan_ttl is {given:?}, expected a number up to 255, auto or false")))
}

/// A network's own value, or else the settings', or else this.
fn choice(own: Option<&str>, set: Option<String>, default: &str) -> String {
    own.map(str::to_owned).or(set).unwrap_or_else(|| default.to_owned())
}

/// The multicast group of a network: as far behind the first one as its identifier says.
fn group(base: &str, id: u32) -> Ipv4Addr {
    let base = base.trim().parse().unwrap_or(GROUPS);
    Ipv4Addr::from(u32::from(base).wrapping_add(id))
}

/// The first address of a link that other hosts can send to.
fn first_address(phydev: &str) -> Result<String, Failure> {
    let addresses = links::addresses(phydev)?;
    let usable = addresses.into_iter().find(|address| !address.starts_with("127.") && address != "::1");
    usable.ok_or_else(|| {
        Failure::not_found(format!("link {phydev} has no address; give it one, or set vxlan_tep to dev"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops_may_be_left_to_the_kernel() {
        for given in [None, Some("false"), Some(" auto ")] {
            assert_eq!(ttl(given).ok(), Some(None), "{given:?}");
        }
        assert_eq!(ttl(Some("16")).ok(), Some(Some(16)));
        assert!(ttl(Some("256")).is_err() && ttl(Some("inherit")).is_err());
    }

    #[test]
    fn groups_are_counted_from_the_base() {
        assert_eq!(group("239.0.0.0", 77).to_string(), "239.0.0.77");
        assert_eq!(group("239.100.0.0", 500).to_string(), "239.100.1.244");
        assert_eq!(group("no address", 900).to_string(), "239.0.3.132");
    }
}
