//! Changes by iproute2, an argument vector each: where the runtime's user has no rights but by sudo, and for
//! links with options in iproute2's words.

use remotes_effect::links::{Endpoint, PortVlan};
use remotes_effect::network::names::{self, Network};
use remotes_effect::network::settings;
use remotes_effect::types::Failure;

use super::change::{Change, New, verb};
use crate::privileged::Privileged;

/// The programs `ip` and `bridge`.
pub(super) struct Iproute(pub Privileged);

impl Iproute {
    fn ip(&self, arguments: &[&str], what: &str) -> Result<(), Failure> {
        self.0.must("ip", arguments, what).map(drop)
    }
}

/// The words behind `ip link add` that say what is to be made.
fn words(new: New<'_>) -> Result<Vec<String>, Failure> {
    let (name, kind) = (new.name().to_owned(), new.kind());
    let mut before = Vec::new();
    let mut after = Vec::new();
    let mtu = |mtu: Option<u32>| mtu.into_iter().flat_map(|mtu| ["mtu".to_owned(), mtu.to_string()]);
    let known = match new {
        New::Bridge(_) => settings::BRIDGE,
        New::Vlan(vlan) => {
            before.extend(["link".to_owned(), vlan.lower.clone()]);
            before.extend(mtu(vlan.mtu));
            after.extend(["id".to_owned(), vlan.id.to_string()]);
            settings::VLAN
        }
        New::Vxlan(vxlan) => {
            before.extend(mtu(vxlan.mtu));
            after.extend(["id".to_owned(), vxlan.id.to_string()]);
            if let Some(group) = &vxlan.group {
                after.extend(["group".to_owned(), names::address(group)?.to_string()]);
            }
            after.extend(vxlan.ttl.into_iter().flat_map(|ttl| ["ttl".to_owned(), ttl.to_string()]));
            match &vxlan.endpoint {
                Endpoint::Device(lower) => after.extend(["dev".to_owned(), lower.clone()]),
                Endpoint::Address(address) => {
                    after.extend(["local".to_owned(), names::address(address)?.to_string()]);
                }
            }
            settings::VXLAN
        }
    };
    after.extend(settings::words(kind, known, new.settings())?);
    let middle = ["name".to_owned(), name, "up".to_owned(), "type".to_owned(), kind.to_owned()];
    Ok(before.into_iter().chain(middle).chain(after).collect())
}

impl Change for Iproute {
    fn make(&mut self, new: New<'_>) -> Result<(), Failure> {
        let words = words(new)?;
        let arguments: Vec<&str> = ["link", "add"].into_iter().chain(words.iter().map(String::as_str)).collect();
        self.ip(&arguments, &format!("make {} {}", new.kind(), new.name()))
    }

    fn set_up(&mut self, name: &str) -> Result<(), Failure> {
        self.ip(&["link", "set", "dev", name, "up"], &format!("bring {name} up"))
    }

    fn remove(&mut self, name: &str) -> Result<(), Failure> {
        self.ip(&["link", "delete", "dev", name], &format!("remove link {name}"))
    }

    fn set_master(&mut self, name: &str, master: Option<&str>) -> Result<(), Failure> {
        match master {
            Some(master) => {
                let what = format!("make {name} a port of bridge {master}");
                self.ip(&["link", "set", "dev", name, "master", master], &what)
            }
            None => self.ip(&["link", "set", "dev", name, "nomaster"], &format!("take {name} out of its bridge")),
        }
    }

    fn set_mtu(&mut self, name: &str, mtu: u32) -> Result<(), Failure> {
        self.ip(&["link", "set", "dev", name, "mtu", &mtu.to_string()], &format!("set the MTU of {name} to {mtu}"))
    }

    fn filter_vlans(&mut self, bridge: &str) -> Result<(), Failure> {
        let arguments = ["link", "set", "dev", bridge, "type", "bridge", "vlan_filtering", "1"];
        self.ip(&arguments, &format!("have bridge {bridge} filter VLANs"))
    }

    fn add_vlan(&mut self, PortVlan { port, id, pvid, untagged }: &PortVlan) -> Result<(), Failure> {
        let id = id.to_string();
        let mut arguments = vec!["vlan", "add", "dev", port, "vid", &id];
        arguments.extend(pvid.then_some("pvid"));
        arguments.extend(untagged.then_some("untagged"));
        self.0.must("bridge", &arguments, &format!("add VLAN {id} to port {port}")).map(drop)
    }

    fn remove_vlans(&mut self, port: &str, first: u16, last: u16) -> Result<(), Failure> {
        let range = format!("{first}-{last}");
        let what = format!("remove VLANs {range} from port {port}");
        self.0.must("bridge", &["vlan", "del", "dev", port, "vid", &range], &what).map(drop)
    }

    fn route(&mut self, add: bool, to: &Network, link: &str) -> Result<(), Failure> {
        // The address says of which family it is: sudoers has `ip route`, not `ip -6 route`.
        let (step, to) = (if add { "add" } else { "del" }, to.to_string());
        self.ip(&["route", step, &to, "dev", link], &format!("{} the route to {to} by {link}", verb(add)))
    }

    fn proxy(&mut self, add: bool, of: &Network, link: &str) -> Result<(), Failure> {
        let (step, address) = (if add { "add" } else { "del" }, of.address.to_string());
        let what = format!("{} the proxy for {address} on {link}", verb(add));
        self.ip(&["neighbour", step, "proxy", &address, "dev", link], &what)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use remotes_effect::links::{Setting, Vlan, Vxlan};

    use super::*;

    #[test]
    fn a_link_is_made_by_one_command() {
        let settings = vec![Setting { name: "nolearning".into(), value: None }];
        let vxlan = Vxlan {
            name: "eth1.77".into(),
            id: 77,
            endpoint: Endpoint::Device("eth1".into()),
            group: Some("239.0.0.77".into()),
            ttl: Some(16),
            mtu: Some(1450),
            settings,
        };
        assert_eq!(
            words(New::Vxlan(&vxlan)).unwrap().join(" "),
            "mtu 1450 name eth1.77 up type vxlan id 77 group 239.0.0.77 ttl 16 dev eth1 nolearning"
        );
        let vlan = Vlan { name: "eth1.5".into(), lower: "eth1".into(), id: 5, mtu: None, settings: vec![] };
        assert_eq!(words(New::Vlan(&vlan)).unwrap().join(" "), "link eth1 name eth1.5 up type vlan id 5");
    }
}
