//! Transparent proxies: what belongs to a bridge's proxy, and how `nft` is told.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::Ipv4Addr;

use super::names;
use crate::tproxy::Endpoint;
use crate::types::Failure;

/// The address at which machines find the services, on every bridge.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(169, 254, 16, 9);

/// The table of rules and that of endpoints; the daemon looks for the latter by this name.
const TABLE: &str = "one_tproxy";

/// What the port to a bridge's proxy has behind the bridge's name.
pub const PORT: char = 'b';

/// Longest name of a bridge: its proxy's links have one letter more.
const LONGEST_BRIDGE: usize = 14;

/// Longest name of a host.
const LONGEST_HOST: usize = 253;

/// The name of a bridge that can have a proxy: it becomes part of those of links, chains and a file.
pub fn bridge(name: &str) -> Result<(), Failure> {
    names::link(name)?;
    if name.len() > LONGEST_BRIDGE {
        return Err(Failure::invalid(format!(
            "bridge {name}: has {} characters; one with a transparent proxy has at most {LONGEST_BRIDGE}, since its \
             proxy's links have one more: give the network a bridge with a shorter name, or take it out of `tproxy`",
            name.len()
        )));
    }
    match name.contains([':', '@']) {
        false => Ok(()),
        true => Err(Failure::invalid(format!(
            "bridge {name}: nft has no names with : or @; give the network another bridge, or take it out of `tproxy`"
        ))),
    }
}

/// The name of a host that can be looked up.
pub fn host(name: &str) -> Result<(), Failure> {
    let fit = !name.is_empty()
        && name.len() <= LONGEST_HOST
        && !name.starts_with(['-', '.'])
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    match fit {
        true => Ok(()),
        false => Err(Failure::invalid(format!(
            "host {name:?}: expected 1 to {LONGEST_HOST} letters, digits, dots, dashes, and none of the latter in front"
        ))),
    }
}

/// A service's address.
pub fn address(text: &str) -> Result<Ipv4Addr, Failure> {
    text.parse().map_err(|_| Failure::invalid(format!("address {text:?} of a service: expected an IPv4 address")))
}

/// The bridge's port that leads to its proxy.
pub fn port(bridge: &str) -> String {
    format!("{bridge}{PORT}")
}

/// The other end of that port.
pub fn inner(bridge: &str) -> String {
    format!("{bridge}a")
}

/// The namespace that it is in.
pub fn namespace(bridge: &str) -> String {
    format!("{TABLE}_{bridge}")
}

/// Checks endpoints: real addresses and ports, and no port twice.
pub fn check(endpoints: &[Endpoint]) -> Result<(), Failure> {
    let mut seen = BTreeSet::new();
    if endpoints.is_empty() {
        return Err(Failure::invalid("a transparent proxy without an endpoint: expected at least one".to_owned()));
    }
    for endpoint in endpoints {
        address(&endpoint.remote_address)?;
        if endpoint.service_port == 0 || endpoint.remote_port == 0 {
            return Err(Failure::invalid(format!("endpoint {}: expected ports from 1 to 65535", shown(endpoint))));
        }
        if !seen.insert(endpoint.service_port) {
            return Err(Failure::invalid(format!(
                "endpoint {}: there is another one at port {}",
                shown(endpoint),
                endpoint.service_port
            )));
        }
    }
    Ok(())
}

/// `5030 to 10.11.12.13:5030`
pub fn shown(endpoint: &Endpoint) -> String {
    format!("{} to {}:{}", endpoint.service_port, endpoint.remote_address, endpoint.remote_port)
}

/// What `nft` reads to have these endpoints on a bridge: one transaction. Requests for the address stay on the
/// host: the nearest proxy answers, not that of every host on the network.
pub fn up(bridge: &str, endpoints: &[Endpoint]) -> Result<String, Failure> {
    self::bridge(bridge)?;
    check(endpoints)?;
    let (chain, map, port) = (chain(bridge), map(bridge), port(bridge));
    let mut script = String::new();
    for line in [
        format!("add table bridge {TABLE};"),
        format!("add chain bridge {TABLE} {chain};"),
        format!("flush chain bridge {TABLE} ch_{bridge};"),
        format!(
            "add rule bridge {TABLE} ch_{bridge} meta ibrname \"{bridge}\" oifname != \"{port}\" \
             arp operation request arp daddr ip {ADDRESS} drop;"
        ),
        format!("add table ip {TABLE};"),
        format!("add map ip {TABLE} {map};"),
        format!("flush map ip {TABLE} ep_{bridge};"),
    ] {
        let _ = writeln!(script, "{line}");
    }
    for Endpoint { service_port, remote_address, remote_port } in endpoints {
        let address = address(remote_address)?;
        let _ = writeln!(script, "add element ip {TABLE} ep_{bridge} {{{service_port} : {address} . {remote_port}}};");
    }
    Ok(script)
}

