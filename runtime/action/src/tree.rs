//! Where things lie in a remotes tree. The tree is found from the program itself, so that it works from
//! any folder it is copied to.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use remotes_sandbox::cache::manifest;
use thiserror::Error;

/// The root of a remotes tree: `/var/lib/one/remotes` on a front-end, `/var/tmp/one` on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    root: PathBuf,
}

impl Tree {
    /// The tree with this root.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The tree whose `bin` folder holds the running program.
    pub fn of_program() -> std::io::Result<Self> {
        let program = std::env::current_exe()?;
        let root = program.parent().and_then(Path::parent).unwrap_or(Path::new("/"));
        Ok(Self::at(root))
    }

    /// The root folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A program of the runtime.
    pub fn program(&self, name: &str) -> PathBuf {
        self.root.join("bin").join(name)
    }

    /// The folder of a driver: component, code and manifest.
    pub fn driver(&self, subsystem: &str, driver: &str) -> PathBuf {
        self.root.join("drivers").join(subsystem).join(driver)
    }

    /// The operator's policy of a driver, beside the driver's other configuration.
    pub fn policy(&self, subsystem: &str, driver: &str) -> PathBuf {
        self.root.join("etc").join(subsystem).join(driver).join("policy.toml")
    }

    /// The drivers that are installed, sorted: subsystem and name. A folder without a manifest is no driver of ours.
    pub fn drivers(&self) -> std::io::Result<Vec<(String, String)>> {
        let mut found = Vec::new();
        for subsystem in remotes_effect::SUBSYSTEMS {
            let entries = match std::fs::read_dir(self.root.join("drivers").join(subsystem)) {
                Ok(entries) => entries,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            for entry in entries {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                if is_name(&name) && entry.path().join(manifest::FILE).exists() {
                    found.push(((*subsystem).to_owned(), name));
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// The folder in which oned looks for a driver's actions.
    pub fn actions(&self, subsystem: &str, driver: &str) -> PathBuf {
        self.root.join(subsystem).join(driver)
    }
}

/// Names an action: `vmm/kvm/deploy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `vmm`, `tm`, …
    pub subsystem: String,
    /// The folder's name, which the operator chose when the driver was installed.
    pub driver: String,
    /// `deploy`, as oned spells it.
    pub action: String,
}

/// A name that is none.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{0:?}: expected SUBSYSTEM/DRIVER/ACTION, vmm/kvm/deploy say")]
pub struct IdentityError(pub String);

impl FromStr for Identity {
    type Err = IdentityError;

    /// Exactly three names. A path is for the one to resolve who knows which tree is meant.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('/');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(subsystem), Some(driver), Some(action), None)
                if [subsystem, driver, action].into_iter().all(is_name) =>
            {
                Ok(Self { subsystem: subsystem.into(), driver: driver.into(), action: action.into() })
            }
            _ => Err(IdentityError(text.to_owned())),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}/{}", self.subsystem, self.driver, self.action)
    }
}

/// By its second line a stub is known as ours, whichever version laid it.
pub const STUB: &str = "# Installed by `remotes tree install`; `remotes tree remove` takes it away.";

/// Whether a file's content is a stub of any version.
pub fn is_stub(content: &[u8]) -> bool {
    content.split(|byte| *byte == b'\n').nth(1) == Some(STUB.as_bytes())
}

/// Whether a text can be the name of a subsystem, a driver or an action: no separators, no dot in front.
pub fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && !text.starts_with(['.', '-'])
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}
