//! Another host: this machine, by way of a real sshd.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use remotes_effect::deadline::Deadline;
use remotes_effect::policy::{PathGrants, Pattern, Policy};
use remotes_effect::types::{Node, Place};
use remotes_host::{Machine, Surroundings};
use remotes_test_support::{Sshd, until};

use super::{RW, Sandbox, example};

/// Folders `here` and `there`, granted for writing, and a remotes tree `remote` that hosts have.
pub struct Cloud {
    pub world: Sandbox,
    pub sshd: Sshd,
}

impl Cloud {
    /// Hosts node1 and node2; nothing where this machine cannot be one.
    pub fn new() -> Option<Self> {
        if !Path::new("/usr/sbin/sshd").exists() {
            assert!(std::env::var_os("CI").is_none(), "sshd is needed (package openssh-server)");
            println!("skipped: sshd is not installed (package openssh-server)");
            return None;
        }
        let world = Sandbox::new();
        world.folder("here").folder("there").folder("remote/bin").folder("remote/etc");
        let cloud = Self { world, sshd: Sshd::start(&["node1", "node2"], &[]).unwrap() };
        cloud.program("remotes_action", "remotes-action");
        Some(cloud)
    }

    /// Lays an example into the hosts' tree.
    pub fn program(&self, example: &str, name: &str) {
        let (from, to) = (self::example(example), self.world.path.join("remote/bin").join(name));
        std::fs::hard_link(&from, &to).or_else(|_| std::fs::copy(&from, &to).map(drop)).unwrap();
    }

    pub fn policy(&self) -> Policy {
        let PathGrants(paths) = self.world.grants(&[("here", RW), ("there", RW)]);
        Policy { paths: PathGrants(paths), hosts: vec![Pattern("node*".into())], ..Policy::default() }
    }

    pub fn machine(&self) -> Machine {
        self.machine_for(self.policy(), Duration::from_secs(120))
    }

    pub fn machine_for(&self, policy: Policy, time: Duration) -> Machine {
        Machine::new(Surroundings {
            policy: Arc::new(policy),
            tree: self.world.path.join("local"),
            deadline: Deadline::after(time),
            libvirt_server: "/nonexistent/remotes-libvirt".into(),
            log: Box::new(|_, _| {}),
        })
        .with_remote_directory(self.world.path.join("remote"))
        .with_ssh_configuration(self.sshd.client())
    }

    /// Waits until no program of the hosts' tree runs.
    pub fn settle(&self) {
        let tree = self.world.path.join("remote/bin");
        until("the end of the hosts' programs", || {
            let runs = std::fs::read_dir("/proc")?.filter_map(Result::ok).any(|entry| {
                std::fs::read_link(entry.path().join("exe")).is_ok_and(|program| program.starts_with(&tree))
            });
            Ok((!runs).then_some(()))
        })
        .unwrap();
    }

    /// A path on a host.
    pub fn on(&self, host: &str, path: &str) -> Place {
        Place { on: Node::Host(host.to_owned()), path: self.world.at(path) }
    }
}
