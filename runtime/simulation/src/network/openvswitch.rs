//! Open vSwitch.

use std::collections::{BTreeMap, BTreeSet};

use remotes_effect::links::Link;
use remotes_effect::network::{flows, switch};
use remotes_effect::openvswitch::{
    Backing, Bridge, Change, Column, Ethertype, Executor, Flow, ListedFlow, NewPort, Port, PortName, Setting,
};
use remotes_effect::types::Failure;
use serde::{Deserialize, Serialize};

use super::Network;
use crate::Simulation;

/// The switch of a machine: its database, and the flows of its bridges.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Switch {
    /// Bridges with their ports. A port's number counts as long as its link is there.
    pub bridges: Vec<Bridge>,
    /// What bridges were made with.
    pub settings: BTreeMap<String, Vec<Setting>>,
    /// Flows by bridge, in the order in which they were added.
    pub flows: BTreeMap<String, Vec<ListedFlow>>,
    /// Outer EtherTypes by port.
    pub ethertypes: BTreeMap<String, Ethertype>,
    /// Ports with a socket behind them.
    pub sockets: BTreeSet<String>,
    /// How many tags it looks at; none: as it was built.
    pub vlan_limit: Option<u8>,
    /// How often it was made to forget what it had remembered of packets.
    pub purges: u32,
}

/// What a bridge does with packets that no flow was made for.
fn default_flow() -> ListedFlow {
    ListedFlow { table: 0, priority: 0, input: None, conditions: Vec::new(), actions: "NORMAL".to_owned() }
}

impl Switch {
    fn bridge(&mut self, name: &str) -> Result<&mut Bridge, Failure> {
        self.bridges
            .iter_mut()
            .find(|bridge| bridge.name == name)
            .ok_or_else(|| Failure::not_found(format!("no bridge named {name}")))
    }

    fn port(&mut self, bridge: &str, name: &str) -> Result<&mut Port, Failure> {
        self.bridge(bridge)?
            .ports
            .iter_mut()
            .find(|port| port.name == name)
            .ok_or_else(|| Failure::not_found(format!("bridge {bridge} has no port {name}")))
    }

    /// The bridge that a port is on.
    fn bridge_of(&self, port: &str) -> Option<&str> {
        self.bridges.iter().find(|it| it.ports.iter().any(|it| it.name == port)).map(|it| it.name.as_str())
    }

    fn must_not_be_elsewhere(&self, bridge: &str, port: &str) -> Result<(), Failure> {
        match self.bridge_of(port).filter(|other| *other != bridge) {
            Some(other) => Err(Failure::denied(format!("port {port} is on bridge {other}, not on {bridge}"))),
            None => Ok(()),
        }
    }

    /// The next number of a bridge: no flow is left of a port that had it.
    fn number(&mut self, bridge: &str) -> Result<u32, Failure> {
        let of_flows = self.flows.get(bridge).into_iter().flatten().filter_map(|flow| flow.input).max();
        let of_ports = self.bridge(bridge)?.ports.iter().filter_map(|port| port.number).max();
        Ok(of_flows.max(of_ports).unwrap_or_default() + 1)
    }

    fn set(&mut self, bridge: &str, name: &str, column: &Column) -> Result<(), Failure> {
        if let Column::QinqEthertype(kind) = column {
            self.port(bridge, name)?;
            match kind {
                Some(kind) => drop(self.ethertypes.insert(name.to_owned(), *kind)),
                None => drop(self.ethertypes.remove(name)),
            }
            return Ok(());
        }
        let port = self.port(bridge, name)?;
        match column {
            Column::Tag(tag) => port.tag = *tag,
            Column::Trunks(trunks) => port.trunks.clone_from(trunks),
            Column::VlanMode(mode) => port.vlan_mode = *mode,
            Column::Cvlans(inner) => port.cvlans.clone_from(inner),
            Column::Mtu(mtu) => port.mtu = *mtu,
            Column::QinqEthertype(_) => {}
        }
        Ok(())
    }
}

impl Network {
    /// Adds a bridge of Open vSwitch, with these links as its ports.
    ///
    /// # Panics
    /// Where a name cannot be one, or a port is on another bridge.
    pub fn switch_bridge(mut self, name: &str, ports: &[&str]) -> Self {
        let bridge = remotes_effect::openvswitch::NewBridge { name: name.to_owned(), settings: Vec::new() };
        let mut changes = vec![Change::EnsureBridge(bridge)];
        changes.extend(ports.iter().map(|port| {
            let (bridge, name) = (name.to_owned(), (*port).to_owned());
            Change::EnsurePort(NewPort { bridge, name, backing: Backing::Link })
        }));
        for change in &changes {
            if let Err(failure) = self.change_switch(change) {
                panic!("simulation: {failure}");
            }
        }
        self
    }

    fn has_link(&self, name: &str) -> bool {
        self.links.iter().any(|link| link.name == name) || self.openvswitch.sockets.contains(name)
    }

