//! `remotes tree remove`: the way back.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use remotes_action::tree::Tree;
use remotes_sandbox::cache::manifest::{self, Manifest};
use serde::Serialize;

use super::stock::{Stock, is_foreign};
use super::{place, policies, programs};
use crate::cli::Remove;
use crate::commands::{driver_name, installed, our_tree};
use crate::output;

#[derive(Serialize)]
struct Row {
    name: String,
    stock_back: usize,
    policy: &'static str,
}

pub fn run(arguments: &Remove, json: bool) -> Result<ExitCode> {
    let tree = our_tree(&arguments.dir)?;
    let _lock = place::lock(tree.root())?;
    let present = installed(&tree)?;
    if present.is_empty() && !programs::installed(&tree) {
        bail!("{}: nothing of `remotes` is installed in it; nothing was removed", arguments.dir.display());
    }
    let chosen = match arguments.drivers.is_empty() {
        true => present.clone(),
        false => arguments.drivers.iter().map(|name| driver_name(name)).collect::<Result<_>>()?,
    };
    for name in &chosen {
        if !present.contains(name) {
            bail!("{}/{}: there is no such driver in {}", name.0, name.1, tree.root().display());
        }
    }
    let rows = chosen.iter().map(|(subsystem, name)| take(&tree, subsystem, name)).collect::<Result<Vec<_>>>()?;
    if installed(&tree)?.is_empty() {
        programs::remove(&tree)?;
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
        } else {
            place::forget(&path)?;
        }
    }
    let manifest = fs::read(folder.join(manifest::FILE)).ok().and_then(|text| Manifest::parse(&text).ok());
    let policy = policies::remove(&tree.policy(subsystem, name), manifest.as_ref())?;
    fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    place::tidy(&actions);
    place::tidy(&tree.root().join(subsystem));
    place::tidy(&tree.root().join("drivers").join(subsystem));
    Ok(Row { name: format!("{subsystem}/{name}"), stock_back: back, policy })
}
