//! The operator's policy: laid down once, never written over, taken away only as it came.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result};
use remotes_sandbox::cache::digest;
use remotes_sandbox::cache::manifest::{self, Manifest};

use super::place;

/// Digests of all policies that came with the driver in this folder, this one included.
pub fn known(driver: &Path, shipped: &str) -> BTreeSet<String> {
    // One that cannot be read is replaced; a policy from before it counts as the operator's own.
    let before = fs::read(driver.join(manifest::FILE)).ok().and_then(|text| Manifest::parse(&text).ok());
    let mut known = before.map(|manifest| manifest.policies).unwrap_or_default();
    known.insert(digest(shipped.as_bytes()));
    known
}

/// Lays the policy that came with a driver down, or beside the one that is there: also one that the operator did
/// not change is what was agreed to, and the new one may grant more.
pub fn install(path: &Path, shipped: &str, manifest: &Manifest) -> Result<&'static str> {
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
        return Ok("as shipped");
    }
    place::file(&newer, shipped.as_bytes(), place::DATA)?;
    Ok(match manifest.policies.contains(&digest(&present)) {
        true => "as shipped before, kept; the new one is beside it as policy.toml.new",
        false => "changed by the operator, kept; the shipped one is beside it as policy.toml.new",
    })
}

/// Takes a policy away, unless the operator changed it: installing again finds it.
pub fn remove(path: &Path, manifest: Option<&Manifest>) -> Result<&'static str> {
    place::forget(&path.with_extension("toml.new"))?;
    match fs::read(path) {
        Ok(present) if manifest.is_some_and(|manifest| manifest.policies.contains(&digest(&present))) => {
            place::forget(path)?;
            // The policy's folder, the subsystem's, and etc.
            path.ancestors().skip(1).take(3).for_each(place::tidy);
            Ok("removed")
        }
        Ok(_) => Ok("changed by the operator, left in place"),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok("none"),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}
