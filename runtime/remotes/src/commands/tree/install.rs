//! `remotes tree install`: programs, components, policies, stubs.

use std::fs;
use std::io::{ErrorKind, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use remotes_action::tree::{Identity, Tree};
use remotes_sandbox::cache::digest;
use remotes_sandbox::cache::manifest::{self, Manifest, code_file, component_file};
use serde::Serialize;

use super::driver::{Built, build};
use super::stock::{Stock, is_foreign};
use super::{place, policies, programs, strays, stub, unfinished};
use crate::cli::Install;
use crate::commands::{Intent, act_as_owner, driver_name, driver_names, open_tree};
use crate::output;
use crate::usage::Usage;

#[derive(Serialize)]
struct Row {
    name: String,
    driver: String,
    actions: usize,
    stock_kept: usize,
    stock_left: Vec<String>,
    policy: &'static str,
    policy_state: policies::State,
}

pub fn run(arguments: &Install, json: bool) -> Result<ExitCode> {
    let from = match &arguments.from {
        Some(from) => from.clone(),
        None => shipped()?,
    };
    let drivers = chosen(arguments, &from)?;
    if arguments.name.is_some() && drivers.len() != 1 {
        return Err(Usage::error("--as names one driver: say which with --driver"));
    }
    place::check(&arguments.dir)?;
    // All are built before anything is laid down: a driver that cannot be used leaves the tree alone.
    let mut built = Vec::new();
    for (subsystem, driver) in &drivers {
        let name = match &arguments.name {
            Some(name) => driver_name(name)?,
            None => (subsystem.clone(), driver.clone()),
        };
        if name.0 != *subsystem {
            let names = format!("{}/{}: {subsystem}/{driver}", name.0, name.1);
            return Err(Usage::error(format!("--as {names} is a driver of {subsystem}")));
        }
        if std::io::stderr().is_terminal() {
            output::complain(&format!("compiling {subsystem}/{driver}"));
        }
        let policy = Tree::at(&arguments.dir).policy(&name.0, &name.1);
        built.push((name, build(&from, subsystem, driver, &policy)?));
    }
    // Somebody may have made it while drivers were compiled, or just now. If not, it is root's from here on.
    act_as_owner(&arguments.dir, Intent::Make)?;
    place::folder(&arguments.dir)?;
    act_as_owner(&arguments.dir, Intent::Change)?;
    let tree = open_tree(&arguments.dir)?;
    let _lock = place::lock(tree.root())?;
    for ((subsystem, name), built) in &built {
        check_places(&tree, subsystem, name, built)?;
    }
    unfinished::sweep_tree(&tree)?;
    programs::install(&tree)?;
    let rows = built
        .iter()
        .map(|((subsystem, name), built)| lay(&tree, subsystem, name, built))
        .collect::<Result<Vec<_>>>()?;
    output::list(&rows, json, &["NAME", "DRIVER", "ACTIONS", "STOCK KEPT", "STOCK LEFT", "POLICY"], |row| {
        vec![
            row.name.clone(),
            row.driver.clone(),
            row.actions.to_string(),
            row.stock_kept.to_string(),
            if row.stock_left.is_empty() { "-".into() } else { row.stock_left.join(" ") },
            row.policy.to_owned(),
        ]
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Where the drivers lie that come with this program: `lib/remotes/drivers` beside its `bin`.
fn shipped() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let prefix = program.parent().and_then(Path::parent).context("this program has no folder")?;
    let folder = prefix.join("lib/remotes/drivers");
    match folder.is_dir() {
        true => Ok(folder),
        false => bail!("{} does not exist: name a folder of drivers with --from", folder.display()),
    }
}

fn chosen(arguments: &Install, from: &Path) -> Result<Vec<(String, String)>> {
    // Names that cannot be are wrong usage, whatever lies there.
    let named = driver_names(&arguments.drivers)?;
    let entries = fs::read_dir(from).with_context(|| format!("folder of drivers {}", from.display()))?;
    drop(entries);
    let mut found = Vec::new();
    for subsystem in remotes_effect::SUBSYSTEMS {
        let folder = from.join(subsystem);
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            entries => entries.with_context(|| folder.display().to_string())?,
        };
        for entry in entries {
            let entry = entry?;
            // What else people keep there is not meant.
            if entry.path().join(manifest::COMPONENT).is_file() {
                found.push(driver_name(&format!("{subsystem}/{}", entry.file_name().to_string_lossy()))?);
            }
        }
    }
    found.sort();
    if found.is_empty() {
        bail!("{}: there is no driver in it, no SUBSYSTEM/DRIVER/component.wasm", from.display());
    }
    if named.is_empty() {
        return Ok(found);
    }
    for (subsystem, name) in &named {
        if !found.contains(&(subsystem.clone(), name.clone())) {
            let found: Vec<_> = found.iter().map(|(subsystem, name)| format!("{subsystem}/{name}")).collect();
            bail!("{}: there is no driver {subsystem}/{name} in it; there are {}", from.display(), found.join(", "));
        }
    }
    Ok(named)
}

/// Refuses a tree in which a stub could not be laid and taken away again, before anything is changed.
fn check_places(tree: &Tree, subsystem: &str, name: &str, built: &Built) -> Result<()> {
    place::check_driver(tree, subsystem, name)?;
    for action in &built.manifest.actions {
        let path = tree.actions(subsystem, name).join(action);
        if fs::symlink_metadata(&path).is_ok_and(|present| present.is_dir()) {
            bail!(
                "{}: it is a folder, where {subsystem}/{name}/{action} has to be; move it away first",
                path.display()
            );
        }
    }
    Ok(())
}

fn lay(tree: &Tree, subsystem: &str, name: &str, built: &Built) -> Result<Row> {
    let folder = tree.driver(subsystem, name);
    place::folder(&folder)?;
    let policy_file = tree.policy(subsystem, name);
    // One that cannot be read is replaced; a policy from before it counts as the operator's own.
    let before = fs::read(folder.join(manifest::FILE)).ok().and_then(|text| Manifest::parse(&text).ok());
    let manifest = following(&built.manifest, before, &built.policy);
    // Under names of their own: until the manifest is renamed into place, all is as before, and then as it is to be.
    place::file(&folder.join(component_file(&manifest.component)), &built.component, place::DATA)?;
    for (architecture, digest) in &manifest.precompiled {
        place::file(&folder.join(code_file(architecture, digest)), &built.code, place::DATA)?;
    }
    place::file(&folder.join(manifest::FILE), toml::to_string_pretty(&manifest)?.as_bytes(), place::DATA)?;
    for name in strays::parts_left(&folder, &manifest)? {
        place::forget(&folder.join(name))?;
    }
    let policy = policies::install(&policy_file, &built.policy, &manifest)?;
    let (stock_kept, stock_left) = stubs(tree, subsystem, name, built)?;
    Ok(Row {
        name: format!("{subsystem}/{name}"),
        driver: manifest.driver,
        actions: manifest.actions.len(),
        stock_kept,
        stock_left,
        policy: policy.words(),
        policy_state: policy,
    })
}

/// The manifest that comes after another.
fn following(built: &Manifest, before: Option<Manifest>, policy: &str) -> Manifest {
    let mut manifest = built.clone();
    manifest.policies.insert(digest(policy.as_bytes()));
    if let Some(before) = before {
        let files = before.files();
        manifest.previous = if files == manifest.files() { before.previous } else { files };
        manifest.policies.extend(before.policies);
    }
    manifest
}

/// Puts a stub at every action of the subsystem. Stock files that it stands in for are kept; where the
/// driver lacks an action and a stock file has it, that file stays in its place, or comes back to it if a driver
/// that was here before had the action.
fn stubs(tree: &Tree, subsystem: &str, name: &str, built: &Built) -> Result<(usize, Vec<String>)> {
    let folder = tree.actions(subsystem, name);
    place::folder(&folder)?;
    let stock = Stock::of(&tree.driver(subsystem, name));
    let (mut kept, mut left) = (0, Vec::new());
    for action in remotes_effect::actions(subsystem) {
        let identity =
            Identity { subsystem: subsystem.to_owned(), driver: name.to_owned(), action: (*action).to_owned() };
        let path = folder.join(action);
        let foreign = is_foreign(&path)?;
        let implemented = built.manifest.actions.iter().any(|own| own == action);
        if !implemented && (foreign || stock.bring_back(action, &path)?) {
            left.push((*action).to_owned());
            continue;
        }
        if foreign {
            stock.keep(action, &path)?;
        }
        place::file(&path, stub::text(&identity).as_bytes(), place::PROGRAM)?;
        kept += usize::from(stock.has(action));
    }
    Ok((kept, left))
}
