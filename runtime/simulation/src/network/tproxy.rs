//! Transparent proxies, and the names that services have.

use remotes_effect::links::Link;
use remotes_effect::network::{names, proxies};
use remotes_effect::tproxy::{Endpoint, Executor};
use remotes_effect::types::Failure;

use super::Network;
use crate::Simulation;

impl Network {
    /// Has a host's name stand for an address.
    pub fn name(mut self, name: &str, address: &str) -> Self {
        self.names.insert(name.to_owned(), address.to_owned());
        self
    }

    fn is_bridge(&self, name: &str) -> bool {
        self.links.iter().any(|link| link.name == name && link.kind == "bridge")
    }

    /// The bridge's port to its proxy; a failure where another link has its name.
    fn proxy_port(&self, bridge: &str) -> Result<Option<&Link>, Failure> {
        let name = proxies::port(bridge);
        match self.links.iter().find(|link| link.name == name) {
            Some(link) if link.kind != "veth" || link.master.as_deref().is_some_and(|master| master != bridge) => {
                Err(Failure::exists(format!("link {name}: is another than the port of bridge {bridge} to its proxy")))
            }
            found => Ok(found),
        }
    }
}

impl Executor for Simulation {
    fn resolve(&mut self, name: &str) -> Result<String, Failure> {
        proxies::host(name)?;
        if let Ok(address) = proxies::address(name) {
            return Ok(address.to_string());
        }
        let known = self.here.network.names.get(name).cloned();
        known.ok_or_else(|| Failure::not_found(format!("host {name}: cannot be looked up")))
    }

    fn up(&mut self, bridge: &str, endpoints: &[Endpoint]) -> Result<(), Failure> {
        proxies::up(bridge, endpoints)?;
        let network = &mut self.here.network;
        if !network.is_bridge(bridge) {
            return Err(Failure::not_found(format!("bridge {bridge}: there is none to have a transparent proxy")));
        }
        let port = proxies::port(bridge);
        if network.proxy_port(bridge)?.is_none() {
            network.links.push(super::links::link(&port, "veth", 1500));
        }
        for link in network.links.iter_mut().filter(|link| link.name == port) {
            link.master = Some(bridge.to_owned());
            link.up = true;
        }
        network.transparent_proxies.insert(bridge.to_owned(), endpoints.to_vec());
        Ok(())
    }

    fn down(&mut self, bridge: &str, uplinks: &[String]) -> Result<bool, Failure> {
        proxies::bridge(bridge)?;
        uplinks.iter().try_for_each(|uplink| names::link(uplink))?;
        let (network, own) = (&mut self.here.network, proxies::port(bridge));
        let mut ports = network.links.iter().filter(|link| link.master.as_deref() == Some(bridge));
        if ports.any(|port| port.name != own && !uplinks.contains(&port.name)) {
            return Ok(false);
        }
        if network.proxy_port(bridge)?.is_some() {
            network.drop_link(&own);
        }
        network.transparent_proxies.remove(bridge);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use remotes_effect::types::FailureKind;

    use super::*;

    fn simulation() -> Simulation {
        let mut simulation = Simulation::new();
        let network = Network::default().link("br0", "bridge", None).link("eth0", "", Some("br0"));
        simulation.here.network = network.name("onegate", "10.0.0.7");
        simulation
    }

    fn endpoints() -> [Endpoint; 1] {
        [Endpoint { service_port: 5030, remote_address: "10.0.0.7".into(), remote_port: 5030 }]
    }

    #[test]
    fn a_proxy_comes_and_goes_and_comes_again() {
        let mut simulation = simulation();
        for _ in 0..2 {
            simulation.up("br0", &endpoints()).unwrap();
            let once = simulation.here.network.clone();
            simulation.up("br0", &endpoints()).unwrap();
            assert_eq!(simulation.here.network, once);
            assert_eq!(once.transparent_proxies["br0"], endpoints());
            assert_eq!(once.links.iter().filter(|link| link.name == "br0b").count(), 1);
            for _ in 0..2 {
                assert!(simulation.down("br0", &["eth0".into()]).unwrap());
            }
            assert!(simulation.here.network.transparent_proxies.is_empty());
            assert_eq!(simulation.here.network.links.len(), 2);
        }
    }

    #[test]
    fn a_bridge_with_machines_keeps_its_proxy() {
        let mut simulation = simulation();
        simulation.up("br0", &endpoints()).unwrap();
        assert!(!simulation.down("br0", &[]).unwrap());
        assert_eq!(simulation.here.network.transparent_proxies.len(), 1);
    }

    #[test]
    fn what_is_not_there_or_in_the_way_is_said() {
        let mut simulation = simulation();
        let kind = |result: Result<(), Failure>| result.unwrap_err().kind;
        assert_eq!(kind(simulation.up("br1", &endpoints())), FailureKind::NotFound);
        assert_eq!(kind(simulation.up("br0", &[])), FailureKind::Invalid);
        simulation.here.network = std::mem::take(&mut simulation.here.network).link("br0b", "tun", None);
        assert_eq!(kind(simulation.up("br0", &endpoints())), FailureKind::Exists);
        assert_eq!(kind(simulation.down("br0", &["eth0".into()]).map(drop)), FailureKind::Exists);
        assert_eq!(simulation.resolve("onegate").unwrap(), "10.0.0.7");
        assert_eq!(simulation.resolve("10.0.0.8").unwrap(), "10.0.0.8");
        assert_eq!(kind(simulation.resolve("other").map(drop)), FailureKind::NotFound);
    }
}
