//! Machines that are network namespaces.

use std::fs::File;
use std::process::{Child, Command};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::sh;

/// A network namespace that lives as long as a process of the test's.
pub struct Elsewhere(Child);

impl Default for Elsewhere {
    fn default() -> Self {
        let child = Command::new("unshare").args(["--net", "sleep", "600"]).spawn().unwrap();
        let own = std::fs::read_link("/proc/thread-self/ns/net").unwrap();
        let namespace = format!("/proc/{}/ns/net", child.id());
        for _ in 0..10_000 {
            if std::fs::read_link(&namespace).is_ok_and(|other| other != own) {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Self(child)
    }
}

impl Elsewhere {
    /// The process that it lives with.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Does something there.
    pub fn run<T: Send + 'static>(&self, what: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        let namespace = File::open(format!("/proc/{}/ns/net", self.0.id())).unwrap();
        std::thread::spawn(move || {
            nix::sched::setns(&namespace, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            what()
        })
    }

    /// Plugs its link `inner` into the bridge br0 by a port of this name.
    pub fn plug(&self, port: &str, mac: &str) {
        let id = self.0.id();
        sh(&format!("ip link add {port} type veth peer name inner; ip link set inner address {mac} netns {id}"));
        sh(&format!("ip link set {port} master br0 up"));
        self.run(|| sh("ip link set lo up; ip link set inner up")).join().unwrap();
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
