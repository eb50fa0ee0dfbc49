//! `remotes tree remove`: the way back.

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use remotes_action::tree::{Identity, Tree};
use remotes_sandbox::cache::manifest::{self, Manifest};
use serde::Serialize;

use super::stock::{Stock, is_foreign};
use super::{place, policies, programs, stub, unfinished};
use crate::cli::Remove;
use crate::commands::{driver_names, installed, our_tree};
use crate::output;

#[derive(Serialize)]
struct Row {
    name: String,
    stock_back: usize,
    policy: &'static str,
    policy_state: policies::State,
}

pub fn run(arguments: &Remove, json: bool) -> Result<ExitCode> {
    let tree = our_tree(&arguments.dir)?;
    let _lock = place::lock(tree.root())?;
    let present = installed(&tree)?;
    if present.is_empty() && !programs::installed(&tree) {
        // Where the last remove was ended before its last step.
        place::tidy(&tree.root().join("drivers"));
        bail!("{}: nothing of `remotes` is installed in it; nothing was removed", arguments.dir.display());
    }
    let chosen = match arguments.drivers.is_empty() {
        true => present.clone(),
        false => driver_names(&arguments.drivers)?,
    };
    for name in &chosen {
        if !present.contains(name) {
            bail!("{}/{}: there is no such driver in {}", name.0, name.1, tree.root().display());
        }
    }
    for (subsystem, name) in &chosen {
        place::check_driver(&tree, subsystem, name)?;
    }
    unfinished::sweep_tree(&tree)?;
    // All actions are back before any driver goes: one that is starting finds it.
    let back = chosen.iter().map(|(subsystem, name)| bring_back(&tree, subsystem, name)).collect::<Result<Vec<_>>>()?;
    let rows = chosen
        .iter()
        .zip(back)
        .map(|((subsystem, name), back)| take(&tree, subsystem, name, back))
        .collect::<Result<Vec<_>>>()?;
    if installed(&tree)?.is_empty() {
        programs::remove(&tree)?;
    }
    output::list(&rows, json, &["REMOVED", "STOCK BACK", "POLICY"], |row| {
        vec![row.name.clone(), row.stock_back.to_string(), row.policy.to_owned()]
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Puts stock files over the stubs, and says how many. Other stubs go.
fn bring_back(tree: &Tree, subsystem: &str, name: &str) -> Result<usize> {
    let actions = tree.actions(subsystem, name);
    let stock = Stock::of(&tree.driver(subsystem, name));
    let mut back = 0;
    for action in remotes_effect::actions(subsystem) {
        let path = actions.join(action);
        // What an upgrade of OpenNebula has put over the stub is newer than what is kept, and so is another driver's.
        let identity = Identity { subsystem: subsystem.into(), driver: name.into(), action: (*action).into() };
        if is_foreign(&path)? || starts_another(&path, &identity)? {
            continue;
        }
        if stock.bring_back(action, &path)? {
            back += 1;
        } else {
            place::forget(&path)?;
        }
    }
    Ok(back)
}

/// Whether the stub at this path starts another driver.
fn starts_another(path: &Path, identity: &Identity) -> Result<bool> {
    match fs::read(path) {
        Ok(content) => Ok(stub::is_anothers(&content, identity)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

/// Takes the rest of a driver away.
fn take(tree: &Tree, subsystem: &str, name: &str, stock_back: usize) -> Result<Row> {
    let (actions, folder) = (tree.actions(subsystem, name), tree.driver(subsystem, name));
    let manifest = fs::read(folder.join(manifest::FILE)).ok().and_then(|text| Manifest::parse(&text).ok());
    let policy = policies::remove(&tree.policy(subsystem, name), manifest.as_ref())?;
    place::tidy(&actions);
    place::tidy(&tree.root().join(subsystem));
    clear(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    place::tidy(&tree.root().join("drivers").join(subsystem));
    Ok(Row { name: format!("{subsystem}/{name}"), stock_back, policy: policy.words(), policy_state: policy })
}

/// Removes a driver's folder, its manifest last: as long as anything else is there, it counts as a driver and can be
/// removed again.
fn clear(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path())?,
            false if entry.file_name() == manifest::FILE => {}
            false => fs::remove_file(entry.path())?,
        }
    }
    fs::remove_dir_all(folder)
}
