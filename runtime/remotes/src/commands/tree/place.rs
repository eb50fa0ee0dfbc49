//! Files put into a tree: written beside and renamed, with fixed modes, since the tree is copied as it is.

use std::fs::{self, File, Permissions, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use remotes_action::tree::Tree;
use rustix::fs::{Access, access};
use tempfile::Builder;

use crate::output;

/// Mode of programs and stubs.
pub const PROGRAM: u32 = 0o755;
/// Mode of everything else.
pub const DATA: u32 = 0o644;

/// The folder of a driver's own in which the stock files are kept that its stubs stand in for.
pub const KEPT: &str = "stock";

/// How the name of a file begins, and how it ends, that is not in its place yet.
const BESIDE: (&str, &str) = (".remotes-", ".new");

/// Whether a file of this name is one that was not put in place.
pub fn is_beside(name: &str) -> bool {
    name.starts_with(BESIDE.0) && name.ends_with(BESIDE.1)
}

fn beside<'a>() -> Builder<'a, 'a> {
    let mut beside = Builder::new();
    beside.prefix(BESIDE.0).suffix(BESIDE.1);
    beside
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

/// Puts a link in place in one step. `make` makes it at another path of the folder.
pub fn link(path: &Path, make: impl FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    Ok(beside().make_in(folder_of(path), make)?.into_temp_path().persist(path)?)
}

/// Puts a file in place in one step, which `write` writes.
pub fn written(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let mut beside = beside().tempfile_in(folder_of(path))?;
    write(beside.as_file_mut())?;
    beside.as_file().sync_all()?;
    // Closed before it is in place: what is open for writing cannot be executed.
    Ok(beside.into_temp_path().persist(path)?)
}

/// Writes a file in one step, unless it is there as it should be. Says whether it wrote.
pub fn file(path: &Path, content: &[u8], mode: u32) -> Result<bool> {
    if let (Ok(present), Ok(metadata)) = (fs::read(path), fs::symlink_metadata(path))
        && metadata.is_file()
        && metadata.permissions().mode() & 0o7777 == mode
        && present == content
    {
        return Ok(false);
    }
    let write = |file: &mut File| {
        file.write_all(content)?;
        file.set_permissions(Permissions::from_mode(mode))
    };
    written(path, write).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(true)
}

/// Makes a folder and those above it, each writable by its owner alone.
pub fn folder(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    // Above a relative path's first component is nothing.
    if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
        folder(above)?;
    }
    match fs::create_dir(path) {
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(0o755)).with_context(|| path.display().to_string()),
        // Somebody made it at the same moment.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        // A file, whose mode is its owner's, or a link to nowhere.
        Err(error) => Err(error).with_context(|| format!("cannot make the folder {}", path.display())),
    }
}

/// Whether a folder is there, or could be made, and can be written: asked before the work is done that it is for.
pub fn check(path: &Path) -> Result<()> {
    let above = |path: &Path| if path.as_os_str().is_empty() { PathBuf::from(".") } else { path.to_owned() };
    let present = path.ancestors().map(above).find(|folder| folder.exists());
    let present = present.with_context(|| format!("{}: nothing above it exists", path.display()))?;
    if !present.is_dir() {
        bail!("{}: expected a folder", present.display());
    }
    access(&present, Access::WRITE_OK | Access::EXEC_OK)
        .with_context(|| format!("cannot write into {}", present.display()))
}

/// The same of all folders in which something of a driver lies: what is begun there can be brought to its end. None of
/// them may be a link, by which a driver goes by a second name: what is done there would be done to the other.
pub fn check_driver(tree: &Tree, subsystem: &str, name: &str) -> Result<()> {
    let (driver, policy, actions) =
        (tree.driver(subsystem, name), tree.policy(subsystem, name), tree.actions(subsystem, name));
    for folder in [&*actions, &*driver, folder_of(&policy)] {
        if let Ok(target) = fs::read_link(folder) {
            bail!(
                "{}: it is a link to {}; expected a folder of {subsystem}/{name}'s own, since what is changed there is \
                 the other's: remove the link first, or name the driver that it leads to",
                folder.display(),
                target.display()
            );
        }
    }
    let bin = tree.root().join("bin");
    let above = driver.ancestors().take(3);
    above.chain([&*driver.join(KEPT), folder_of(&policy), &actions, &bin]).try_for_each(check)
}

/// Removes a file if it is there.
pub fn forget(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Removes a folder if nothing is in it.
pub fn tidy(path: &Path) {
    // It may hold files of others: then it stays.
    let _ = fs::remove_dir(path);
}

/// A lock on the tree for the length of a command that changes it.
pub fn lock(root: &Path) -> Result<File> {
    locked(root, File::try_lock, File::lock)
}

/// A lock for one that only looks, during which nothing is changed.
pub fn lock_shared(root: &Path) -> Result<File> {
    locked(root, File::try_lock_shared, File::lock_shared)
}

fn locked(
    root: &Path,
    at_once: impl Fn(&File) -> Result<(), TryLockError>,
    waiting: impl Fn(&File) -> io::Result<()>,
) -> Result<File> {
    let file = File::open(root).with_context(|| root.display().to_string())?;
    let result = match at_once(&file) {
        Ok(()) => Ok(()),
        Err(TryLockError::Error(error)) => Err(error),
        Err(TryLockError::WouldBlock) => {
            output::complain(&format!("{}: waiting for another command that works in it", root.display()));
            waiting(&file)
        }
    };
    result.with_context(|| format!("cannot lock {}", root.display()))?;
    Ok(file)
}

/// The names in a folder, sorted; none where it is missing or is none.
pub fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| folder.display().to_string()),
    };
    let names: Result<Vec<_>, _> =
        entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned())).collect();
    let mut names = names.with_context(|| folder.display().to_string())?;
    names.sort();
    Ok(names)
}
