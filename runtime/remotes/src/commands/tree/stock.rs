//! Files of the stock driver that stubs stand in for. They are kept in the driver's folder, `stock`, and
//! come back when the driver is removed. Whatever is done, and wherever it is interrupted, the action is there.
//!
//! A link is kept as a text, `NAME.link`, with its target: moved, a relative one would lead nowhere, and
//! what copies the tree to hosts follows links and fails on such.

use std::fs::{self, File, FileTimes, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{MetadataExt as _, fchown, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use remotes_action::tree::is_stub;

use super::place;

/// The kept files of one driver.
pub struct Stock(PathBuf);

impl Stock {
    /// Of the driver with this folder. Nothing is made yet.
    pub fn of(driver: &Path) -> Self {
        Self(driver.join(place::KEPT))
    }

    fn link(&self, action: &str) -> PathBuf {
        self.0.join(format!("{action}.link"))
    }

    /// Whether it has one of this action.
    pub fn has(&self, action: &str) -> bool {
        seen(&self.0.join(action)).is_ok_and(|kept| kept.is_some()) || self.link(action).exists()
    }

    /// Keeps what is at this path, in place of what was kept before. It also stays where it is, until something is
    /// put in its place.
    pub fn keep(&self, action: &str, path: &Path) -> Result<()> {
        place::folder(&self.0)?;
        match fs::read_link(path) {
            Ok(target) => {
                place::file(&self.link(action), target.as_os_str().as_bytes(), place::DATA)?;
                place::forget(&self.0.join(action))
            }
            Err(_) => {
                keep_file(path, &self.0.join(action)).with_context(|| format!("cannot keep {}", path.display()))?;
                place::forget(&self.link(action))
            }
        }
    }

    /// Puts the kept file over the stub, so that at no instant the action is missing. Says whether there
    /// was one.
    pub fn bring_back(&self, action: &str, path: &Path) -> Result<bool> {
        let problem = || format!("cannot bring {} back", path.display());
        let kept = self.0.join(action);
        if seen(&kept)?.is_some() {
            fs::rename(&kept, path).with_context(problem)?;
        } else {
            let target = match fs::read(self.link(action)) {
                Ok(target) => PathBuf::from(std::ffi::OsString::from_vec(target)),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(error).with_context(problem),
            };
            place::link(path, |beside| symlink(&target, beside)).with_context(problem)?;
        }
        place::forget(&self.link(action))?;
        Ok(true)
    }
}

/// Keeps the file itself, under a second name: with all that it is. Where that may not be, on file systems without
/// such links or if the file is another's, a copy is kept.
fn keep_file(path: &Path, kept: &Path) -> io::Result<()> {
    let present = fs::symlink_metadata(path)?;
    let same = |kept: Metadata| (kept.dev(), kept.ino()) == (present.dev(), present.ino());
    if fs::symlink_metadata(kept).is_ok_and(same) {
        // By an installation that was ended just then.
        return Ok(());
    }
    if place::link(kept, |beside| fs::hard_link(path, beside)).is_ok() {
        return Ok(());
    }
    if !present.is_file() {
        return Err(io::Error::other("it is no file, and cannot be linked"));
    }
    let mut file = File::open(path)?;
    place::written(kept, |copy| {
        io::copy(&mut file, copy)?;
        // Only root can.
        let _ = fchown(&*copy, Some(present.uid()), Some(present.gid()));
        copy.set_permissions(present.permissions())?;
        copy.set_times(FileTimes::new().set_modified(present.modified()?).set_accessed(present.accessed()?))
    })
}

/// Whether something is at this path that is no stub of ours: also a link, wherever it leads.
pub fn is_foreign(path: &Path) -> Result<bool> {
    Ok(match seen(path)? {
        None => false,
        Some(metadata) if metadata.is_file() => !is_stub(&fs::read(path).with_context(|| path.display().to_string())?),
        Some(_) => true,
    })
}

/// What is at a path itself, links not followed.
fn seen(path: &Path) -> Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}
