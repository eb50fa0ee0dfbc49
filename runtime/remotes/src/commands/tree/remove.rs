//! `remotes tree remove`: the way back.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use remotes_action::tree::Tree;
use serde::Serialize;

use super::install::PROGRAMS;
use super::place;
use super::stock::{Stock, is_foreign};
use crate::cli::Remove;
use crate::commands::{driver_name, installed, open_tree};
use crate::output;

#[derive(Serialize)]
struct Row {
    name: String,
    stock_back: usize,
    policy: &'static str,
}

pub fn run(arguments: &Remove, json: bool) -> Result<ExitCode> {
    let tree = open_tree(&arguments.dir)?;
    let _lock = place::lock(tree.root())?;
    let present = installed(&tree)?;
    let chosen = match arguments.drivers.is_empty() {
        true => present.clone(),
        false => arguments.drivers.iter().map(|name| driver_name(name)).collect::<Result<_>>()?,
    };
    for name in &chosen {
        if !present.contains(name) {
            anyhow::bail!("{}/{}: there is no such driver in {}", name.0, name.1, tree.root().display());
        }
    }
    let rows = chosen.iter().map(|(subsystem, name)| take(&tree, subsystem, name)).collect::<Result<Vec<_>>>()?;
    if installed(&tree)?.is_empty() {
        programs(&tree)?;
    }
    output::list(&rows, json, &["REMOVED", "STOCK BACK", "POLICY"], |row| {
        vec![row.name.clone(), row.stock_back.to_string(), row.policy.to_owned()]
    })?;
    Ok(ExitCode::SUCCESS)
}

fn take(tree: &Tree, subsystem: &str, name: &str) -> Result<Row> {
    let (actions, folder) = (tree.actions(subsystem, name), tree.driver(subsystem, name));
    let stock = Stock::of(&folder);
    let mut back = 0;
    for action in remotes_effect::actions(subsystem) {
        let path = actions.join(action);
        // What an upgrade of OpenNebula has put over the stub is newer than what is kept.
        if is_foreign(&path)? {
            continue;
        }
        if stock.bring_back(action, &path)? {
            back += 1;
        } else if path.exists() {
            remove(&path)?;
        }
    }
    let policy = policy(tree, subsystem, name)?;
    fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    place::tidy(&actions);
    place::tidy(&tree.root().join(subsystem));
    place::tidy(&tree.root().join("drivers").join(subsystem));
    Ok(Row { name: format!("{subsystem}/{name}"), stock_back: back, policy })
}

/// A policy that the operator changed stays: installing again finds it.
fn policy(tree: &Tree, subsystem: &str, name: &str) -> Result<&'static str> {
    let path = tree.policy(subsystem, name);
    let shipped = fs::read(tree.driver(subsystem, name).join("policy.toml")).ok();
    let newer = path.with_extension("toml.new");
    if newer.exists() {
        remove(&newer)?;
    }
    match fs::read(&path) {
        Ok(content) if Some(&content) == shipped.as_ref() => {
            remove(&path)?;
            if let Some(folder) = path.parent() {
                place::tidy(folder);
                folder.parent().map(place::tidy);
            }
            place::tidy(&tree.root().join("etc"));
            Ok("removed")
        }
        Ok(_) => Ok("changed by the operator, left in place"),
        Err(_) => Ok("none"),
    }
}

fn programs(tree: &Tree) -> Result<()> {
    for program in PROGRAMS {
        let path = tree.program(program);
        if path.exists() {
            remove(&path)?;
        }
    }
    place::tidy(&tree.root().join("bin"));
    place::tidy(&tree.root().join("drivers"));
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))
}
