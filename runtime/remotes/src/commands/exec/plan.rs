//! The dry run: what an action would change, what it would be denied, and what it would log.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use remotes_action::convention::log_line;
use remotes_action::prepare::Prepared;
use remotes_action::run::{machine_with, run as call};
use remotes_action::tree::{Identity, Tree};
use remotes_effect::journal::{Journal, Lines, summary};
use remotes_effect::log::Level;
use remotes_effect::text::one_line;
use remotes_effect::types::{Failure, FailureKind};
use remotes_effect::{Answer, Effect};
use remotes_simulation::{Plan, describe};
use serde::Serialize;
use serde_json::json;

use crate::output;

/// How many denials are listed: a driver may ask for another path each time.
const LISTED: usize = 1000;

/// What came of it.
#[derive(Serialize)]
struct Report {
    action: String,
    steps: Vec<Step>,
    denied: Vec<Denial>,
    /// how many more were denied than are listed
    denied_besides: u64,
    log: Vec<LogLine>,
    failure: Option<String>,
}

/// A change that would be made.
#[derive(Serialize)]
struct Step {
    name: &'static str,
    effect: serde_json::Value,
    text: String,
}

/// An effect that was denied, whatever the driver made of that.
#[derive(Serialize)]
struct Denial {
    name: &'static str,
    message: String,
    times: u64,
}

/// A line that the driver would log, or the runtime about it.
#[derive(Serialize)]
struct LogLine {
    level: Level,
    text: String,
}

/// Lists what the action would do.
pub fn run(
    tree: &Tree,
    identity: &Identity,
    prepared: &Prepared,
    lines: Option<Lines>,
    json: bool,
) -> Result<ExitCode> {
    let log = Arc::new(Mutex::new(Vec::new()));
    let heard = log.clone();
    let hear = move |level, text: &str| {
        let line = LogLine { level, text: text.to_owned() };
        heard.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    };
    let machine = machine_with(tree, identity, prepared.policy.clone(), prepared.deadline, Box::new(hear));
    let plan = Plan::new(machine).limit(prepared.policy.limits.time(prepared.call.action()));
    let outcome = call(prepared, (lines, Denials::default()), plan);
    let step = |effect: &Effect| Step { name: effect.name(), effect: summary(effect), text: describe(effect) };
    let steps = outcome.pipeline.executor.steps().iter().map(step).collect();
    let report = Report {
        action: identity.to_string(),
        steps,
        denied_besides: outcome.pipeline.journal.1.besides,
        denied: outcome.pipeline.journal.1.list,
        log: std::mem::take(&mut *log.lock().unwrap_or_else(PoisonError::into_inner)),
        failure: match &outcome.result {
            Ok(reply) => reply.failure().map(ToString::to_string),
            Err(error) => Some(error.to_string()),
        },
    };
    match json {
        true => output::print_json(&json!(report))?,
        false => output::print(in_words(&report, &identity.action)?)?,
    }
    Ok(if report.failure.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn in_words(report: &Report, action: &str) -> Result<String, std::fmt::Error> {
    let mut text = format!("{} would, after looking at this machine:\n", report.action);
    if report.steps.is_empty() {
        writeln!(text, "      change nothing")?;
    }
    for (number, step) in report.steps.iter().enumerate() {
        writeln!(text, "{:>4}  {}", number + 1, one_line(&step.text))?;
    }
    for line in &report.log {
        write!(text, "      log {}", log_line(line.level, action, &line.text))?;
    }
    for denial in &report.denied {
        let times = if denial.times > 1 { format!(" ({} times)", denial.times) } else { String::new() };
        writeln!(text, "      be denied {}{times}", one_line(&denial.message))?;
    }
    if report.denied_besides > 0 {
        writeln!(text, "      be denied {} more", report.denied_besides)?;
    }
    match (&report.failure, report.steps.len()) {
        (Some(failure), _) => writeln!(text, "and would fail: {}", one_line(failure))?,
        (None, 1) => writeln!(text, "1 change; none was made")?,
        (None, count) => writeln!(text, "{count} changes; none was made")?,
    }
    Ok(text)
}

/// Keeps what was denied: a driver may go on as if nothing had been.
#[derive(Default)]
struct Denials {
    list: Vec<Denial>,
    /// where in the list a message stands
    known: HashMap<String, usize>,
    /// how many are not listed
    besides: u64,
}

impl Denials {
    fn note(&mut self, effect: &Effect, failure: &Failure) {
        if failure.kind != FailureKind::Denied {
            return;
        }
        if let Some(place) = self.known.get(&failure.message) {
            self.list[*place].times += 1;
        } else if self.list.len() < LISTED {
            self.known.insert(failure.message.clone(), self.list.len());
            self.list.push(Denial { name: effect.name(), message: failure.message.clone(), times: 1 });
        } else {
            self.besides += 1;
        }
    }
}

impl Journal for Denials {
    fn begin(&mut self, _: u64, _: &Effect) {}
    fn end(&mut self, _: u64, effect: &Effect, answer: &Answer, _: Duration) {
        answer.failure().into_iter().for_each(|failure| self.note(effect, failure));
    }
    fn stopped(&mut self, _: u64, effect: &Effect, failure: &Failure, _: Duration) {
        self.note(effect, failure);
    }
}
