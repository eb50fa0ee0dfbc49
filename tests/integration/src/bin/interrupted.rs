//! `interrupted TREE SUBSYSTEM/DRIVER/ACTION before|after|within EFFECT [ARG…]`: an action that kills
//! itself at one of its effects, counted from 1, as `kill -9` would. It is put together of the same parts
//! as `remotes-action`; when the action has fewer effects, it ends as that does.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::ExitCode;
use std::time::Duration;

use remotes_action::prepare::{prepare, standard_input};
use remotes_action::run::{emit, machine, policy_journal, printed, run};
use remotes_action::tree::{Identity, Tree};
use remotes_effect::{Answer, Effect, Executor};
use rustix::process::{Signal, getpid, kill_process};

/// How long an effect is under way before it is interrupted: long enough to have reached libvirt's
/// daemon, and shorter than QEMU takes for anything.
const WITHIN: Duration = Duration::from_millis(40);

#[derive(Clone, Copy, PartialEq)]
enum Moment {
    /// asked for, and in the journal
    Before,
    /// being carried out
    Within,
    /// carried out, and not yet answered
    After,
}

/// The executor with a knife.
struct Interrupted<E> {
    executor: E,
    number: u64,
    at: u64,
    moment: Moment,
}

impl<E: Executor> Executor for Interrupted<E> {
    fn execute(&mut self, effect: &Effect) -> Answer {
        self.number += 1;
        if self.number != self.at {
            return self.executor.execute(effect);
        }
        match self.moment {
            Moment::Before => die(),
            Moment::Within => {
                std::thread::spawn(|| {
                    std::thread::sleep(WITHIN);
                    die();
                });
            }
            Moment::After => {}
        }
        self.executor.execute(effect);
        die();
    }
}

fn die() -> ! {
    kill_process(getpid(), Signal::KILL).unwrap();
    loop {
        std::thread::park();
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let tree = Tree::at(arguments.next().expect("TREE"));
    let identity: Identity = arguments.next().expect("SUBSYSTEM/DRIVER/ACTION").parse().unwrap();
    let moment = match arguments.next().as_deref() {
        Some("before") => Moment::Before,
        Some("within") => Moment::Within,
        Some("after") => Moment::After,
        other => panic!("{other:?}: expected before, within or after"),
    };
    let at = arguments.next().expect("EFFECT").parse().unwrap();
    let argv: Vec<String> = arguments.collect();
    let prepared = prepare(&tree, &identity, &argv, &standard_input().unwrap()).unwrap();
    let journal = policy_journal(&prepared.policy, &identity);
    let executor = machine(&tree, &identity, &prepared);
    let outcome = run(&prepared, journal, Interrupted { executor, number: 0, at, moment });
    let printed = printed(&prepared.call, &outcome.result);
    emit(&printed);
    ExitCode::from(printed.code)
}
