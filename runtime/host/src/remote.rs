//! Effects on other hosts of the cloud: an effect server of the same kind at the other end of ssh.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use remotes_effect::deadline::Deadline;
use remotes_effect::policy::Policy;
use remotes_effect::types::Failure;
use remotes_effect::{Answer, Effect};
use serde_json::Value;

use crate::connection::Connection;
use crate::process::{bare, system_program};
use crate::report::shown;

/// Where hosts have the remotes tree (`SCRIPTS_REMOTE_DIR` in oned.conf).
pub const REMOTE_DIRECTORY: &str = "/var/tmp/one";

/// What ssh needs of the environment to be the user that it is.
const ENVIRONMENT: [&str; 4] = ["HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK"];

/// One connection a host, kept as long as this.
pub(crate) struct Hosts {
    policy: Arc<Policy>,
    deadline: Deadline,
    directory: PathBuf,
    connections: BTreeMap<String, Connection>,
}

impl Hosts {
    /// Connects to nobody yet; `directory` is the tree on the hosts.
    pub fn new(policy: Arc<Policy>, deadline: Deadline, directory: PathBuf) -> Self {
        Self { policy, deadline, directory, connections: BTreeMap::new() }
    }

    /// Has an effect carried out on a host; for that host it happens `here`.
    pub fn call(&mut self, host: &str, effect: &Effect) -> Result<Answer, Failure> {
        let local = here(effect)?;
        if !self.connections.contains_key(host) {
            let command = command(host, &self.directory)?;
            let connection = Connection::new(format!("host {host}"), command, self.policy.clone(), self.deadline);
            self.connections.insert(host.to_owned(), connection);
        }
        match self.connections.get_mut(host) {
            Some(connection) => connection.call(&local),
            None => Err(Failure::unavailable(format!("host {host}: no connection"))),
        }
    }
}

/// The command that starts the server on a host. ssh hands the last words to a shell there: all are of
/// characters that mean nothing to one.
fn command(host: &str, directory: &Path) -> Result<Command, Failure> {
    let plain =
        |text: &str, more: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || more.as_bytes().contains(&b));
    if host.is_empty() || host.len() > 253 || host.starts_with('-') || !plain(host, "._-") {
        return Err(Failure::invalid(format!(
            "{}: is no name of a host (letters, digits, `.`, `_`, `-`)",
            shown(host)
        )));
    }
    let directory =
        directory.to_str().filter(|text| text.starts_with('/') && plain(text, "._-/")).ok_or_else(|| {
            Failure::invalid(format!("{}: is no folder that a host can have its remotes in", shown(directory)))
        })?;
    let ssh = system_program("ssh")
        .ok_or_else(|| Failure::unavailable(format!("host {host}: ssh is not installed (package openssh-client)")))?;
    let mut command = bare(ssh);
    for name in ENVIRONMENT {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    // A master left behind by a connection would outlive it, and hold its pipes.
    command.args(["-o", "BatchMode=yes", "-o", "ControlMaster=no", "-o", "ControlPath=none", "--", host]);
    command.args([format!("{directory}/bin/remotes-action"), "serve".to_owned()]);
    Ok(command)
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

    #[test]
    fn names_that_ssh_or_a_shell_would_read_otherwise_are_refused() {
        let tree = Path::new(REMOTE_DIRECTORY);
        for host in ["", "-oProxyCommand=id", "a b", "a;b", "a@b", "a'b", "ü", "$(id)", "a\nb", &"a".repeat(254)] {
            assert!(command(host, tree).is_err(), "{host:?}");
        }
        for directory in ["relative", "/a b", "/a;b", "/$HOME"] {
            assert!(command("node1", Path::new(directory)).is_err(), "{directory:?}");
        }
    }

    #[test]
    fn the_command_is_one_argument_vector() {
        let Ok(command) = command("node-1.example", Path::new(REMOTE_DIRECTORY)) else {
            return;
        };
        let arguments: Vec<_> = command.get_args().filter_map(|argument| argument.to_str()).collect();
        assert_eq!(arguments[6..], ["--", "node-1.example", "/var/tmp/one/bin/remotes-action", "serve"]);
    }
}
