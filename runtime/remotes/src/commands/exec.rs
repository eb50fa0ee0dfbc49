//! `remotes exec`: one action as oned would call it, with a plan, a journal or a recording if wanted.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use remotes_action::prepare::{PrepareError, Prepared, prepare, standard_input};
use remotes_action::run::{emit, journal_lines, machine, policy_journal, printed, run as call};
use remotes_action::tree::{Identity, Tree};
use remotes_effect::Effect;
use remotes_effect::journal::{Lines, Nothing, summary};
use remotes_effect::recording::{End, Recorder};
use remotes_effect::text::one_line;
use remotes_simulation::{Plan, describe};
use serde_json::json;

use super::find_tree;
use crate::cli::Exec;
use crate::output;
use crate::usage::{Usage, check_arguments};

pub fn run(arguments: &Exec, json: bool) -> Result<ExitCode> {
    check_arguments(arguments, &std::env::args_os().collect::<Vec<_>>())?;
    let (tree, identity) = locate(arguments)?;
    let stdin = standard_input()?;
    let prepared = prepare(&tree, &identity, &arguments.arguments, &stdin).map_err(|error| match error {
        PrepareError::Convention(error) => Usage::error(error.to_string()),
        error => error.into(),
    })?;
    if arguments.dry_run {
        return plan(&tree, &identity, &prepared, json);
    }
    let lines = policy_journal(&prepared.policy, &identity);
    let more_lines = arguments.journal.as_deref().map(|path| lines_in(path, &identity)).transpose()?;
    let recorder = arguments.record.as_deref().map(|path| recorder(path, &identity, &prepared)).transpose()?;
    let journal = ((lines, more_lines), recorder);
    let outcome = call(&prepared, journal, machine(&tree, &identity, &prepared));
    let printed = printed(&prepared.call, &outcome.result);
    // First: whatever becomes of the recording, this has happened.
    let code = emit(&printed);
    if let (Some(recorder), Some(path)) = (outcome.pipeline.journal.1, &arguments.record)
        && let Err(error) = recorder.finish(End::of(&outcome.result))
    {
        output::complain(&format!("{}: {error}; what was recorded is not complete", path.display()));
    }
    Ok(ExitCode::from(code))
}

/// The tree and the action. A path names both; three names are looked for in the tree that is meant.
fn locate(arguments: &Exec) -> Result<(Tree, Identity)> {
    let text = &arguments.action;
    if let Ok(identity) = text.parse() {
        return Ok((find_tree(&arguments.tree)?, identity));
    }
    if arguments.tree.tree.is_some() {
        return Err(Usage::error(format!(
            "{text:?}: with --tree, expected SUBSYSTEM/DRIVER/ACTION, vmm/kvm/deploy say; a path names its tree itself"
        )));
    }
    let path = match Path::new(text).canonicalize() {
        Ok(path) => path,
        Err(error) => {
            return Err(Usage::error(format!(
                "{text:?}: {error}; expected SUBSYSTEM/DRIVER/ACTION, vmm/kvm/deploy say, or the path of an action in a \
                 tree"
            )));
        }
    };
    let root = path.ancestors().nth(3).filter(|root| root.join("drivers").is_dir());
    let named = root.and_then(|root| Some((root, path.strip_prefix(root).ok()?.to_str()?.parse().ok()?)));
    let Some((root, identity)) = named else {
        return Err(Usage::error(format!(
            "{}: is no action in a tree of ours; expected TREE/SUBSYSTEM/DRIVER/ACTION, where TREE has the folder \
             `drivers` that `remotes tree install` makes",
            path.display()
        )));
    };
    Ok((Tree::at(root), identity))
}

/// The journal that is asked for beside the policy's.
fn lines_in(path: &Path, identity: &Identity) -> Result<Lines> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    let file = file.with_context(|| format!("journal {}", path.display()))?;
    Ok(journal_lines(file, path, identity))
}

fn recorder(path: &Path, identity: &Identity, prepared: &Prepared) -> Result<Recorder> {
    // A recording holds documents with their secrets, so it is never written over a file that others can read.
    let file: File = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("recording {}: expected a file that does not exist yet", path.display()))?;
    let driver = format!("{}/{}", identity.subsystem, identity.driver);
    let Prepared { manifest, call, policy, .. } = prepared;
    Recorder::new(file, &driver, &manifest.component, call, &policy.limits).with_context(|| path.display().to_string())
}

/// Lists what the action would change.
fn plan(tree: &Tree, identity: &Identity, prepared: &Prepared, json: bool) -> Result<ExitCode> {
    let machine = machine(tree, identity, prepared);
    let executor = Plan::new(machine);
    let outcome = call(prepared, Nothing, executor);
    let steps = outcome.pipeline.executor.steps();
    let failure = match &outcome.result {
        Ok(reply) => reply.failure().map(ToString::to_string),
        Err(error) => Some(error.to_string()),
    };
    if json {
        let steps: Vec<_> = steps
            .iter()
            .map(
                |effect: &Effect| json!({ "name": effect.name(), "effect": summary(effect), "text": describe(effect) }),
            )
            .collect();
        output::print_json(&json!({ "action": identity.to_string(), "steps": steps, "failure": failure }))?;
    } else {
        let mut text = format!("{identity} would, after looking at this machine:\n");
        for (number, effect) in steps.iter().enumerate() {
            writeln!(text, "{:>4}  {}", number + 1, one_line(&describe(effect)))?;
        }
        match &failure {
            Some(failure) => writeln!(text, "and would fail: {}", one_line(failure))?,
            None => writeln!(text, "{} changes; none was made", steps.len())?,
        }
        output::print(text)?;
    }
    Ok(if failure.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
