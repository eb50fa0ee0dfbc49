//! `remotes replay`: a driver's behaviour again, from a recording, on any machine.

use std::fs::File;
use std::io::BufReader;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use remotes_action::run::{emit, printed, write_log};
use remotes_effect::deadline::Deadline;
use remotes_effect::journal::Journal;
use remotes_effect::pipeline::Pipeline;
use remotes_effect::policy::Policy;
use remotes_effect::recording::{Recording, Replay};
use remotes_effect::{Answer, Effect, log};
use remotes_sandbox::{Driver, compile};

use crate::cli;

pub fn run(arguments: &cli::Replay) -> Result<ExitCode> {
    let path = &arguments.recording;
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let recording = Recording::read(BufReader::new(file)).with_context(|| path.display().to_string())?;
    let policy = Arc::new(Policy::default());
    let engine = remotes_sandbox::engine(&policy.limits)?;
    let bytes = std::fs::read(&arguments.component).with_context(|| arguments.component.display().to_string())?;
    let component = compile::compile(&engine, &compile::component(&bytes)?)
        .with_context(|| arguments.component.display().to_string())?;
    let call = recording.header.call;
    let logs = Logs { action: call.action() };
    // Nothing is carried out, and what the policy denied then is among the recorded answers.
    let pipeline = Pipeline::unchecked(policy, logs, Replay::new(recording.effects));
    let deadline = Deadline::after(Duration::from_secs(600));
    let outcome = Driver::new(engine, component).call(&call, pipeline, deadline, None);
    let printed = printed(&call, &outcome.result);
    emit(&printed);
    if let Some(divergence) = outcome.pipeline.executor.divergence() {
        eprintln!("remotes: the driver behaves otherwise than recorded: {divergence}");
        return Ok(ExitCode::from(3));
    }
    if recording.reply.is_some() && outcome.result.ok() != recording.reply {
        eprintln!("remotes: the driver replies otherwise than recorded");
        return Ok(ExitCode::from(3));
    }
    Ok(ExitCode::from(printed.code))
}

/// The log lines of the action, which a recording only answers.
struct Logs {
    action: &'static str,
}

impl Journal for Logs {
    fn begin(&mut self, _: u64, effect: &Effect) {
        if let Effect::Log(log::Effect::Write { level, message }) = effect {
            write_log(*level, self.action, message);
        }
    }
    fn end(&mut self, _: u64, _: &Effect, _: &Answer, _: Duration) {}
}
