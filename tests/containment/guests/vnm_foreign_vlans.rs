//! Opens VLANs on ports that are neither a machine's nor an uplink.

use containment_guests::tell;
use remotes_sdk::Failure;
use remotes_sdk::links::{self, PortVlan};

containment_guests::pre!(attack);

fn attack(_: &str) -> Result<(), Failure> {
    for port in ["docker0", "veth1a2b", "wg0", "lo", "vnet3"] {
        let vlan = |port: &str| PortVlan { port: port.into(), id: 5, pvid: true, untagged: true };
        tell(port, links::add_vlans(&[vlan(port)]));
        // Behind one that is granted.
        tell(port, links::add_vlans(&[vlan("one-5-0"), vlan(port)]));
        tell(port, links::remove_vlans(port, 2, 4094));
    }
    Ok(())
}
