//! Where a driver's code comes from when an action begins, as those say it that look at a tree.

use std::path::Path;

use remotes_sandbox::Engine;
use remotes_sandbox::cache::manifest::Manifest;
use remotes_sandbox::cache::{self, CacheError, Host};
use remotes_sandbox::compile::LARGEST;

/// Where an action finds the code.
#[derive(Clone, Copy)]
pub enum Code {
    /// in the tree
    Tree,
    /// in what this host has compiled for itself
    Host,
    /// nowhere yet
    FirstUse,
}

impl Code {
    /// What is worth knowing of it.
    pub fn note(self) -> Option<&'static str> {
        match self {
            Self::Tree => None,
            Self::Host => Some("its code comes from this host's own cache"),
            Self::FirstUse => Some("its code is compiled for this machine when it is first used"),
        }
    }
}

/// Looks where an action of the driver in this folder would, and compiles nothing.
///
/// The cache is that of the user who asks. Root that has become a tree's owner has a HOME that is not the owner's, and
/// does not see what is in the owner's cache: that it is compiled at first use is then true of a host that never did.
pub fn look(folder: &Path, engine: &Engine) -> Result<(Manifest, Code), String> {
    let error = match cache::load(folder, engine) {
        Ok((manifest, _)) => return Ok((manifest, Code::Tree)),
        Err(error @ CacheError::NotCompiled { .. }) => error,
        Err(error) => return Err(error.to_string()),
    };
    let Some(host) = Host::of_user() else {
        return Err(format!("{error}; HOME is not set, so there is no cache to compile it into"));
    };
    // From this it is compiled.
    let (manifest, _) = cache::component(folder, LARGEST as u64).map_err(|error| error.to_string())?;
    match host.load(&manifest, engine) {
        Ok(_) => Ok((manifest, Code::Host)),
        // Compiling it anew would change nothing.
        Err(error @ CacheError::Untrusted { .. }) => Err(error.to_string()),
        Err(_) => Ok((manifest, Code::FirstUse)),
    }
}
