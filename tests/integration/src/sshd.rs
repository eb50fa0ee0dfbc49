//! An sshd of the test's own on loopback, as the host that oned would know by [`HOST`].

use std::path::PathBuf;
use std::process::Command;

use crate::scene::HOST;

/// Runs until it is dropped. `ssh -F CONFIG HOST` reaches it.
pub struct Sshd(remotes_test_support::Sshd);

impl Sshd {
    /// Starts it. Sessions find these variables in their environment.
    pub fn start(environment: &[(&str, &str)]) -> Self {
        Self(remotes_test_support::Sshd::start(&[HOST], environment).unwrap())
    }

    /// The client's configuration file.
    pub fn client(&self) -> PathBuf {
        self.0.client()
    }

    /// A client that knows the host.
    pub fn ssh(&self) -> Command {
        self.0.ssh()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.0.log()
    }
}
