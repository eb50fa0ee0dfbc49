//! `remotes replay`: a driver's behaviour again, from a recording, on any machine.

use std::fs::File;
use std::io::{BufReader, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use remotes_action::run::{printed, write_log};
use remotes_effect::deadline::Deadline;
use remotes_effect::journal::Journal;
use remotes_effect::pipeline::Pipeline;
use remotes_effect::policy::{Limits, Policy};
use remotes_effect::recording::{Divergence, End, Recording, Replay};
use remotes_effect::text::one_line;
use remotes_effect::{Answer, Effect, log};
use remotes_sandbox::RunError;
use remotes_sandbox::cache::digest;

use super::compile::{self, Loaded};
use crate::cli;
use crate::output;

/// The exit code where the driver does not do what was recorded, or not all of it was.
const DIFFERS: u8 = 3;

pub fn run(arguments: &cli::Replay) -> Result<ExitCode> {
    let path = &arguments.recording;
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let Recording { header, effects, end } =
        Recording::read(BufReader::new(file)).with_context(|| path.display().to_string())?;
    let call = header.call;
    let limits = header.limits.unwrap_or_default();
    let time = end.as_ref().and_then(|end| ended_by_time(end, &limits, call.action()));

    let Loaded { driver, compiled, .. } = compile::driver(&arguments.component, &limits, call.subsystem())?;
    let digest = digest(&compiled.component);
    // Nothing is carried out, and what the policy denied then is among the recorded answers.
    let deadline = Deadline::after(limits.time(call.action()));
    let policy = Arc::new(Policy { limits, ..Policy::default() });
    // What a driver says that goes on where time had ended it is not of the recording.
    let logs = Logs { action: call.action(), last: if time.is_some() { effects.len() as u64 } else { u64::MAX } };
    let pipeline = Pipeline::unchecked(policy, logs, Replay::new(effects));
    let outcome = driver.call(&call, pipeline, deadline, None);
    let divergence = outcome.pipeline.executor.divergence();
    let (result, divergence) = match (time, divergence) {
        (Some(_), Some(Divergence::Differs(text))) => (outcome.result, Some(Divergence::Differs(text))),
        // Then the host was slow, or the driver: here it may come further.
        (Some(error), _) => (Err(error), None),
        (None, divergence) => (outcome.result, divergence),
    };
    let printed = printed(&call, &result);
    let _ = std::io::stderr().write_all(printed.stderr.as_bytes());
    output::print(&printed.stdout)?;
    let replayed = End::of(&result);
    match problem(divergence, end, &replayed) {
        None => Ok(ExitCode::from(printed.code)),
        Some(problem) => {
            // The most likely reason: for a driver's author a newer build, otherwise a mistake.
            let other = match digest == header.component {
                true => String::new(),
                false => format!("; {}", another(&header.driver, &header.component, &digest)),
            };
            output::complain(&format!("{problem}{other}"));
            Ok(ExitCode::from(DIFFERS))
        }
    }
}

/// That this component is not the one which was recorded.
fn another(driver: &str, recorded: &str, this: &str) -> String {
    let short = |digest: &str| one_line(&digest.chars().take(12).collect::<String>());
    format!("it was recorded with another component: {} {}, this is {}", one_line(driver), short(recorded), short(this))
}

/// What is otherwise than recorded.
fn problem(divergence: Option<Divergence>, recorded: Option<End>, replayed: &End) -> Option<String> {
    Some(match (divergence, recorded) {
        (Some(Divergence::Differs(text)), _) => format!("the driver behaves otherwise than recorded: {text}"),
        (_, None) => "the recording is incomplete: it breaks off before the action ends, as after a kill or on a full \
                      disk; up to there the driver did what was recorded"
            .to_owned(),
        (Some(Divergence::Beyond(text)), _) => format!("the driver behaves otherwise than recorded: {text}"),
        (None, Some(end)) if end == *replayed => return None,
        (None, Some(End::Replied(_))) if matches!(replayed, End::Replied(_)) => {
            "the driver replies otherwise than recorded".to_owned()
        }
        (None, Some(end)) => format!(
            "the action ends otherwise than recorded: recorded is {}, now it is {}",
            ending(&end),
            ending(replayed)
        ),
    })
}

fn ending(end: &End) -> String {
    match end {
        End::Replied(_) => "a reply".to_owned(),
        End::Stopped(reason) => format!("{reason:?}"),
    }
}

/// That the action was ended because its time was up, which depends on the host as well as on the driver.
fn ended_by_time(end: &End, limits: &Limits, action: &str) -> Option<RunError> {
    let End::Stopped(stopped) = end else { return None };
    let errors = [RunError::Deadline(limits.time(action)), RunError::Start(Duration::from_secs(limits.start_seconds))];
    errors.into_iter().find(|error| error.to_string() == *stopped)
}

/// The log lines of the action, which a recording only answers.
struct Logs {
    action: &'static str,
    /// number of the last effect that counts
    last: u64,
}

impl Journal for Logs {
    fn begin(&mut self, number: u64, effect: &Effect) {
        if let Effect::Log(log::Effect::Write { level, message }) = effect
            && number <= self.last
        {
            write_log(*level, self.action, message);
        }
    }
    fn end(&mut self, _: u64, _: &Effect, _: &Answer, _: Duration) {}
}
