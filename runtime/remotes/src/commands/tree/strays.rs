//! What is left of drivers that are gone, or was begun and not finished.

use std::fs;
use std::path::Path;

use anyhow::Result;
use remotes_action::tree::{Tree, is_stub};
use remotes_sandbox::cache::manifest::{self, Manifest};

use super::place::names;
use super::unfinished;

/// Something that should not be in a tree.
pub struct Stray {
    /// `vmm/kvm`
    pub what: String,
    /// what it is, and what to do
    pub problem: String,
}

/// Looks through a tree.
pub fn find(tree: &Tree) -> Result<Vec<Stray>> {
    let mut strays = Vec::new();
    for path in unfinished::find(tree)? {
        let problem = "left by a command that was ended before it was done; install or remove takes it away";
        strays.push(Stray { what: path.display().to_string(), problem: problem.to_owned() });
    }
    for subsystem in remotes_effect::SUBSYSTEMS {
        let folder = tree.root().join("drivers").join(subsystem);
        for name in names(&folder)?.into_iter().filter(|name| !folder.join(name).join(manifest::FILE).exists()) {
            let problem = "there is no driver.toml in it: it is no driver, or its installation was interrupted; install \
                           the driver again, or remove the folder";
            strays.push(Stray { what: format!("drivers/{subsystem}/{name}"), problem: problem.to_owned() });
        }
        for (name, manifest) in manifests(tree, subsystem)? {
            for part in parts_left(&folder.join(&name), &manifest)? {
                let problem = "of no version that its driver.toml knows: left by an installation that was ended before \
                               it was done; install the driver again";
                strays.push(Stray { what: format!("drivers/{subsystem}/{name}/{part}"), problem: problem.to_owned() });
            }
        }
        for name in names(&tree.root().join(subsystem))? {
            let (actions, driver) = (tree.actions(subsystem, &name), tree.driver(subsystem, &name));
            // A driver that goes by a second name is a link.
            if driver.join(manifest::FILE).exists() || actions.is_symlink() {
                continue;
            }
            let ours = |action: &&&str| fs::read(actions.join(action)).is_ok_and(|content| is_stub(&content));
            let stubs: Vec<&str> = remotes_effect::actions(subsystem).iter().filter(ours).copied().collect();
            if !stubs.is_empty() {
                let problem =
                    format!("there is no such driver, but stubs of it ({}): install it again", stubs.join(", "));
                strays.push(Stray { what: format!("{subsystem}/{name}"), problem });
            }
        }
    }
    Ok(strays)
}

/// The drivers of a subsystem whose manifest can be read.
fn manifests(tree: &Tree, subsystem: &str) -> Result<Vec<(String, Manifest)>> {
    let names = names(&tree.root().join("drivers").join(subsystem))?.into_iter();
    let manifest = |name: String| {
        let text = fs::read(tree.driver(subsystem, &name).join(manifest::FILE)).ok()?;
        Some((name, Manifest::parse(&text).ok()?))
    };
    Ok(names.filter_map(manifest).collect())
}

/// Components and code in a driver's folder that are neither of its version nor of the one before it.
pub fn parts_left(folder: &Path, manifest: &Manifest) -> Result<Vec<String>> {
    let files = manifest.files();
    let left = |name: &String| manifest::is_part(name) && !files.contains(name) && !manifest.previous.contains(name);
    Ok(names(folder)?.into_iter().filter(left).collect())
}
