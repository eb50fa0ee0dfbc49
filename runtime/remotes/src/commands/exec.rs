//! `remotes exec`: one action as oned would call it, with a plan, a journal or a recording if wanted.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use remotes_action::prepare::{Prepared, prepare, standard_input};
use remotes_action::run::{emit, machine, policy_journal, printed, run as call};
use remotes_action::tree::{Identity, Tree};
use remotes_effect::Effect;
use remotes_effect::journal::{Journal, Lines, Several, summary};
use remotes_effect::recording::Recorder;
use remotes_simulation::{Plan, describe};
use serde_json::json;

use super::find_tree;
use crate::cli::{Exec, InTree};
use crate::output;

pub fn run(arguments: &Exec, json: bool) -> Result<ExitCode> {
    let (tree, identity) = locate(arguments)?;
    let stdin = standard_input()?;
    let prepared = prepare(&tree, &identity, &arguments.arguments, &stdin)?;
    if arguments.dry_run {
        return plan(&tree, &identity, &prepared, json);
    }
    let mut journals: Vec<Box<dyn Journal + Send>> = Vec::new();
    if let Some(lines) = policy_journal(&prepared.policy, &identity) {
        journals.push(Box::new(lines));
    }
    if let Some(path) = &arguments.journal {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        let file = file.with_context(|| format!("journal {}", path.display()))?;
        journals.push(Box::new(Lines::new(file, format!("{identity} {}", std::process::id()))));
    }
    let recorder = arguments.record.as_deref().map(|path| recorder(path, &identity, &prepared)).transpose()?;
    let journal = (Several(journals), recorder);
    let outcome = call(&prepared, journal, machine(&tree, &identity, &prepared));
    if let Some(recorder) = outcome.pipeline.journal.1 {
        let stopped = outcome.result.as_ref().err().map(ToString::to_string);
        recorder.finish(outcome.result.as_ref().ok(), stopped.as_deref())?;
    }
    let printed = printed(&prepared.call, &outcome.result);
    emit(&printed);
    Ok(ExitCode::from(printed.code))
}

/// The tree and the action: a path to an action lies in its own tree.
fn locate(arguments: &Exec) -> Result<(Tree, Identity)> {
    let identity: Identity = arguments.action.parse()?;
    let path = Path::new(&arguments.action);
    let root = path.canonicalize().ok().and_then(|path| Some(path.parent()?.parent()?.parent()?.to_owned()));
    let tree = match (&arguments.tree.tree, root) {
        (None, Some(root)) if root.join("drivers").is_dir() => Tree::at(root),
        (named, _) => find_tree(&InTree { tree: named.clone() })?,
    };
    Ok((tree, identity))
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
    Ok(Recorder::new(file, &driver, &prepared.manifest.component, &prepared.call)?)
}

/// Lists what the action would change.
fn plan(tree: &Tree, identity: &Identity, prepared: &Prepared, json: bool) -> Result<ExitCode> {
    let machine = machine(tree, identity, prepared);
    let executor = Plan::new(machine);
    let outcome = call(prepared, Several::default(), executor);
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
        println!("{identity} would, after looking at this machine:");
        for (number, effect) in steps.iter().enumerate() {
            println!("{:>4}  {}", number + 1, remotes_effect::text::one_line(&describe(effect)));
        }
        match &failure {
            Some(failure) => println!("and would fail: {}", remotes_effect::text::one_line(failure)),
            None => println!("{} changes; none was made", steps.len()),
        }
    }
    Ok(if failure.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
