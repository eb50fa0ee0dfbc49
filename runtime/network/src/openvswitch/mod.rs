//! Open vSwitch by its own programs: one `ovs-vsctl` a transaction, one `ovs-ofctl --bundle` a port's flows.

mod listing;
mod plan;
mod sockets;

use std::path::Path;

use remotes_effect::network::{flows, switch};
use remotes_effect::openvswitch::{Bridge, Change, Executor, Flow, ListedFlow, Port};
use remotes_effect::text::one_line;
use remotes_effect::tools::Outcome;
use remotes_effect::types::Failure;
use remotes_process::{last_line, system_program};

use super::privileged::{Privileged, failure};
use plan::{Command, Plan, command, missing};

/// Seconds that the switch may take for one change. Its tools wait for ever unless they are told.
const PATIENCE: u64 = 30;

/// Where QEMU's sockets are that the switch connects to.
const SOCKETS: &str = "/var/run/one/vhost-socks";

/// The status of a tool whose time has passed: SIGALRM ended it.
const ALARM: i32 = 128 + 14;

/// Whether this host has Open vSwitch, running or not.
pub fn is_installed() -> bool {
    system_program("ovs-vsctl").is_some()
}

/// The executor of `openvswitch`.
#[derive(Debug, Clone)]
pub struct OpenVswitch(Privileged);

impl OpenVswitch {
    /// By these rights.
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
            && let Err(error) = sockets::prepare(Path::new(SOCKETS))
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
    use remotes_effect::types::FailureKind;

    use super::*;

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
