//! Links by iproute2, an argument vector a change.

use remotes_effect::deadline::Deadline;
use remotes_effect::links::{Bridge, Endpoint, Executor, Link, PortVlan, Vlan, Vxlan};
use remotes_effect::network::names::{self, Network};
use remotes_effect::network::settings;
use remotes_effect::types::{Failure, FailureKind};
use serde::Deserialize;

use super::privileged::{Privileged, failure};

/// What a driver may remove by name: links that stand for nothing but themselves.
const REMOVABLE: [&str; 3] = ["vlan", "vxlan", "veth"];

/// The executor of `links`.
#[derive(Debug, Clone, Copy)]
pub struct Links(Privileged);

impl Links {
    /// Changes end at the deadline.
    pub fn new(deadline: Deadline) -> Self {
        Self(Privileged(deadline))
    }

    fn find(&mut self, name: &str) -> Result<Option<Link>, Failure> {
        names::link(name)?;
        Ok(self.entries()?.into_iter().find(|link| link.name == name))
    }

    fn ip(&self, arguments: &[&str], what: &str) -> Result<(), Failure> {
        self.0.must("ip", arguments, what).map(drop)
    }

    /// Makes a link of this kind; false where there is one. It comes up as it is made: nothing can be
    /// left halfway.
    fn make(&mut self, name: &str, kind: &str, before: &[&str], after: &[String]) -> Result<bool, Failure> {
        names::link(name)?;
        let mut arguments = vec!["link", "add"];
        arguments.extend(before);
        arguments.extend(["name", name, "up", "type", kind]);
        arguments.extend(after.iter().map(String::as_str));
        let outcome = self.0.run("ip", &arguments, &[])?;
        if outcome.status == 0 {
            return Ok(true);
        }
        match self.find(name)? {
            Some(link) if link.kind == kind => Ok(false),
            Some(link) => Err(Failure::exists(format!(
                "{kind} {name}: there is a link of this name, of kind {:?}; remove or rename it",
                link.kind
            ))),
            None => Err(failure(&format!("make {kind} {name}"), &outcome)),
        }
    }

    fn route(&self, verb: &str, address: &str, link: &str) -> Result<(), Failure> {
        names::link(link)?;
        let network = single(address)?;
        let family = if network.address.is_ipv4() { "-4" } else { "-6" };
        let what = format!("{verb} the route to {network} by {link}");
        self.ip(&[family, "route", verb, &network.to_string(), "dev", link], &what)
    }

