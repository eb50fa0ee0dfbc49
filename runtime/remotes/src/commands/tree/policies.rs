//! The operator's policy: laid down once, never written over, taken away only as it came.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result};
use remotes_sandbox::cache::digest;
use remotes_sandbox::cache::manifest::Manifest;
use serde::Serialize;

use super::place;

/// What has become of a policy.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// it is the one that came with the driver
    AsShipped,
    /// it came with an older version, and is kept
    AsShippedBefore,
    /// the operator's own, kept
    Changed,
    /// taken away
    Removed,
    /// there was none
    Missing,
    /// the operator's own, left by a driver that is gone
    Left,
}

impl State {
    /// For a person.
    pub fn words(self) -> &'static str {
        match self {
            Self::AsShipped => "as shipped",
            Self::AsShippedBefore => "as shipped before, kept; the new one is beside it as policy.toml.new",
            Self::Changed => "changed by the operator, kept; the shipped one is beside it as policy.toml.new",
            Self::Removed => "removed",
            Self::Missing => "none",
            Self::Left => "changed by the operator, left in place",
        }
    }
}

/// Lays the policy that came with a driver down, or beside the one that is there: also one that the operator did
/// not change is what was agreed to, and the new one may grant more.
pub fn install(path: &Path, shipped: &str, manifest: &Manifest) -> Result<State> {
    let newer = path.with_extension("toml.new");
    place::folder(path.parent().context("a policy has a folder")?)?;
    let present = match fs::read(path) {
        Ok(present) => present,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            place::file(path, shipped.as_bytes(), place::DATA)?;
            shipped.as_bytes().to_vec()
        }
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    if present == shipped.as_bytes() {
        place::forget(&newer)?;
        return Ok(State::AsShipped);
    }
    place::file(&newer, shipped.as_bytes(), place::DATA)?;
    Ok(match manifest.policies.contains(&digest(&present)) {
        true => State::AsShippedBefore,
        false => State::Changed,
    })
}

/// Takes a policy away, unless the operator changed it: installing again finds it.
pub fn remove(path: &Path, manifest: Option<&Manifest>) -> Result<State> {
    place::forget(&path.with_extension("toml.new"))?;
    let state = match fs::read(path) {
        Ok(present) if manifest.is_some_and(|manifest| manifest.policies.contains(&digest(&present))) => {
            place::forget(path)?;
            State::Removed
        }
        Ok(_) => State::Left,
        Err(error) if error.kind() == ErrorKind::NotFound => State::Missing,
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    // The policy's folder, the subsystem's, and etc.
    path.ancestors().skip(1).take(3).for_each(place::tidy);
    Ok(state)
}
