//! What a command that was ended has left beside the files that it was about to replace.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use remotes_action::tree::Tree;

use super::place;

/// The folders of a tree in which files are put in place.
fn folders(tree: &Tree) -> Result<Vec<PathBuf>> {
    let mut folders = ["bin", "drivers"].map(|folder| tree.root().join(folder)).to_vec();
    for above in ["", "drivers", "etc"] {
        for subsystem in remotes_effect::SUBSYSTEMS {
            let subsystem = tree.root().join(above).join(subsystem);
            let drivers = place::names(&subsystem)?.into_iter().map(|name| subsystem.join(name));
            // A driver that goes by a second name is a link, and is looked at under its first.
            folders.extend(drivers.filter(|driver| driver.is_dir() && !driver.is_symlink()));
        }
    }
    let kept: Vec<_> = folders.iter().map(|folder| folder.join(place::KEPT)).filter(|kept| kept.is_dir()).collect();
    folders.extend(kept);
    Ok(folders)
}

/// What is left in a tree, relative to its root. It is only sure to be left while the tree is locked.
pub fn find(tree: &Tree) -> Result<Vec<PathBuf>> {
    let below = |path: PathBuf| path.strip_prefix(tree.root()).map(Path::to_owned).unwrap_or(path);
    Ok(left_in(folders(tree)?)?.into_iter().map(below).collect())
}

/// Takes it away, in a tree that is locked.
pub fn sweep_tree(tree: &Tree) -> Result<()> {
    sweep(folders(tree)?)
}

/// Takes away what is left in these folders, which nobody else works in.
pub fn sweep(folders: impl IntoIterator<Item = PathBuf>) -> Result<()> {
    left_in(folders)?.iter().try_for_each(|path| place::forget(path))
}

fn left_in(folders: impl IntoIterator<Item = PathBuf>) -> Result<Vec<PathBuf>> {
    let mut left = Vec::new();
    for folder in folders {
        let names = place::names(&folder)?.into_iter().filter(|name| place::is_beside(name));
        let paths = names.map(|name| folder.join(name));
        left.extend(paths.filter(|path| fs::symlink_metadata(path).is_ok_and(|it| !it.is_dir())));
    }
    Ok(left)
}
