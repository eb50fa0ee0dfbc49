//! Open vSwitch by its own programs: one `ovs-vsctl` a transaction, one `ovs-ofctl --bundle` a port's flows.

mod listing;

use std::os::unix::fs::DirBuilderExt as _;

use remotes_effect::network::{flows, switch};
use remotes_effect::openvswitch::{Backing, Bridge, Change, Executor, Flow, ListedFlow, NewPort, Port, PortName};
use remotes_effect::text::one_line;
use remotes_effect::tools::Outcome;
use remotes_effect::types::Failure;

use super::privileged::{Privileged, failure};
use crate::process::last_line;

/// Seconds that the switch may take for one change. Its tools wait for ever unless they are told.
const PATIENCE: u64 = 30;

/// Where QEMU's sockets are that the switch connects to.
const SOCKETS: &str = "/var/run/one/vhost-socks";

/// The status of a tool whose time has passed: SIGALRM ended it.
const ALARM: i32 = 128 + 14;

/// The executor of `openvswitch`.
#[derive(Debug, Clone)]
pub struct OpenVswitch(Privileged);

/// Words of one command of `ovs-vsctl`.
type Command = Vec<String>;

fn command(words: &[&str]) -> Command {
    words.iter().map(|word| (*word).to_owned()).collect()
}

impl OpenVswitch {
    /// With these rights.
    pub fn new(privileged: Privileged) -> Self {
        Self(privileged)
    }

    /// Runs a tool of the switch, with a time after which it gives up.
    fn run(&self, program: &str, arguments: &[&str], input: &str, what: &str) -> Result<Outcome, Failure> {
        let patience = self.0.deadline().left().as_secs().clamp(1, PATIENCE);
        let timeout = format!("--timeout={patience}");
        let outcome = self.0.run(program, &[&[timeout.as_str()], arguments].concat(), input.as_bytes())?;
        match outcome.status {
            0 => Ok(outcome),
            ALARM => Err(Failure::timeout(format!(
                "cannot {what}: Open vSwitch did not answer within {patience} s; is ovs-vswitchd running?"
            ))),
            _ => Err(refused(what, &outcome)),
        }
    }

    /// Runs the commands as one transaction.
    fn transact(&self, options: &[&str], commands: &[Command], what: &str) -> Result<Outcome, Failure> {
        let mut arguments = options.to_vec();
        for command in commands {
            arguments.push("--");
            arguments.extend(command.iter().map(String::as_str));
        }
        self.run("ovs-vsctl", &arguments, "", what)
    }

    fn list(&self) -> Result<Vec<Bridge>, Failure> {
        let commands =
            listing::TABLES.map(|(table, columns)| vec![format!("--columns={columns}"), "list".into(), table.into()]);
        let outcome = self.transact(&["--format=json"], &commands, "list the bridges of Open vSwitch")?;
        listing::parse(&String::from_utf8_lossy(&outcome.stdout))
    }

    fn bundle(&self, bridge: &str, script: &str) -> Result<(), Failure> {
        let what = format!("change the flows of bridge {bridge}");
        self.run("ovs-ofctl", &["--bundle", "add-flows", bridge, "-"], script, &what).map(drop)
    }

    /// The port of this name on this bridge.
    fn port(&self, bridge: &str, name: &str) -> Result<Port, Failure> {
        let bridges = self.list()?;
        let ports = bridges.into_iter().filter(|it| it.name == bridge).flat_map(|it| it.ports);
        ports.into_iter().find(|port| port.name == name).ok_or_else(|| missing(bridge, name))
    }
}

fn missing(bridge: &str, port: &str) -> Failure {
    Failure::not_found(format!("bridge {bridge} of Open vSwitch has no port {port}"))
}

/// Why a tool of the switch did not do `what`.
fn refused(what: &str, outcome: &Outcome) -> Failure {
    let said = String::from_utf8_lossy(&outcome.stderr);
    if said.contains("version negotiation failed") {
        return Failure::unsupported(format!(
            "cannot {what} in one step: its `protocols` leave OpenFlow14 out; add it, as by `ovs-vsctl add bridge NAME protocols OpenFlow14`"
        ));
    }
    if said.contains("database connection failed") {
        return Failure::unavailable(format!(
            "cannot {what}: {}; is ovsdb-server running?",
            last_line(&outcome.stderr)
        ));
    }
    if ["is not a bridge or a socket", "no row", "no bridge named"].iter().any(|text| said.contains(text)) {
        return Failure::not_found(format!("cannot {what}: {}", last_line(&outcome.stderr)));
    }
    failure(what, outcome)
}

/// What is to be done for changes, by what there is.
#[derive(Default)]
struct Plan {
    commands: Vec<Command>,
    /// bridges that are made
    bridges: Vec<String>,
    /// ports that are added
    ports: Vec<PortName>,
    /// whether QEMU's sockets are needed
    sockets: bool,
}