    fn change_switch(&mut self, change: &Change) -> Result<Option<String>, Failure> {
        match change {
            Change::EnsureBridge(bridge) => {
                switch::name(&bridge.name)?;
                switch::settings(&bridge.settings)?;
                if self.openvswitch.bridge(&bridge.name).is_ok() {
                    return Ok(None);
                }
                if self.has_link(&bridge.name) {
                    return Err(Failure::failed(format!("cannot make bridge '{}': File exists", bridge.name)));
                }
                self.links.push(own_end(&bridge.name));
                let switch = &mut self.openvswitch;
                switch.bridges.push(Bridge { name: bridge.name.clone(), ports: Vec::new() });
                switch.bridges.sort_by(|a, b| a.name.cmp(&b.name));
                switch.settings.insert(bridge.name.clone(), bridge.settings.clone());
                switch.flows.insert(bridge.name.clone(), vec![default_flow()]);
            }
            Change::EnsurePort(NewPort { bridge, name, backing }) => {
                switch::name(name)?;
                self.openvswitch.must_not_be_elsewhere(bridge, name)?;
                if *backing == Backing::VhostUser {
                    self.openvswitch.sockets.insert(name.clone());
                }
                let opened = self.has_link(name);
                if self.openvswitch.port(bridge, name).is_ok() {
                    return Ok(None);
                }
                let number = self.openvswitch.number(bridge)?;
                let ports = &mut self.openvswitch.bridge(bridge)?.ports;
                ports.push(new_port(name, number));
                ports.sort_by(|a, b| a.name.cmp(&b.name));
                return Ok((!opened).then(|| format!("'{name}': could not open network device {name}")));
            }
            Change::SetPort(port) => {
                switch::commands(&port.name, &port.columns)?;
                self.openvswitch.must_not_be_elsewhere(&port.bridge, &port.name)?;
                let mut columns = port.columns.iter();
                self.openvswitch.port(&port.bridge, &port.name)?;
                columns.try_for_each(|column| self.openvswitch.set(&port.bridge, &port.name, column))?;
            }
            Change::RemovePort(PortName { bridge, name }) => {
                self.openvswitch.must_not_be_elsewhere(bridge, name)?;
                if let Ok(bridge) = self.openvswitch.bridge(bridge) {
                    bridge.ports.retain(|port| port.name != *name);
                }
                self.openvswitch.ethertypes.remove(name);
                self.openvswitch.sockets.remove(name);
            }
        }
        Ok(None)
    }
}

fn own_end(name: &str) -> Link {
    Link {
        name: name.to_owned(),
        kind: "openvswitch".to_owned(),
        master: None,
        lower: None,
        vlan: None,
        mtu: 1500,
        up: true,
        mac: "02:00:00:00:00:01".to_owned(),
    }
}

fn new_port(name: &str, number: u32) -> Port {
    Port {
        name: name.to_owned(),
        number: Some(number),
        tag: None,
        trunks: Vec::new(),
        vlan_mode: None,
        cvlans: Vec::new(),
        mtu: None,
    }
}

impl Executor for Simulation {
    fn bridges(&mut self) -> Result<Vec<Bridge>, Failure> {
        let network = &self.here.network;
        let mut bridges = network.openvswitch.bridges.clone();
        for port in bridges.iter_mut().flat_map(|bridge| &mut bridge.ports) {
            port.number = port.number.filter(|_| network.has_link(&port.name));
        }
        Ok(bridges)
    }

    fn apply(&mut self, changes: &[Change]) -> Result<Vec<String>, Failure> {
        // Nothing of it happens unless all of it can.
        let mut after = self.here.network.clone();
        let mut said = Vec::new();
        for change in changes {
            said.extend(after.change_switch(change)?);
        }
        self.here.network = after;
        Ok(said)
    }

    fn remove_unused_bridge(&mut self, name: &str, uplinks: &[String]) -> Result<bool, Failure> {
        let network = &mut self.here.network;
        match network.openvswitch.bridge(name) {
            Err(_) => return Ok(true),
            Ok(bridge) if bridge.ports.iter().any(|port| !uplinks.contains(&port.name)) => return Ok(false),
            Ok(_) => {}
        }
        let switch = &mut network.openvswitch;
        switch.bridges.retain(|bridge| bridge.name != name);
        switch.settings.remove(name);
        switch.flows.remove(name);
        network.links.retain(|link| link.name != name);
        Ok(true)
    }

    fn flows(&mut self, bridge: &str) -> Result<Vec<ListedFlow>, Failure> {
        let listed = self.here.network.openvswitch.flows.get(bridge).cloned();
        listed.ok_or_else(|| Failure::not_found(format!("{bridge} is not a bridge or a socket")))
    }

    fn replace_flows(&mut self, bridge: &str, port: &str, wanted: &[Flow]) -> Result<(), Failure> {
        let bridges = Executor::bridges(self)?;
        let ports = bridges.iter().filter(|it| it.name == bridge).flat_map(|it| &it.ports);
        let Some(port) = ports.into_iter().find(|it| it.name == port) else {
            return Err(Failure::not_found(format!("bridge {bridge} has no port {port}")));
        };
        let number = port.number.ok_or_else(|| Failure::unavailable(format!("port {} has no number", port.name)))?;
        let wanted = wanted.iter().map(|flow| flows::listed(flow, number)).collect::<Result<Vec<_>, _>>()?;
        let flows = self.here.network.openvswitch.flows.entry(bridge.to_owned()).or_default();
        flows.retain(|flow| flow.input != Some(number));
        flows.extend(wanted);
        Ok(())
    }

    fn forget_flows(&mut self, bridge: &str, number: u32) -> Result<bool, Failure> {
        let bridges = Executor::bridges(self)?;
        let mut ports = bridges.iter().filter(|it| it.name == bridge).flat_map(|it| &it.ports);
        if ports.any(|port| port.number == Some(number)) {
            return Ok(false);
        }
        let flows = self.here.network.openvswitch.flows.get_mut(bridge);
        let flows = flows.ok_or_else(|| Failure::not_found(format!("{bridge} is not a bridge or a socket")))?;
        flows.retain(|flow| flow.input != Some(number));
        Ok(true)
    }

    fn limit_vlans(&mut self, limit: u8) -> Result<bool, Failure> {
        let switch = &mut self.here.network.openvswitch;
        let changed = switch.vlan_limit != Some(limit);
        switch.vlan_limit = Some(limit);
        switch.purges += u32::from(changed);
        Ok(changed)
    }
}