    fn proxy(&self, verb: &str, address: &str, link: &str) -> Result<(), Failure> {
        names::link(link)?;
        let address = single(address)?.address.to_string();
        let what = format!("{verb} the proxy for {address} on {link}");
        self.ip(&["neighbour", verb, "proxy", &address, "dev", link], &what)
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
fn unless(result: Result<(), Failure>, so: impl Fn(&Failure) -> bool) -> Result<(), Failure> {
    match result {
        Err(failure) if so(&failure) => Ok(()),
        other => other,
    }
}

fn mtu(words: &mut Vec<String>, mtu: Option<u32>) {
    words.extend(mtu.into_iter().flat_map(|mtu| ["mtu".to_owned(), mtu.to_string()]));
}

fn strings(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

impl Executor for Links {
    fn entries(&mut self) -> Result<Vec<Link>, Failure> {
        let outcome = self.0.start("ip", &["-json", "-details", "link", "show"], &[])?;
        match outcome.status {
            0 => parse(&outcome.stdout),
            _ => Err(failure("list the links", &outcome)),
        }
    }

    fn make_bridge(&mut self, bridge: &Bridge) -> Result<bool, Failure> {
        let words = settings::words("bridge", settings::BRIDGE, &bridge.settings)?;
        self.make(&bridge.name, "bridge", &[], &words)
    }

    fn make_vlan(&mut self, vlan: &Vlan) -> Result<bool, Failure> {
        names::link(&vlan.lower)?;
        let mut before = vec!["link".to_owned(), vlan.lower.clone()];
        mtu(&mut before, vlan.mtu);
        let mut words = vec!["id".to_owned(), vlan.id.to_string()];
        words.extend(settings::words("vlan", settings::VLAN, &vlan.settings)?);
        self.make(&vlan.name, "vlan", &strings(&before), &words)
    }

    fn make_vxlan(&mut self, vxlan: &Vxlan) -> Result<bool, Failure> {
        let mut before = Vec::new();
        mtu(&mut before, vxlan.mtu);
        let mut words = vec!["id".to_owned(), vxlan.id.to_string()];
        if let Some(group) = &vxlan.group {
            words.extend(["group".to_owned(), names::address(group)?.to_string()]);
        }
        words.extend(vxlan.ttl.into_iter().flat_map(|ttl| ["ttl".to_owned(), ttl.to_string()]));
        match &vxlan.endpoint {
            Endpoint::Device(lower) => {
                names::link(lower)?;
                words.extend(["dev".to_owned(), lower.clone()]);
            }
            Endpoint::Address(address) => words.extend(["local".to_owned(), names::address(address)?.to_string()]),
        }
        words.extend(settings::words("vxlan", settings::VXLAN, &vxlan.settings)?);
        self.make(&vxlan.name, "vxlan", &strings(&before), &words)
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
        let removed = self.ip(&["link", "delete", "dev", name], &format!("remove link {name}"));
        unless(removed, |failure| failure.kind == FailureKind::NotFound)
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
        let removed = self.ip(&["link", "delete", "dev", name, "type", "bridge"], &format!("remove bridge {name}"));
        unless(removed, |failure| failure.kind == FailureKind::NotFound)?;
        Ok(true)
    }

    fn set_master(&mut self, name: &str, master: Option<&str>) -> Result<(), Failure> {
        names::link(name)?;
        match master {
            Some(master) => {
                names::link(master)?;
                let what = format!("make {name} a port of bridge {master}");
                self.ip(&["link", "set", "dev", name, "master", master], &what)
            }
            None => self.ip(&["link", "set", "dev", name, "nomaster"], &format!("take {name} out of its bridge")),
        }
    }

    fn set_mtu(&mut self, name: &str, mtu: u32) -> Result<(), Failure> {
        names::link(name)?;
        self.ip(&["link", "set", "dev", name, "mtu", &mtu.to_string()], &format!("set the MTU of {name} to {mtu}"))
    }

    fn filter_vlans(&mut self, bridge: &str) -> Result<(), Failure> {
        names::link(bridge)?;
        let arguments = ["link", "set", "dev", bridge, "type", "bridge", "vlan_filtering", "1"];
        self.ip(&arguments, &format!("have bridge {bridge} filter VLANs"))
    }

    fn add_vlans(&mut self, vlans: &[PortVlan]) -> Result<(), Failure> {
        for PortVlan { port, id, pvid, untagged } in vlans {
            names::link(port)?;
            let id = id.to_string();
            let mut arguments = vec!["vlan", "add", "dev", port, "vid", &id];
            arguments.extend(pvid.then_some("pvid"));
            arguments.extend(untagged.then_some("untagged"));
            self.0.must("bridge", &arguments, &format!("add VLAN {id} to port {port}"))?;
        }
        Ok(())
    }

    fn remove_vlans(&mut self, port: &str, first: u16, last: u16) -> Result<(), Failure> {
        names::link(port)?;
        let range = format!("{first}-{last}");
        let what = format!("remove VLANs {range} from port {port}");
        self.0.must("bridge", &["vlan", "del", "dev", port, "vid", &range], &what).map(drop)
    }

    fn addresses(&mut self, name: &str) -> Result<Vec<String>, Failure> {
        names::link(name)?;
        let outcome = self.0.start("ip", &["-json", "addr", "show", "dev", name], &[])?;
        match outcome.status {
            0 => parse_addresses(&outcome.stdout),
            _ => Err(failure(&format!("list the addresses of {name}"), &outcome)),
        }
    }

    fn add_route(&mut self, address: &str, link: &str) -> Result<(), Failure> {
        unless(self.route("add", address, link), |failure| failure.kind == FailureKind::Exists)
    }

    fn remove_route(&mut self, address: &str, link: &str) -> Result<(), Failure> {
        unless(self.route("del", address, link), |failure| failure.kind == FailureKind::NotFound)
    }

    fn add_proxy(&mut self, address: &str, link: &str) -> Result<(), Failure> {
        unless(self.proxy("add", address, link), |failure| failure.kind == FailureKind::Exists)
    }

    fn remove_proxy(&mut self, address: &str, link: &str) -> Result<(), Failure> {
        unless(self.proxy("del", address, link), |failure| failure.kind == FailureKind::NotFound)
    }
}

/// As `ip -json -details link show` lists a link.
#[derive(Deserialize)]
struct Listed {
    ifname: String,
    #[serde(default)]
    link: Option<String>,
    #[serde(default)]
    master: Option<String>,
    mtu: u32,
    #[serde(default)]
    address: String,
    #[serde(default)]
    flags: Vec<String>,
    #[serde(default)]
    linkinfo: Info,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Info {
    info_kind: String,
    info_data: Data,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Data {
    id: Option<u32>,
    link: Option<String>,
}

fn parse(json: &[u8]) -> Result<Vec<Link>, Failure> {
    let listed: Vec<Listed> = serde_json::from_slice(json)
        .map_err(|error| Failure::failed(format!("the list of links cannot be read: {error}")))?;
    let link = |listed: Listed| {
        let Info { info_kind: kind, info_data: data } = listed.linkinfo;
        let layered = matches!(kind.as_str(), "vlan" | "vxlan");
        Link {
            name: listed.ifname,
            master: listed.master,
            lower: data.link.or(listed.link).filter(|_| layered),
            vlan: data.id.filter(|_| layered),
            kind,
            mtu: listed.mtu,
            up: listed.flags.iter().any(|flag| flag == "UP"),
            mac: listed.address,
        }
    };
    Ok(listed.into_iter().map(link).collect())
}

#[derive(Deserialize)]
struct WithAddresses {
    #[serde(default)]
    addr_info: Vec<Address>,
}

#[derive(Deserialize)]
struct Address {
    #[serde(default)]
    local: Option<String>,
}

fn parse_addresses(json: &[u8]) -> Result<Vec<String>, Failure> {
    let listed: Vec<WithAddresses> = serde_json::from_slice(json)
        .map_err(|error| Failure::failed(format!("the list of addresses cannot be read: {error}")))?;
    Ok(listed.into_iter().flat_map(|link| link.addr_info).filter_map(|address| address.local).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn listings_are_read() {
        let json = br#"[{"ifindex":2,"ifname":"br0","flags":["BROADCAST","UP"],"mtu":1450,"address":"7a:00","linkinfo":{"info_kind":"bridge","info_data":{"ageing_time":30000}}},
            {"ifname":"eth1.77","link":"eth1","flags":[],"mtu":1450,"master":"br0","linkinfo":{"info_kind":"vxlan","info_data":{"id":77,"link":"eth1","ttl":16}}},
            {"ifname":"one-1-0","flags":["UP"],"mtu":1500,"master":"br0","linkinfo":{"info_kind":"tun","info_data":{"type":"tap"}}},{}]"#;
        assert!(parse(json).is_err());
        let links = parse(&[&json[..json.len() - 4], b"]"].concat()).unwrap();
        let [bridge, vxlan, tap] = &links[..] else { panic!("{links:?}") };
        assert_eq!((bridge.kind.as_str(), bridge.up, bridge.mtu, bridge.vlan), ("bridge", true, 1450, None));
        assert_eq!(
            (vxlan.lower.as_deref(), vxlan.vlan, vxlan.master.as_deref()),
            (Some("eth1"), Some(77), Some("br0"))
        );
        assert_eq!((tap.kind.as_str(), tap.master.as_deref()), ("tun", Some("br0")));
        assert_eq!(
            parse_addresses(br#"[{"addr_info":[{"local":"10.0.0.1"},{"local":"fe80::1"}]},{}]"#).unwrap(),
            ["10.0.0.1", "fe80::1"]
        );
    }
}
