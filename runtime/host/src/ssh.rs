//! How programs of the runtime are started on another host.

use std::path::{Path, PathBuf};
use std::process::Command;

use remotes_effect::types::Failure;
use remotes_process::report::shown;
use remotes_process::{bare, system_program};

/// Where hosts have the remotes tree where nothing else is said (`SCRIPTS_REMOTE_DIR` in oned.conf).
pub const REMOTE_DIRECTORY: &str = "/var/tmp/one";

/// What ssh needs of the environment to be the user that it is.
const ENVIRONMENT: [&str; 4] = ["HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK"];

/// What counts before anything that the user's own configuration says.
///
/// Nobody is there to be asked. A master left behind by a connection would outlive it, and hold its pipes. A
/// terminal would change bytes on their way. A host that does not answer, or falls silent for half a minute,
/// is given up long before most actions' deadlines.
const OPTIONS: [&str; 6] = [
    "BatchMode=yes",
    "ControlMaster=no",
    "ControlPath=none",
    "ConnectTimeout=10",
    "ServerAliveInterval=10",
    "ServerAliveCountMax=3",
];

/// The way to other hosts.
#[derive(Debug, Clone)]
pub(crate) struct Ssh {
    /// The remotes tree on the hosts.
    pub directory: PathBuf,
    /// ssh's configuration file, where it is not the user's own.
    pub configuration: Option<PathBuf>,
}

impl Ssh {
    /// The command that has `remotes-action` do a task on a host. ssh hands the last words to a shell
    /// there: all are of characters that mean nothing to one.
    pub fn command(&self, host: &str, task: &str) -> Result<Command, Failure> {
        if host.is_empty() || host.len() > 253 || host.starts_with('-') || !plain(host, "._-") {
            return Err(Failure::invalid(format!(
                "{}: is no name of a host (letters, digits, `.`, `_`, `-`)",
                shown(host)
            )));
        }
        let directory = usable(&self.directory).ok_or_else(|| {
            Failure::invalid(format!("{}: is no folder that a host can have its remotes in", shown(&self.directory)))
        })?;
        let ssh = system_program("ssh").ok_or_else(|| {
            Failure::unavailable(format!("host {host}: ssh is not installed (package openssh-client)"))
        })?;
        let mut command = bare(ssh);
        for name in ENVIRONMENT {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.arg("-T");
        if let Some(file) = &self.configuration {
            command.arg("-F").arg(file);
        }
        command.args(OPTIONS.into_iter().flat_map(|option| ["-o", option]));
        command.args(["--", host, &format!("{directory}/bin/remotes-action"), task]);
        Ok(command)
    }
}

/// The folder as text, where it is absolute and means nothing to a shell.
fn usable(directory: &Path) -> Option<&str> {
    directory.to_str().filter(|text| text.starts_with('/') && plain(text, "._-/"))
}

fn plain(text: &str, more: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.as_bytes().contains(&byte))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn command(host: &str, directory: &str) -> Result<Command, Failure> {
        Ssh { directory: directory.into(), configuration: None }.command(host, "serve")
    }

    #[test]
    fn names_that_ssh_or_a_shell_would_read_otherwise_are_refused() {
        for host in ["", "-oProxyCommand=id", "a b", "a;b", "a@b", "a'b", "ü", "$(id)", "a\nb", &"a".repeat(254)] {
            assert!(command(host, REMOTE_DIRECTORY).is_err(), "{host:?}");
        }
        for directory in ["relative", "/a b", "/a;b", "/$HOME"] {
            assert!(command("node1", directory).is_err(), "{directory:?}");
        }
    }

    #[test]
    fn the_command_is_one_argument_vector() {
        let Ok(command) = command("node-1.example", REMOTE_DIRECTORY) else {
            return;
        };
        let arguments: Vec<_> = command.get_args().filter_map(|argument| argument.to_str()).collect();
        let behind = arguments.iter().position(|argument| *argument == "--").unwrap();
        assert_eq!(arguments[behind..], ["--", "node-1.example", "/var/tmp/one/bin/remotes-action", "serve"]);
    }
}
