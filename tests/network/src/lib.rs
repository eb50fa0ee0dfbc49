//! Network drivers on real links and rules: every test in a network namespace of its own, behind the
//! policy that comes with the driver. The hypervisor is simulated, or libvirt's test driver for recorded cases.
//!
//! Needs root: without it, [`isolated`] says so, which on a machine of CI is a failure.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::sync::Arc;

mod by;
mod case;
mod elsewhere;
mod grounds;
mod node;
mod proxied;
pub mod scene;
mod state;
mod switch;
mod wired;

pub use by::{By, Sudo, act, program};
pub use case::{Case, assert_state};
pub use elsewhere::Elsewhere;
pub use grounds::{Grounds, Outcome, sh};
pub use node::node;
pub use proxied::{Nft, ProxyState, by_hand, daemon_calls, install_stand_ins, proxied, recorded_script};
pub use remotes_test_support::{mac, skipped, wait_for};
pub use state::{State, without_carrier};
pub use switch::{SwitchState, switched};
pub use wired::{Wired, packet_socket};

/// Runs a test in a network namespace of its own, which goes with the thread.
pub fn isolated(test: impl FnOnce() + Send + 'static) {
    let run = move || match nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET) {
        Ok(()) => test(),
        Err(nix::errno::Errno::EPERM) => skipped("network namespaces need root, who may make them"),
        Err(error) => panic!("a network namespace: {error}"),
    };
    if let Err(panic) = std::thread::spawn(run).join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs tests at once in the namespace of the calling thread.
pub fn together(tests: Vec<Box<dyn FnOnce() + Send>>) {
    let namespace = Arc::new(std::fs::File::open("/proc/thread-self/ns/net").unwrap());
    let start = |test: Box<dyn FnOnce() + Send>| {
        let namespace = namespace.clone();
        std::thread::spawn(move || {
            nix::sched::setns(&*namespace, nix::sched::CloneFlags::CLONE_NEWNET).expect("the network namespace");
            test();
        })
    };
    let threads: Vec<_> = tests.into_iter().map(start).collect();
    for thread in threads {
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    }
}
