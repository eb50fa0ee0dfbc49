//! `remotes tree verify`: is everything as it was installed, and can nobody else change it?

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use remotes_action::run::journal_problem;
use remotes_action::tree::{Identity, Tree};
use remotes_effect::policy::Policy;
use remotes_sandbox::cache;
use remotes_sandbox::compile::LARGEST;
use serde::Serialize;

use super::stock::is_foreign;
use super::{place, programs, strays, stub};
use crate::commands::{installed, open_tree, ready};
use crate::output;

#[derive(Serialize)]
struct Row {
    what: String,
    problem: Option<String>,
    /// what is worth knowing and no problem of the tree
    note: Option<String>,
}

impl Row {
    fn problem(what: impl Into<String>, problem: Option<String>) -> Self {
        Self { what: what.into(), problem, note: None }
    }
}

pub fn run(dir: &Path, json: bool) -> Result<ExitCode> {
    let tree = open_tree(dir)?;
    let _lock = place::lock_shared(tree.root())?;
    let drivers = installed(&tree)?;
    let strays = strays::find(&tree)?;
    if drivers.is_empty() && strays.is_empty() && !programs::installed(&tree) {
        bail!("{}: nothing of `remotes` is installed in it", dir.display());
    }
    let owner = fs::metadata(tree.root())?.uid();
    let mut rows: Vec<Row> = programs::altered(&tree)
        .into_iter()
        .map(|(name, problem)| {
            let path = tree.root().join(&name);
            Row::problem(name, problem.or_else(|| executable(&path, owner)))
        })
        .collect();
    let open = folders(&tree, &drivers).into_iter().filter_map(|folder| {
        let problem = open_to_others(&tree.root().join(&folder), owner)?;
        Some(Row::problem(format!("{}/", folder.display()), Some(problem)))
    });
    rows.extend(open);
    for (subsystem, name) in drivers {
        let (problem, note) = match driver(&tree, &subsystem, &name, owner) {
            Ok(note) => (None, note),
            Err(problem) => (Some(problem), None),
        };
        rows.push(Row { what: format!("{subsystem}/{name}"), problem, note });
    }
    rows.extend(strays.into_iter().map(|stray| Row::problem(stray.what, Some(stray.problem))));
    output::list(&rows, json, &["WHAT", "STATE"], |row| {
        let state = row.problem.clone().unwrap_or_else(|| "as installed".to_owned());
        vec![row.what.clone(), state + &row.note.as_ref().map(|note| format!("; {note}")).unwrap_or_default()]
    })?;
    let sound = rows.iter().all(|row| row.problem.is_none());
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

/// Folders above what was installed, relative to the tree: whoever can write one can put something else there.
fn folders(tree: &Tree, drivers: &[(String, String)]) -> BTreeSet<PathBuf> {
    let mut folders: BTreeSet<PathBuf> = [".", "bin", "drivers", "etc"].map(PathBuf::from).into();
    for (subsystem, _) in drivers {
        let above = ["", "drivers", "etc"].map(|above| Path::new(above).join(subsystem));
        folders.extend(above);
    }
    folders.retain(|folder| tree.root().join(folder).exists());
    folders
}

/// Who else than root and the tree's owner can change it.
fn open_to_others(path: &Path, owner: u32) -> Option<String> {
    match fs::metadata(path) {
        Err(error) => Some(error.to_string()),
        Ok(metadata) if metadata.uid() != owner && metadata.uid() != 0 => {
            Some(format!("belongs to uid {}, neither root nor the tree's owner (uid {owner})", metadata.uid()))
        }
        Ok(metadata) if metadata.permissions().mode() & 0o022 != 0 => {
            Some(format!("writable by others, its mode is {:o}", metadata.permissions().mode() & 0o7777))
        }
        Ok(_) => None,
    }
}

/// What is wrong with a file that is to be executed.
fn executable(path: &Path, owner: u32) -> Option<String> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.permissions().mode() & 0o111 == 0 => Some("not executable".to_owned()),
        _ => open_to_others(path, owner),
    }
}

/// Looks at one driver; what is wrong, or else what there is to note.
fn driver(tree: &Tree, subsystem: &str, name: &str, owner: u32) -> Result<Option<String>, String> {
    let folder = tree.driver(subsystem, name);
    let (policy_file, actions) = (tree.policy(subsystem, name), tree.actions(subsystem, name));
    let policy = Policy::read(&policy_file);
    let limits = policy.as_ref().map(|policy| policy.limits.clone()).unwrap_or_default();
    let engine = remotes_sandbox::engine(&limits).map_err(|error| error.to_string())?;
    let (manifest, code) = ready::look(&folder, &engine)?;
    cache::component(&folder, LARGEST as u64).map_err(|error| error.to_string())?;
    let policy = policy.map_err(|error| error.to_string())?;
    for path in [&policy_file, policy_file.parent().unwrap_or(&policy_file), &actions] {
        if let Some(problem) = open_to_others(path, owner) {
            return Err(format!("{}: {problem}", path.display()));
        }
    }
    let mut problems = Vec::new();
    // An upgrade of OpenNebula puts its own over all of them.
    let mut others = Vec::new();
    for action in remotes_effect::actions(subsystem) {
        let identity = Identity { subsystem: subsystem.into(), driver: name.into(), action: (*action).into() };
        let path = actions.join(action);
        let implemented = manifest.actions.iter().any(|own| own == action);
        // Where the driver lacks an action, the stock driver's stays.
        if !implemented && is_foreign(&path).map_err(|error| format!("{error:#}"))? {
            continue;
        }
        match fs::read(&path) {
            Ok(content) if stub::is_stub(&content, &identity) => {
                problems.extend(executable(&path, owner).map(|problem| format!("{identity}: {problem}")));
            }
            Ok(_) => others.push(*action),
            Err(error) => problems.push(format!("{identity}: {error}; install the driver again")),
        }
    }
    match others[..] {
        [] => {}
        [action] => problems.push(format!("{action} is not the stub that was installed; install the driver again")),
        _ => problems
            .push(format!("{} are not the stubs that were installed; install the driver again", others.join(", "))),
    }
    match problems.is_empty() {
        true => {
            let notes: Vec<String> =
                code.note().map(str::to_owned).into_iter().chain(journal_problem(&policy)).collect();
            Ok((!notes.is_empty()).then(|| notes.join("; ")))
        }
        false => Err(problems.join("; ")),
    }
}
