//! The runtime's programs in a tree's `bin`, and the record of what was laid there.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use remotes_action::tree::Tree;
use remotes_sandbox::cache::digest;
use serde::{Deserialize, Serialize};

use super::place;

/// Their names.
pub const NAMES: [&str; 3] = ["remotes", "remotes-action", "remotes-libvirt"];

/// `drivers/programs.toml`, beside the drivers that need them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    /// SHA-256 by name.
    programs: BTreeMap<String, String>,
}

fn record(tree: &Tree) -> PathBuf {
    tree.root().join("drivers/programs.toml")
}

/// Copies them into the tree.
pub fn install(tree: &Tree) -> Result<()> {
    let own = std::env::current_exe()?;
    let bin = own.parent().context("this program has no folder")?;
    place::folder(&tree.root().join("bin"))?;
    place::folder(&tree.root().join("drivers"))?;
    let mut programs = BTreeMap::new();
    for name in NAMES {
        let source = bin.join(name);
        let content =
            fs::read(&source).with_context(|| format!("{}: expected beside this program", source.display()))?;
        place::file(&tree.program(name), &content, place::PROGRAM)?;
        programs.insert(name.to_owned(), digest(&content));
    }
    place::file(&record(tree), toml::to_string_pretty(&Record { programs })?.as_bytes(), place::DATA)?;
    Ok(())
}

/// Whether they were laid into this tree.
pub fn installed(tree: &Tree) -> bool {
    record(tree).exists()
}

/// What is wrong with the content of each, by its name in the tree.
pub fn altered(tree: &Tree) -> Vec<(String, Option<String>)> {
    let recorded = fs::read_to_string(record(tree)).map_err(|error| error.to_string());
    let recorded = recorded.and_then(|text| toml::from_str(&text).map_err(|error| error.to_string()));
    let recorded = recorded
        .map(|Record { programs }| programs)
        .map_err(|reason| format!("drivers/programs.toml, which says what it should be: {reason}; install again"));
    let problem = |name: &str| -> Result<(), String> {
        let content = fs::read(tree.program(name)).map_err(|error| format!("{error}; install again"))?;
        let found = digest(&content);
        match recorded.as_ref()?.get(name) {
            Some(digest) if *digest == found => Ok(()),
            _ => Err("not the program that was installed; install again".to_owned()),
        }
    };
    NAMES.iter().map(|name| (format!("bin/{name}"), problem(name).err())).collect()
}

/// Takes them away.
pub fn remove(tree: &Tree) -> Result<()> {
    NAMES.iter().try_for_each(|name| place::forget(&tree.program(name)))?;
    place::tidy(&tree.root().join("bin"));
    // As long as it is there, there is something to remove.
    place::forget(&record(tree))?;
    place::tidy(&tree.root().join("drivers"));
    Ok(())
}
