//! `remotes tree verify`: is everything as it was installed?

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use remotes_action::tree::{Identity, Tree};
use remotes_effect::policy::{Limits, Policy};
use remotes_sandbox::cache::manifest;
use remotes_sandbox::cache::{self, TrustedFolder, digest};
use serde::Serialize;

use super::install::PROGRAMS;
use super::stub;
use crate::commands::{installed, open_tree};
use crate::output;

#[derive(Serialize)]
struct Row {
    what: String,
    problem: Option<String>,
}

pub fn run(dir: &Path, json: bool) -> Result<ExitCode> {
    let tree = open_tree(dir)?;
    let mut rows: Vec<Row> = PROGRAMS
        .iter()
        .map(|name| Row { what: format!("bin/{name}"), problem: executable(&tree.program(name)) })
        .collect();
    for (subsystem, name) in installed(&tree)? {
        rows.push(Row { what: format!("{subsystem}/{name}"), problem: driver(&tree, &subsystem, &name).err() });
    }
    output::list(&rows, json, &["WHAT", "STATE"], |row| {
        vec![row.what.clone(), row.problem.clone().unwrap_or_else(|| "as installed".to_owned())]
    })?;
    let sound = rows.iter().all(|row| row.problem.is_none());
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

/// What is wrong with a file that is to be executed.
fn executable(path: &Path) -> Option<String> {
    match fs::metadata(path) {
        Err(error) => Some(error.to_string()),
        Ok(metadata) if metadata.permissions().mode() & 0o111 == 0 => Some("not executable".to_owned()),
        Ok(metadata) if metadata.permissions().mode() & 0o022 != 0 => Some("writable by others".to_owned()),
        Ok(_) => None,
    }
}

fn driver(tree: &Tree, subsystem: &str, name: &str) -> Result<(), String> {
    let folder = tree.driver(subsystem, name);
    let engine = remotes_sandbox::engine(&Limits::default()).map_err(|error| error.to_string())?;
    let (manifest, _) = cache::load(&folder, &engine).map_err(|error| error.to_string())?;
    let component = TrustedFolder::open(&folder)
        .and_then(|trusted| trusted.read(manifest::COMPONENT, remotes_sandbox::compile::LARGEST as u64))
        .map_err(|error| error.to_string())?;
    if digest(&component) != manifest.component {
        return Err(format!("{}: not the component that was installed", manifest::COMPONENT));
    }
    Policy::read(&tree.policy(subsystem, name)).map_err(|error| error.to_string())?;
    for action in &manifest.actions {
        let identity = Identity { subsystem: subsystem.into(), driver: name.into(), action: action.clone() };
        let path = tree.actions(subsystem, name).join(action);
        match fs::read(&path) {
            Ok(content) if stub::is_stub(&content, &identity) => {}
            Ok(_) => return Err(format!("{identity} is not the stub that was installed")),
            Err(error) => return Err(format!("{identity}: {error}")),
        }
        if let Some(problem) = executable(&path) {
            return Err(format!("{identity}: {problem}"));
        }
    }
    Ok(())
}
