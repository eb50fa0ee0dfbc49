//! Puts VLANs and VXLANs above links that are not granted, and calls them otherwise than devices.

use containment_guests::tell;
use remotes_sdk::Failure;
use remotes_sdk::links::{self, Endpoint, Vlan, Vxlan};

containment_guests::pre!(attack);

fn attack(_: &str) -> Result<(), Failure> {
    let vlan =
        |name: &str, lower: &str| Vlan { name: name.into(), lower: lower.into(), id: 5, mtu: None, settings: vec![] };
    let vxlan = |name: &str, endpoint| Vxlan {
        name: name.into(),
        id: 5,
        endpoint,
        group: None,
        ttl: None,
        mtu: None,
        settings: vec![],
    };
    for lower in ["docker0", "lo", "wg0", "one-8-0"] {
        tell(lower, links::make_vlan(&vlan("eth1.5", lower)));
        tell(lower, links::make_vxlan(&vxlan("eth1.5", Endpoint::Device(lower.into()))));
    }
    for name in ["docker1", "eth7", "wg1", "one-9-0"] {
        tell(name, links::make_vlan(&vlan(name, "eth1")));
        tell(name, links::make_vxlan(&vxlan(name, Endpoint::Address("10.0.0.1".into()))));
    }
    let grouped = |group: &str| Vxlan { group: Some(group.into()), ..vxlan("eth1.5", Endpoint::Device("eth1".into())) };
    for group in ["10.0.0.1", "239.0.0.1 dev docker0", ""] {
        tell(group, links::make_vxlan(&grouped(group)));
    }
    tell("local", links::make_vxlan(&vxlan("eth1.5", Endpoint::Address("10.0.0.1 dev docker0".into()))));
    Ok(())
}