impl Plan {
    fn make(changes: &[Change], there: &[Bridge]) -> Result<Self, Failure> {
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

/// What the switch says of links that it could not open. It is not told by the exit status.
fn complaints(stderr: &[u8]) -> Vec<String> {
    const INTRODUCTION: &str = "Error detected while setting up ";
    let text = String::from_utf8_lossy(stderr);
    let lines = text.lines().filter_map(|line| line.split_once(INTRODUCTION)).map(|(_, what)| what);
    lines.map(|what| one_line(what.split(".  See ").next().unwrap_or(what))).collect()
}

impl Executor for OpenVswitch {
    fn bridges(&mut self) -> Result<Vec<Bridge>, Failure> {
        self.list()
    }

    fn apply(&mut self, changes: &[Change]) -> Result<Vec<String>, Failure> {
        let plan = Plan::make(changes, &self.list()?)?;
        if plan.commands.is_empty() {
            return Ok(Vec::new());
        }
        let mut said = Vec::new();
        if plan.sockets
            && let Err(error) = std::fs::DirBuilder::new().recursive(true).mode(0o755).create(SOCKETS)
        {
            said.push(format!("{SOCKETS}: cannot be made: {error}"));
        }
        let outcome = self.transact(&[], &plan.commands, "change bridges and ports of Open vSwitch")?;
        said.extend(complaints(&outcome.stderr));
        for bridge in &plan.bridges {
            if let Some(complaint) = said.iter().find(|it| it.starts_with(&format!("'{bridge}'"))) {
                return Err(Failure::failed(format!("cannot make bridge {complaint}")));
            }
            self.0.must("ip", &["link", "set", "dev", bridge, "up"], &format!("bring bridge {bridge} up"))?;
        }
        Ok(said)
    }

    fn remove_unused_bridge(&mut self, name: &str, uplinks: &[String]) -> Result<bool, Failure> {
        switch::name(name)?;
        match self.list()?.iter().find(|bridge| bridge.name == name) {
            None => return Ok(true),
            Some(bridge) if bridge.ports.iter().any(|port| !uplinks.contains(&port.name)) => return Ok(false),
            Some(_) => {}
        }
        self.transact(&[], &[command(&["--if-exists", "del-br", name])], &format!("remove bridge {name}"))?;
        Ok(true)
    }

    fn flows(&mut self, bridge: &str) -> Result<Vec<ListedFlow>, Failure> {
        switch::name(bridge)?;
        let what = format!("list the flows of bridge {bridge}");
        let outcome = self.run("ovs-ofctl", &["--no-names", "--no-stats", "dump-flows", bridge], "", &what)?;
        Ok(flows::parse(&String::from_utf8_lossy(&outcome.stdout)))
    }

    fn replace_flows(&mut self, bridge: &str, port: &str, wanted: &[Flow]) -> Result<(), Failure> {
        switch::name(bridge)?;
        let number = self.port(bridge, port)?.number.ok_or_else(|| {
            Failure::unavailable(format!(
                "port {port} of bridge {bridge} has no number: Open vSwitch could not open its link; see its log"
            ))
        })?;
        self.bundle(bridge, &flows::script(number, wanted)?)
    }

    fn forget_flows(&mut self, bridge: &str, number: u32) -> Result<bool, Failure> {
        switch::name(bridge)?;
        let there = self.list()?;
        let mut ports = there.iter().filter(|it| it.name == bridge).flat_map(|it| &it.ports);
        if ports.any(|port| port.number == Some(number)) {
            return Ok(false);
        }
        self.bundle(bridge, &flows::forget(number))?;
        Ok(true)
    }

    fn limit_vlans(&mut self, limit: u8) -> Result<bool, Failure> {
        let ask = command(&["--if-exists", "get", "Open_vSwitch", ".", "other_config:vlan-limit"]);
        let outcome = self.transact(&[], &[ask], "look at the VLAN limit of Open vSwitch")?;
        if String::from_utf8_lossy(&outcome.stdout).trim().trim_matches('"') == limit.to_string() {
            return Ok(false);
        }
        let set = command(&["set", "Open_vSwitch", ".", &format!("other_config:vlan-limit={limit}")]);
        self.transact(&[], &[set], "set the VLAN limit of Open vSwitch")?;
        self.run("ovs-appctl", &["revalidator/purge"], "", "have Open vSwitch forget what it has remembered")?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use remotes_effect::openvswitch::{Column, NewBridge, PortColumns, Setting};
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
            assert_eq!(lines(&[change.clone()], &bridges).unwrap_err().kind, FailureKind::Denied, "{change:?}");
        }
        assert_eq!(lines(&[set_tag("br0", "one-2-0")], &bridges).unwrap_err().kind, FailureKind::NotFound);
    }

    #[test]
    fn complaints_and_refusals_are_told_apart() {
        let stderr = b"ovs-vsctl: Error detected while setting up 'nosuch': could not open network device nosuch (No such device).  See ovs-vswitchd log for details.\novs-vsctl: The default log directory is \"/var/log/openvswitch\".\n";
        assert_eq!(complaints(stderr), ["'nosuch': could not open network device nosuch (No such device)"]);
        let kind = |text: &str| refused("x", &Outcome { status: 1, stdout: vec![], stderr: text.into() }).kind;
        assert_eq!(
            kind("vconn|WARN|unix:x: version negotiation failed (we …)\novs-ofctl: x: failed"),
            FailureKind::Unsupported
        );
        assert_eq!(kind("ovs-vsctl: unix:x: database connection failed (No such file)"), FailureKind::Unavailable);
        assert_eq!(kind("ovs-ofctl: br9 is not a bridge or a socket"), FailureKind::NotFound);
        assert_eq!(kind("ovs-vsctl: constraint violation"), FailureKind::Failed);
    }
}
