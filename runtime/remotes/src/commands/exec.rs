//! `remotes exec`: one action as oned would call it, with a plan, a journal or a recording if wanted.

mod component;
mod plan;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use remotes_action::prepare::{PrepareError, Prepared, prepare, standard_input};
use remotes_action::run::{dry_journal_lines, emit, journal_lines, machine, policy_journal, printed, run as call};
use remotes_action::tree::{Identity, IdentityError, Tree};
use remotes_effect::journal::Lines;
use remotes_effect::recording::{End, Recorder};

use super::{find_tree, our_tree};
use crate::cli::Exec;
use crate::output;
use crate::usage::{Usage, check_arguments};

pub fn run(arguments: &Exec, json: bool) -> Result<ExitCode> {
    check_arguments(arguments, &std::env::args_os().collect::<Vec<_>>())?;
    let (tree, identity) = locate(arguments)?;
    let stdin = standard_input()?;
    let argv = &arguments.arguments;
    let prepared = match (&arguments.component, &arguments.policy) {
        (Some(component), Some(policy)) => component::prepare(component, policy, &identity, argv, &stdin),
        _ => prepare(&tree, &identity, argv, &stdin).map_err(|error| match error {
            PrepareError::Convention(error) => Usage::error(error.to_string()),
            error => error.into(),
        }),
    }?;
    if arguments.dry_run {
        let lines =
            arguments.journal.as_deref().map(|path| lines_in(path, &identity, dry_journal_lines)).transpose()?;
        return plan::run(&tree, &identity, &prepared, lines, json);
    }
    let lines = policy_journal(&prepared.policy, &identity);
    let more_lines = arguments.journal.as_deref().map(|path| lines_in(path, &identity, journal_lines)).transpose()?;
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
    if arguments.component.is_some() {
        let identity = text.parse().map_err(|error: IdentityError| Usage::error(error.to_string()))?;
        let tree = match &arguments.tree.tree {
            Some(dir) => our_tree(dir)?,
            // The programs that serve effects lie beside this one.
            None => Tree::of_program().context("cannot find this program's own folder")?,
        };
        return Ok((tree, identity));
    }
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
fn lines_in(path: &Path, identity: &Identity, lines: fn(File, &Path, &Identity) -> Lines) -> Result<Lines> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    Ok(lines(file.with_context(|| format!("journal {}", path.display()))?, path, identity))
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
    let recorder = Recorder::new(file, &driver, &manifest.component, call, &policy.limits);
    recorder.with_context(|| path.display().to_string()).inspect_err(|_| {
        // It is ours and holds nothing; left there, it would be in the way of the next try.
        let _ = std::fs::remove_file(path);
    })
}
