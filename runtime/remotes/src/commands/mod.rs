//! One module a command.

pub mod compile;
pub mod exec;
pub mod inspect;
pub mod list;
pub mod manual;
mod owner;
pub mod policy;
mod ready;
pub mod replay;
pub mod tree;
pub mod vnm;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use remotes_action::tree::{Tree, is_name};

pub use owner::{Intent, act_as_owner};

use crate::cli::InTree;
use crate::usage::Usage;

/// Where a tree is looked for when none is named.
const USUAL: [&str; 2] = ["/var/lib/one/remotes", "/var/tmp/one"];

/// The tree that a command works on.
pub fn find_tree(named: &InTree) -> Result<Tree> {
    if let Some(dir) = &named.tree {
        return our_tree(dir);
    }
    let own = Tree::of_program().context("cannot find this program's own folder")?;
    let location = std::env::var_os("ONE_LOCATION").map(|location| PathBuf::from(location).join("var/remotes"));
    let candidates = std::iter::once(own.root().to_owned()).chain(location).chain(USUAL.map(PathBuf::from));
    for candidate in candidates {
        if is_ours(&candidate) {
            return open_tree(&candidate);
        }
    }
    bail!("no remotes tree found: name one with --tree, or make one with `remotes tree install DIR`")
}

/// The folder at this path, which may become a tree.
pub fn open_tree(dir: &Path) -> Result<Tree> {
    let root = dir.canonicalize().with_context(|| format!("remotes tree {}", dir.display()))?;
    Ok(Tree::at(root))
}

/// The tree at this path, in which something was installed.
pub fn our_tree(dir: &Path) -> Result<Tree> {
    let tree = open_tree(dir)?;
    if !is_ours(tree.root()) {
        bail!(
            "{}: nothing of `remotes` is installed in it, it has no folder `drivers`; expected a tree that \
             `remotes tree install` was used on",
            dir.display()
        );
    }
    Ok(tree)
}

/// Whether drivers are, or were, installed below this folder.
fn is_ours(root: &Path) -> bool {
    root.join("drivers").is_dir()
}

/// The drivers of a tree: subsystem and name.
pub fn installed(tree: &Tree) -> Result<Vec<(String, String)>> {
    tree.drivers().with_context(|| format!("drivers of {}", tree.root().display()))
}

/// Drivers that were named by hand, each once, sorted as [`installed`] has them.
pub fn driver_names(texts: &[String]) -> Result<Vec<(String, String)>> {
    let names: Result<BTreeSet<_>> = texts.iter().map(|text| driver_name(text)).collect();
    Ok(names?.into_iter().collect())
}

/// `vmm/kvm` as subsystem and driver.
pub fn driver_name(text: &str) -> Result<(String, String)> {
    let Some((subsystem, driver)) = text.trim_matches('/').split_once('/') else {
        return Err(Usage::error(format!("{text:?}: expected SUBSYSTEM/DRIVER, vmm/kvm say")));
    };
    if !remotes_effect::SUBSYSTEMS.contains(&subsystem) {
        return Err(Usage::error(format!(
            "{text:?}: there is no subsystem {subsystem:?}; expected one of {}",
            remotes_effect::SUBSYSTEMS.join(", ")
        )));
    }
    if !is_name(driver) {
        return Err(Usage::error(format!("{text:?}: {driver:?} cannot be the name of a driver")));
    }
    Ok((subsystem.to_owned(), driver.to_owned()))
}
