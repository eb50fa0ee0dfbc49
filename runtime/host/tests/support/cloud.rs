//! Another host: this machine, by way of a real sshd.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use remotes_effect::deadline::Deadline;
use remotes_effect::policy::{PathGrants, Pattern, Policy};
use remotes_effect::types::{Node, Place};
use remotes_host::{Machine, Surroundings};
use remotes_test_support::{Sshd, skipped, until};
use rustix::process::{Pid, Signal, kill_process};

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
            skipped("sshd is not installed (package openssh-server)");
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

    /// Stops the processes of sshd that serve connections, as a host that has lost its power would stop.
    pub fn stop_sessions(&self) -> Vec<Pid> {
        let children = |parent: i32| {
            let path = format!("/proc/{parent}/task/{parent}/children");
            let text = std::fs::read_to_string(path).unwrap_or_default();
            text.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<i32>>()
        };
        let is_sshd =
            |pid: &i32| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("sshd"));
        let mut all = children(self.sshd.id() as i32);
        let mut next = 0;
        while next < all.len() {
            all.extend(children(all[next]));
            next += 1;
        }
        let sessions: Vec<Pid> = all.into_iter().filter(is_sshd).filter_map(Pid::from_raw).collect();
        for session in &sessions {
            kill_process(*session, Signal::STOP).unwrap();
        }
        sessions
    }

    /// A path on a host.
    pub fn on(&self, host: &str, path: &str) -> Place {
        Place { on: Node::Host(host.to_owned()), path: self.world.at(path) }
    }
}
