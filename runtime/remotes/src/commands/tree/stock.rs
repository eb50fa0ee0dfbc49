//! Files of the stock driver that stubs stand in for. They are kept in the driver's folder, `stock`, and
//! come back when the driver is removed.
//!
//! A link is kept as a text, `NAME.link`, with its target: moved, a relative one would lead nowhere, and
//! what copies the tree to hosts follows links and fails on such.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{place, stub};

/// The folder in a driver's folder.
const FOLDER: &str = "stock";

/// The kept files of one driver.
pub struct Stock(PathBuf);

impl Stock {
    /// Of the driver with this folder. Nothing is made yet.
    pub fn of(driver: &Path) -> Self {
        Self(driver.join(FOLDER))
    }

    fn link(&self, action: &str) -> PathBuf {
        self.0.join(format!("{action}.link"))
    }

    /// Whether it has one of this action.
    pub fn has(&self, action: &str) -> bool {
        seen(&self.0.join(action)).is_ok_and(|kept| kept.is_some()) || self.link(action).exists()
    }

    /// Keeps what is at this path, in place of what was kept before.
    pub fn keep(&self, action: &str, path: &Path) -> Result<()> {
        let problem = || format!("cannot keep {}", path.display());
        place::folder(&self.0)?;
        match fs::read_link(path) {
            Ok(target) => {
                place::file(&self.link(action), target.as_os_str().as_bytes(), place::DATA)?;
                fs::remove_file(path).with_context(problem)?;
                place::forget(&self.0.join(action))
            }
            Err(_) => {
                fs::rename(path, self.0.join(action)).with_context(problem)?;
                place::forget(&self.link(action))
            }
        }
    }

    /// Puts the kept file over the stub, so that at no instant the action is missing. Says whether there
    /// was one.
    pub fn bring_back(&self, action: &str, path: &Path) -> Result<bool> {
        let problem = || format!("cannot bring {} back", path.display());
        let kept = self.0.join(action);
        if seen(&kept)?.is_none() {
            let target = match fs::read(self.link(action)) {
                Ok(target) => PathBuf::from(std::ffi::OsString::from_vec(target)),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(error).with_context(problem),
            };
            std::os::unix::fs::symlink(target, &kept).with_context(problem)?;
        }
        fs::rename(&kept, path).with_context(problem)?;
        Ok(true)
    }
}

/// Whether something is at this path that is no stub of ours: also a link, wherever it leads.
pub fn is_foreign(path: &Path) -> Result<bool> {
    Ok(match seen(path)? {
        None => false,
        Some(metadata) if metadata.is_file() => {
            !stub::is_ours(&fs::read(path).with_context(|| path.display().to_string())?)
        }
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
