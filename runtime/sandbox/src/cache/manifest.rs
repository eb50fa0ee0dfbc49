//! `driver.toml`: what lies in a driver's folder of the tree.

use std::collections::{BTreeMap, BTreeSet};

use remotes_effect::text::toml_problem;
use serde::{Deserialize, Serialize};

/// The manifest's file name.
pub const FILE: &str = "driver.toml";
/// The component's file name where drivers come from.
pub const COMPONENT: &str = "component.wasm";
/// Digits of a digest in a file's name. The whole digest is in the manifest, and compared.
const SHORT: usize = 16;

/// File name of a component in a tree. Its digest is in it, so that no version stands in another's place: the
/// manifest alone, which is renamed into place, says which one is meant.
pub fn component_file(digest: &str) -> String {
    format!("component.{}.wasm", short(digest))
}

/// File name of code with this digest for an architecture (as `std::env::consts::ARCH` spells it).
pub fn code_file(architecture: &str, digest: &str) -> String {
    format!("component.{}.{architecture}.cwasm", short(digest))
}

/// Whether a file of this name in a driver's folder is a component or code, of whichever version.
pub fn is_part(name: &str) -> bool {
    name.starts_with("component.") && (name.ends_with(".wasm") || name.ends_with(".cwasm"))
}

fn short(digest: &str) -> &str {
    digest.get(..SHORT).unwrap_or(digest)
}

/// Written when the driver is installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// `vmm/kvm`: the subsystem and the driver's own name.
    pub driver: String,
    /// Version of the contract it was built against.
    pub contract: String,
    /// The actions it says it implements, as oned spells them.
    pub actions: Vec<String>,
    /// SHA-256 of the component.
    pub component: String,
    /// Whether it imports WASI, which only the bigger program links.
    #[serde(default)]
    pub wasi: bool,
    /// SHA-256 of each policy that came with the driver since it was first installed: an operator's that is one of
    /// these is not of the operator's making.
    #[serde(default)]
    pub policies: BTreeSet<String>,
    /// SHA-256 of the code by architecture.
    #[serde(default)]
    pub precompiled: BTreeMap<String, String>,
    /// Names of the files of the version before this one. They stay until the next version: a host that copies the
    /// tree may remove what is gone before it gets what is new.
    #[serde(default)]
    pub previous: BTreeSet<String>,
}

impl Manifest {
    /// Parses the file's bytes.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8".to_owned())?;
        let manifest: Self = toml::from_str(text).map_err(|error| toml_problem(text, &error))?;
        // Names of files are made of them.
        let is_digest = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        for digest in manifest.precompiled.values().chain([&manifest.component]) {
            if !is_digest(digest) {
                return Err(format!("{digest:?} is no SHA-256"));
            }
        }
        Ok(manifest)
    }

    /// Names of the files it is about.
    pub fn files(&self) -> BTreeSet<String> {
        let code = self.precompiled.iter().map(|(architecture, digest)| code_file(architecture, digest));
        code.chain([component_file(&self.component)]).collect()
    }

    /// The architectures there is code for, as a person reads them.
    pub fn architectures(&self) -> String {
        match self.precompiled.is_empty() {
            true => "no architecture".to_owned(),
            false => self.precompiled.keys().cloned().collect::<Vec<_>>().join(", "),
        }
    }
}