/// What `nft` reads to have none, whether there were any or not: adding what is there changes nothing.
pub fn down(bridge: &str) -> Result<String, Failure> {
    self::bridge(bridge)?;
    let (chain, map) = (chain(bridge), map(bridge));
    Ok(format!(
        "add table ip {TABLE};\nadd map ip {TABLE} {map};\ndelete map ip {TABLE} ep_{bridge};\n\
         add table bridge {TABLE};\nadd chain bridge {TABLE} {chain};\ndelete chain bridge {TABLE} ch_{bridge};\n"
    ))
}

/// A chain by name and properties, as it is added.
fn chain(bridge: &str) -> String {
    format!("ch_{bridge} {{type filter hook forward priority filter; policy accept;}}")
}

/// The same of a map.
fn map(bridge: &str) -> String {
    format!("ep_{bridge} {{type inet_service : ipv4_addr . inet_service;}}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use proptest::prelude::*;

    use super::*;

    fn endpoint(service_port: u16, remote_address: &str, remote_port: u16) -> Endpoint {
        Endpoint { service_port, remote_address: remote_address.into(), remote_port }
    }

    #[test]
    fn names_that_cannot_be_are_refused_with_what_to_do() {
        for name in ["br0", "onebr.100", "abcdefghijklmn", "one-br_1"] {
            bridge(name).unwrap();
        }
        let long = bridge("abcdefghijklmno").unwrap_err().message;
        assert!(long.contains("has 15 characters") && long.contains("shorter name"), "{long}");
        for name in ["", "br:0", "br@x", "br0;", "br0 b", "br0\"", "br0}", "../x", "-br", "all", "a/b", "br0\n"] {
            assert!(bridge(name).is_err(), "{name:?}");
        }
        for name in ["", "-x", ".x", "a b", "a;b", "a/b", "ü", "fe80::1", &"a".repeat(254)] {
            assert!(host(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn endpoints_are_addresses_and_ports_and_each_port_once() {
        check(&[endpoint(1, "10.0.0.1", 65535), endpoint(2, "10.0.0.1", 65535)]).unwrap();
        for wrong in [
            vec![],
            vec![endpoint(0, "10.0.0.1", 1)],
            vec![endpoint(1, "10.0.0.1", 0)],
            vec![endpoint(1, "10.0.0.1", 1), endpoint(1, "10.0.0.2", 2)],
            vec![endpoint(1, "10.0.0.1 . 22}; flush ruleset;", 1)],
            vec![endpoint(1, "fd00::1", 1)],
            vec![endpoint(1, "onegate", 1)],
            vec![endpoint(1, "10.0.0.01", 1)],
        ] {
            assert!(check(&wrong).is_err() && up("br0", &wrong).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        /// Whatever a driver says, the script has the lines that it always has, and no other.
        #[test]
        fn nothing_is_told_but_what_belongs_to_the_bridge(name in "\\PC{0,16}|[a-z0-9.;{}\"-]{1,15}", remote in "\\PC{0,24}|[0-9.]{7,15}", port: u16) {
            let endpoints = [endpoint(port, &remote, port)];
            let scripts = [up(&name, &endpoints), down(&name)];
            for (script, lines) in scripts.iter().zip([8, 6]) {
                let Ok(script) = script else { continue };
                prop_assert_eq!(script.lines().count(), lines);
                let own = |line: &str| line.contains(&format!("ch_{name}")) || line.contains(&format!("ep_{name}"));
                prop_assert!(script.lines().all(|line| line.ends_with(';') && (own(line) || line.starts_with("add table "))));
            }
        }
    }
}
