//! Effects on other hosts of the cloud: an effect server of the same kind at the other end of ssh.

use std::collections::BTreeMap;
use std::sync::Arc;

use remotes_effect::deadline::Deadline;
use remotes_effect::frame::Hello;
use remotes_effect::policy::Policy;
use remotes_effect::types::Failure;
use remotes_effect::{Answer, Effect};
use serde_json::Value;

use crate::connection::Connection;
use crate::ssh::Ssh;
use crate::transfer::{Errand, Peer, Task};

/// One connection a host, kept as long as this.
pub(crate) struct Hosts {
    policy: Arc<Policy>,
    deadline: Deadline,
    ssh: Ssh,
    connections: BTreeMap<String, Connection>,
}

impl Hosts {
    /// Connects to nobody yet.
    pub fn new(policy: Arc<Policy>, deadline: Deadline, ssh: Ssh) -> Self {
        Self { policy, deadline, ssh, connections: BTreeMap::new() }
    }

    /// How hosts are reached.
    pub fn ssh(&mut self) -> &mut Ssh {
        &mut self.ssh
    }

    /// Starts one end of a transfer on a host.
    pub fn begin(&self, host: &str, task: Task, path: &str) -> Result<Peer, Failure> {
        let mut command = self.ssh.command(host, task.name())?;
        let hello = Hello::new(Policy::clone(&self.policy), self.deadline.left());
        let errand = Errand { path: path.to_owned() };
        Peer::start(format!("host {host}"), &mut command, &hello, &errand, self.deadline)
    }

    /// Has an effect carried out on a host; for that host it happens `here`.
    pub fn call(&mut self, host: &str, effect: &Effect) -> Result<Answer, Failure> {
        let local = here(effect)?;
        if !self.connections.contains_key(host) {
            let command = self.ssh.command(host, "serve")?;
            let connection = Connection::new(format!("host {host}"), command, self.policy.clone(), self.deadline);
            self.connections.insert(host.to_owned(), connection);
        }
        match self.connections.get_mut(host) {
            Some(connection) => connection.call(&local),
            None => Err(Failure::unavailable(format!("host {host}: no connection"))),
        }
    }
}

/// The effect with every node it names being `here`.
fn here(effect: &Effect) -> Result<Effect, Failure> {
    let fail = |error| Failure::failed(format!("{}: cannot be sent to a host: {error}", effect.name()));
    let mut value = serde_json::to_value(effect).map_err(fail)?;
    localize(&mut value);
    serde_json::from_value(value).map_err(fail)
}

/// In the contract's effects only nodes are called `on`, as parameters and in places.
fn localize(value: &mut Value) {
    let Value::Object(fields) = value else { return };
    for (name, value) in fields {
        match name.as_str() {
            "on" if value.get("host").is_some() => *value = Value::from("here"),
            _ => localize(value),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use remotes_effect::types::{Node, Place};
    use remotes_effect::{filesystem, tools};

    use super::*;

    #[test]
    fn every_node_becomes_here() {
        let there = |path: &str| Place { on: Node::Host("node1".into()), path: path.into() };
        let effect = Effect::Filesystem(filesystem::Effect::Copy { source: there("/a/on"), target: there("/b") });
        let local = here(&effect).unwrap();
        assert!(local.nodes().iter().all(|node| **node == Node::Here));
        let place = |path: &str| Place { on: Node::Here, path: path.into() };
        assert_eq!(local, Effect::Filesystem(filesystem::Effect::Copy { source: place("/a/on"), target: place("/b") }));
        let run = |on| {
            Effect::Tools(tools::Effect::Run {
                on,
                tool: "host".into(),
                arguments: vec!["on".into()],
                stdin: b"{\"host\":1}".to_vec(),
            })
        };
        assert_eq!(here(&run(Node::Host("h".into()))).unwrap(), run(Node::Here));
    }
}
