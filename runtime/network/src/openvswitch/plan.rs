//! What is to be done for changes, by what there is: commands of one transaction.

use remotes_effect::network::switch;
use remotes_effect::openvswitch::{Backing, Bridge, Change, NewPort, PortName};
use remotes_effect::types::Failure;

use super::SOCKETS;

/// Words of one command of `ovs-vsctl`.
pub(super) type Command = Vec<String>;

/// One from its words.
pub(super) fn command(words: &[&str]) -> Command {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The failure to find a port.
pub(super) fn missing(bridge: &str, port: &str) -> Failure {
    Failure::not_found(format!("bridge {bridge} of Open vSwitch has no port {port}"))
}

/// What is to be done for changes, by what there is.
#[derive(Default)]
pub(super) struct Plan {
    /// in their order
    pub commands: Vec<Command>,
    /// bridges that are made
    pub bridges: Vec<String>,
    /// ports that are added
    ports: Vec<PortName>,
    /// whether QEMU's sockets are needed
    pub sockets: bool,
}

impl Plan {
    /// The plan for these changes; fails where one of them cannot be.
    pub fn make(changes: &[Change], there: &[Bridge]) -> Result<Self, Failure> {
        let mut plan = Self::default();
        for change in changes {
            plan.add(change, there)?;
        }
        Ok(plan)
    }

    /// Whether a port is on this bridge, or will be. One on another bridge is none that may be changed.
    fn has(&self, bridge: &str, port: &str, there: &[Bridge]) -> Result<bool, Failure> {
        switch::name(port)?;
        if let Some(other) = there.iter().find(|it| it.name != bridge && it.ports.iter().any(|it| it.name == port)) {
            return Err(Failure::denied(format!(
                "port {port} is on bridge {}, not on {bridge}: it stays as it is",
                other.name
            )));
        }
        let added = self.ports.iter().any(|it| it.bridge == bridge && it.name == port);
        let listed = there.iter().any(|it| it.name == bridge && it.ports.iter().any(|it| it.name == port));
        Ok(added || listed)
    }

    fn add(&mut self, change: &Change, there: &[Bridge]) -> Result<(), Failure> {
        match change {
            Change::EnsureBridge(bridge) => {
                let name = bridge.name.as_str();
                switch::name(name)?;
                let settings = switch::settings(&bridge.settings)?;
                if there.iter().any(|it| it.name == name) || self.bridges.contains(&bridge.name) {
                    return Ok(());
                }
                self.commands.push(command(&["--may-exist", "add-br", name]));
                if !settings.is_empty() {
                    self.commands.push([command(&["set", "Bridge", name]), settings].concat());
                }
                self.bridges.push(bridge.name.clone());
            }
            Change::EnsurePort(NewPort { bridge, name, backing }) => {
                switch::name(bridge)?;
                if !self.has(bridge, name, there)? {
                    self.commands.push(command(&["--may-exist", "add-port", bridge, name]));
                    self.ports.push(PortName { bridge: bridge.clone(), name: name.clone() });
                }
                if *backing == Backing::VhostUser {
                    let path = format!("options:vhost-server-path=\"{SOCKETS}/{name}\"");
                    self.commands.push(command(&["set", "Interface", name, "type=dpdkvhostuserclient", &path]));
                    self.sockets = true;
                }
            }
            Change::SetPort(port) => match self.has(&port.bridge, &port.name, there)? {
                true => self.commands.extend(switch::commands(&port.name, &port.columns)?),
                false => return Err(missing(&port.bridge, &port.name)),
            },
            Change::RemovePort(PortName { bridge, name }) => {
                switch::name(bridge)?;
                if self.has(bridge, name, there)? {
                    self.commands.push(command(&["--if-exists", "del-port", bridge, name]));
                    self.ports.retain(|it| it.name != *name);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use remotes_effect::openvswitch::{Column, NewBridge, Port, PortColumns, Setting};
    use remotes_effect::types::FailureKind;

    use super::*;

    fn there(bridge: &str, ports: &[&str]) -> Bridge {
        let port = |name: &&str| Port {
            name: (*name).to_owned(),
            number: Some(1),
            tag: None,
            trunks: vec![],
            vlan_mode: None,
            cvlans: vec![],
            mtu: None,
        };
        Bridge { name: bridge.to_owned(), ports: ports.iter().map(port).collect() }
    }

    fn lines(changes: &[Change], there: &[Bridge]) -> Result<Vec<String>, Failure> {
        Ok(Plan::make(changes, there)?.commands.iter().map(|command| command.join(" ")).collect())
    }

    fn ensure_port(bridge: &str, name: &str, backing: Backing) -> Change {
        Change::EnsurePort(NewPort { bridge: bridge.into(), name: name.into(), backing })
    }

    fn set_tag(bridge: &str, name: &str) -> Change {
        Change::SetPort(PortColumns { bridge: bridge.into(), name: name.into(), columns: vec![Column::Tag(Some(4))] })
    }

    #[test]
    fn changes_are_one_transaction_of_what_is_missing() {
        let settings = vec![Setting { name: "datapath_type".into(), value: "netdev".into() }];
        let changes = [
            Change::EnsureBridge(NewBridge { name: "br0".into(), settings }),
            ensure_port("br0", "eth1", Backing::Link),
            ensure_port("br0", "one-1-0", Backing::VhostUser),
            set_tag("br0", "one-1-0"),
        ];
        let all = [
            "--may-exist add-br br0",
            "set Bridge br0 datapath_type=\"netdev\"",
            "--may-exist add-port br0 eth1",
            "--may-exist add-port br0 one-1-0",
            "set Interface one-1-0 type=dpdkvhostuserclient options:vhost-server-path=\"/var/run/one/vhost-socks/one-1-0\"",
            "set Port one-1-0 tag=4",
        ];
        assert_eq!(lines(&changes, &[]).unwrap(), all);
        assert_eq!(lines(&changes, &[there("br0", &["eth1", "one-1-0"])]).unwrap(), all[4..]);
        let remove = Change::RemovePort(PortName { bridge: "br0".into(), name: "one-1-0".into() });
        assert_eq!(lines(std::slice::from_ref(&remove), &[there("br0", &[])]).unwrap(), [""; 0]);
        assert_eq!(lines(&[remove], &[there("br0", &["one-1-0"])]).unwrap(), ["--if-exists del-port br0 one-1-0"]);
    }

    #[test]
    fn a_port_of_another_bridge_stays_as_it_is() {
        let bridges = [there("br0", &[]), there("br-int", &["one-1-0"])];
        let remove = Change::RemovePort(PortName { bridge: "br0".into(), name: "one-1-0".into() });
        for change in [ensure_port("br0", "one-1-0", Backing::Link), set_tag("br0", "one-1-0"), remove] {
            assert_eq!(
                lines(std::slice::from_ref(&change), &bridges).unwrap_err().kind,
                FailureKind::Denied,
                "{change:?}"
            );
        }
        assert_eq!(lines(&[set_tag("br0", "one-2-0")], &bridges).unwrap_err().kind, FailureKind::NotFound);
    }
}
