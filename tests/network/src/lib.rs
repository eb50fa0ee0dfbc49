//! Network drivers on real links and rules: every test in a network namespace of its own, behind the
//! policy that comes with the driver. The hypervisor alone is simulated.
//!
//! Needs root: without it, [`isolated`] says so and the test has nothing to say.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::sync::Arc;

mod by;
mod case;
mod elsewhere;
mod grounds;
pub mod scene;
mod state;
mod switch;
mod wired;

pub use by::{By, Sudo, program};
pub use case::{Case, assert_state};
pub use elsewhere::Elsewhere;
pub use grounds::{Grounds, Outcome, sh};
pub use state::State;
pub use switch::{SwitchState, switched, until};
pub use wired::Wired;

/// Runs a test in a network namespace of its own, which goes with the thread.
pub fn isolated(test: impl FnOnce() + Send + 'static) {
    if !nix_is_root() {
        eprintln!("skipped: network namespaces need root");
        return;
    }
    let run = move || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("a network namespace");
        test();
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

fn nix_is_root() -> bool {
    std::fs::read_to_string("/proc/self/status").unwrap().lines().any(|line| line.starts_with("Uid:\t0\t0"))
}
