//! From a prepared action to what oned reads.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use remotes_effect::deadline::Deadline;
use remotes_effect::journal::{Journal, Lines};
use remotes_effect::log::Level;
use remotes_effect::pipeline::Pipeline;
use remotes_effect::policy::Policy;
use remotes_effect::types::Failure;
use remotes_effect::{Call, Executor, Reply};
use remotes_host::{Machine, Surroundings};
use remotes_sandbox::{Outcome, RunError};

use crate::convention::{self, Printed};
use crate::prepare::Prepared;
use crate::tree::{Identity, Tree};

/// The executor of this machine for a prepared action.
pub fn machine(tree: &Tree, identity: &Identity, prepared: &Prepared) -> Machine {
    machine_for(tree, identity, prepared.policy.clone(), prepared.deadline)
}

/// The executor of this machine under a policy. Log lines go to standard error as they come.
pub fn machine_for(tree: &Tree, identity: &Identity, policy: Arc<Policy>, deadline: Deadline) -> Machine {
    let action = identity.action.clone();
    let actions = tree.actions(&identity.subsystem, &identity.driver);
    Machine::new(Surroundings {
        policy,
        tree: tree.root().to_owned(),
        deadline,
        libvirt_server: tree.program("remotes-libvirt"),
        log: Box::new(move |level, text| write_log(level, &action, text)),
    })
    .with_actions(actions)
}

/// Writes one log line of the convention.
pub fn write_log(level: Level, action: &str, text: &str) {
    // A front-end that has gone must not keep the action from its end.
    let _ = std::io::stderr().write_all(convention::log_line(level, action, text).as_bytes());
}

/// The journal that the policy asks for, if it can be opened.
pub fn policy_journal(policy: &Policy, identity: &Identity) -> Option<Lines> {
    let path = policy.journal.as_deref()?;
    let opened = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32)
        .open(path);
    match opened {
        Ok(file) => Some(Lines::new(file, format!("{identity} {}", std::process::id()))),
        Err(error) => {
            tracing::warn!(path, %error, "the journal of the policy cannot be opened");
            None
        }
    }
}

/// What a driver gets beyond the action's time. Every effect fails by then: this is for saying what was
/// waited for in vain, and whether it may have happened.
const REPORT: Duration = Duration::from_secs(1);

/// Calls the driver; when it is stuck in the host long after its deadline, reports and ends the process.
pub fn run<J, E>(prepared: &Prepared, journal: J, executor: E) -> Outcome<J, E>
where
    J: Journal + Send + 'static,
    E: Executor + Send + 'static,
{
    let pipeline = Pipeline::new(prepared.policy.clone(), journal, executor);
    let abandon = abandon(&prepared.call, prepared.policy.limits.time(prepared.call.action()).as_secs());
    prepared.driver.call(&prepared.call, pipeline, prepared.deadline.later(REPORT), Some(abandon))
}

fn abandon(call: &Call, seconds: u64) -> Box<dyn FnOnce() + Send> {
    let failure = Failure::timeout(format!(
        "{}: given up: it is stuck inside the host after {seconds} s; whether its last effect happened is not known",
        call.action()
    ));
    let printed = convention::print_failure(call, &failure);
    Box::new(move || {
        emit(&printed);
        std::process::exit(i32::from(printed.code));
    })
}

/// What oned is to read of how the action ended.
pub fn printed(call: &Call, result: &Result<Reply, RunError>) -> Printed {
    match result {
        Ok(reply) => convention::print(call, reply),
        Err(error) => convention::print_failure(call, &Failure::failed(format!("{}: {error}", call.action()))),
    }
}

/// Writes it.
pub fn emit(printed: &Printed) {
    let _ = std::io::stderr().write_all(printed.stderr.as_bytes());
    let _ = std::io::stdout().write_all(printed.stdout.as_bytes());
}
