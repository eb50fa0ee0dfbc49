//! Transparent proxies of bridges: services that machines reach at an address of their own host's. Which there are, OpenNebulaNetwork.conf says under `tproxy`.

mod entries;

use std::collections::{BTreeMap, BTreeSet};

use remotes_sdk::network::Nic;
use remotes_sdk::tproxy::{self, Endpoint};
use remotes_sdk::{Failure, FailureKind, info, warning};

use crate::host::{Host, proxy_port};
use crate::settings::Settings;
use entries::Entry;

/// Longest name of a bridge that can have a proxy: one letter is added for those of the proxy's links.
const LONGEST_BRIDGE: usize = 14;

/// The proxies of one action.
pub struct Proxies {
    entries: Vec<Entry>,
    /// addresses by name, as far as they were looked up; none where there is none
    addresses: BTreeMap<String, Option<String>>,
    /// what was set up
    up: BTreeMap<String, Vec<Endpoint>>,
    warned: BTreeSet<String>,
}

impl Proxies {
    /// Reads what is configured. An entry that cannot be meant is left out, with a warning.
    pub fn read(settings: &Settings) -> Result<Self, Failure> {
        let (entries, problems) = entries::parse(&settings.proxies()?);
        let mut proxies = Self { entries, addresses: BTreeMap::new(), up: BTreeMap::new(), warned: BTreeSet::new() };
        problems.into_iter().for_each(|problem| proxies.warn(problem));
        Ok(proxies)
    }

    /// Has the endpoints of an interface's network on its bridge, where there are any.
    pub fn up(&mut self, nic: &Nic, bridge: &str) -> Result<(), Failure> {
        let endpoints = self.endpoints(nic)?;
        // Interfaces of one network ask for the same.
        if endpoints.is_empty() || self.up.get(bridge) == Some(&endpoints) {
            return Ok(());
        }
        tproxy::up(bridge, &endpoints)?;
        self.up.insert(bridge.to_owned(), endpoints);
        Ok(())
    }

    /// Takes a bridge's proxy down where no machine is left on it. `uplinks` are ports that are no machines.
    pub fn down(&self, host: &mut Host, nic: &Nic, bridge: &str, uplinks: &[String]) -> Result<(), Failure> {
        let own = proxy_port(bridge);
        // Also one that was configured when it was made, and is not any more.
        let is_there = host.is_port(&own, bridge) && host.link(&own).is_some_and(|link| link.kind == "veth");
        let configured = self.entries.iter().any(|entry| entry.concerns(nic));
        if !(is_there || configured) || bridge.len() > LONGEST_BRIDGE {
            return Ok(());
        }
        let ports: Vec<String> = host.ports(bridge).map(|port| port.name.clone()).filter(|port| *port != own).collect();
        if ports.iter().any(|port| !uplinks.contains(port)) {
            return Ok(());
        }
        if tproxy::down(bridge, &ports)? && is_there {
            info!("the transparent proxy of bridge {bridge} was removed");
            host.forget(&own);
        }
        Ok(())
    }

    fn endpoints(&mut self, nic: &Nic) -> Result<Vec<Endpoint>, Failure> {
        let mut endpoints: Vec<Endpoint> = Vec::new();
        let concerned: Vec<Entry> = self.entries.iter().filter(|entry| entry.concerns(nic)).cloned().collect();
        for Entry { service_port, remote_addr, remote_port, .. } in concerned {
            let Some(remote_address) = self.address(&remote_addr)? else { continue };
            match endpoints.iter().find(|other| other.service_port == service_port) {
                None => endpoints.push(Endpoint { service_port, remote_address, remote_port }),
                Some(first) => self.warn(format!(
                    "{remote_addr}:{remote_port} is left out: service_port {service_port} leads to {}:{} already",
                    first.remote_address, first.remote_port
                )),
            }
        }
        Ok(endpoints)
    }

    fn address(&mut self, host: &str) -> Result<Option<String>, Failure> {
        if let Some(known) = self.addresses.get(host) {
            return Ok(known.clone());
        }
        let address = match tproxy::resolve(host) {
            Ok(address) => Some(address),
            Err(failure) if failure.kind == FailureKind::Denied => return Err(failure),
            Err(failure) => {
                self.warn(format!("{host} is left out: {}", failure.message));
                None
            }
        };
        self.addresses.insert(host.to_owned(), address.clone());
        Ok(address)
    }

    fn warn(&mut self, problem: String) {
        if self.warned.insert(problem.clone()) {
            warning!("tproxy: {problem}");
        }
    }
}
