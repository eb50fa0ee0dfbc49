//! From a prepared action to what oned reads.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use remotes_effect::deadline::Deadline;
use remotes_effect::journal::{Journal, Lines};
use remotes_effect::log::Level;
use remotes_effect::pipeline::Pipeline;
use remotes_effect::policy::Policy;
use remotes_effect::types::Failure;
use remotes_effect::{Call, Executor, Reply};
use remotes_host::{Log, Machine, Surroundings};
use remotes_sandbox::{Outcome, RunError};
use rustix::fs::{Access, OFlags};

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
    machine_with(tree, identity, policy, deadline, Box::new(move |level, text| write_log(level, &action, text)))
}

/// The same, with another place for log lines.
pub fn machine_with(tree: &Tree, identity: &Identity, policy: Arc<Policy>, deadline: Deadline, log: Log) -> Machine {
    let actions = tree.actions(&identity.subsystem, &identity.driver);
    Machine::new(Surroundings {
        policy,
        tree: tree.root().to_owned(),
        deadline,
        libvirt_server: tree.program("remotes-libvirt"),
        log,
    })
    .with_actions(actions)
}

/// Writes one log line of the convention.
pub fn write_log(level: Level, action: &str, text: &str) {
    // A front-end that has gone must not keep the action from its end.
    let _ = std::io::stderr().write_all(convention::log_line(level, action, text).as_bytes());
}

/// The journal that the policy asks for, if it can be opened. Where it is not kept, the action goes on: the loss is
/// a line of its log.
pub fn policy_journal(policy: &Policy, identity: &Identity) -> Option<Lines> {
    let path = Path::new(policy.journal.as_deref()?);
    match journal_options().create(true).mode(0o600).open(path) {
        Ok(file) => Some(journal_lines(file, path, identity)),
        Err(error) => {
            warn_of_loss(&identity.action, path, &error);
            None
        }
    }
}

/// A journal in this file, open for appending.
pub fn journal_lines(file: File, path: &Path, identity: &Identity) -> Lines {
    lines(file, path, identity, format!("{identity} {}", std::process::id()))
}

/// A journal of what only looks as if it were done: each line says so.
pub fn dry_journal_lines(file: File, path: &Path, identity: &Identity) -> Lines {
    lines(file, path, identity, format!("{identity} {} dry-run", std::process::id()))
}

fn lines(file: File, path: &Path, identity: &Identity, name: String) -> Lines {
    let (action, path) = (identity.action.clone(), path.to_owned());
    Lines::new(file, name, move |error| warn_of_loss(&action, &path, error))
}

fn warn_of_loss(action: &str, path: &Path, error: &std::io::Error) {
    tracing::warn!(path = %path.display(), %error, "the journal is not kept");
    let text = format!("journal {}: {error}; the action goes on, and what it does is not written down", path.display());
    write_log(Level::Warning, action, &text);
}

/// Why the policy's journal could not be kept here by this user, if so. Nothing is made.
pub fn journal_problem(policy: &Policy) -> Option<String> {
    let path = Path::new(policy.journal.as_deref()?);
    let folder = path.parent().unwrap_or(path);
    let error = match journal_options().open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK).err()?.into()
        }
        opened => opened.err()?,
    };
    Some(format!("its journal {} could not be kept here: {error}", path.display()))
}

fn journal_options() -> OpenOptions {
    // A FIFO that nobody reads must not hold the action up.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut options = OpenOptions::new();
    options.append(true).custom_flags(flags.bits() as i32);
    options
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
        "{}: given up: it is stuck inside the host after {seconds} s (limits.time-seconds or limits.action-seconds in the \
         driver's policy); whether its last effect happened is not known",
        call.action()
    ));
    let printed = convention::print_failure(call, &failure);
    Box::new(move || {
        std::process::exit(i32::from(emit(&printed)));
    })
}

/// What oned is to read of how the action ended.
pub fn printed(call: &Call, result: &Result<Reply, RunError>) -> Printed {
    match result {
        Ok(reply) => convention::print(call, reply),
        Err(error) => convention::print_failure(call, &Failure::failed(format!("{}: {error}", call.action()))),
    }
}

/// Writes it, and says with which code the process ends: an answer that nobody gets is a failure.
pub fn emit(printed: &Printed) -> u8 {
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(printed.stdout.as_bytes()).and_then(|()| stdout.flush());
    // Without standard error there is nowhere to say that it is missing.
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(printed.stderr.as_bytes());
    match written {
        Ok(()) => printed.code,
        Err(error) => {
            let _ = writeln!(stderr, "the action's answer cannot be written to standard output: {error}");
            printed.code.max(1)
        }
    }
}
