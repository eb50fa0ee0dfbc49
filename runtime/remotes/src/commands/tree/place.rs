//! Files put into a tree: written beside and renamed, with fixed modes, since the tree is copied as it is.

use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rustix::fs::{Access, access};
use tempfile::NamedTempFile;

/// Mode of programs and stubs.
pub const PROGRAM: u32 = 0o755;
/// Mode of everything else.
pub const DATA: u32 = 0o644;

/// Writes a file in one step, unless it is there as it should be. Says whether it wrote.
pub fn file(path: &Path, content: &[u8], mode: u32) -> Result<bool> {
    if let (Ok(present), Ok(metadata)) = (fs::read(path), fs::symlink_metadata(path))
        && metadata.is_file()
        && metadata.permissions().mode() & 0o7777 == mode
        && present == content
    {
        return Ok(false);
    }
    let folder = path.parent().context("a file has a folder")?;
    let problem = || format!("cannot write {}", path.display());
    let mut beside = NamedTempFile::new_in(folder).with_context(problem)?;
    beside.write_all(content).with_context(problem)?;
    beside.as_file().set_permissions(Permissions::from_mode(mode)).with_context(problem)?;
    beside.as_file().sync_all().with_context(problem)?;
    beside.persist(path).with_context(problem)?;
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
    let file = File::open(root).with_context(|| root.display().to_string())?;
    file.lock().with_context(|| format!("cannot lock {}", root.display()))?;
    Ok(file)
}
