//! A tree in a temporary folder.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

/// The tree.
pub struct Scene {
    folder: TempDir,
}

impl Scene {
    pub fn new(dist: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let program = dist.join("bin/remotes");
        let status = Command::new(&program)
            .args(["tree", "install"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .status()
            .with_context(|| format!("{}: run `make bench`, which builds it", program.display()))?;
        if !status.success() {
            bail!("remotes tree install: {status}");
        }
        Ok(Self { folder })
    }

    /// The tree.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Something in the tree.
    pub fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// An action's stub with arguments.
    pub fn action(&self, driver: &str, action: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.folder.path().join("vmm").join(driver).join(action));
        command.args(arguments);
        command
    }
}
