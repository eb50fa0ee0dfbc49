//! `driver.toml`: what lies in a driver's folder of the tree.

use std::collections::{BTreeMap, BTreeSet};

use remotes_effect::text::toml_problem;
use serde::{Deserialize, Serialize};

/// The manifest's file name.
pub const FILE: &str = "driver.toml";
/// The component's file name.
pub const COMPONENT: &str = "component.wasm";

/// File name of the code for an architecture (as `std::env::consts::ARCH` spells it).
pub fn code_file(architecture: &str) -> String {
    format!("component.{architecture}.cwasm")
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
    /// SHA-256 of `component.wasm`.
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
}

impl Manifest {
    /// Parses the file's bytes.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8".to_owned())?;
        toml::from_str(text).map_err(|error| toml_problem(text, &error))
    }

    /// The architectures there is code for, as a person reads them.
    pub fn architectures(&self) -> String {
        match self.precompiled.is_empty() {
            true => "no architecture".to_owned(),
            false => self.precompiled.keys().cloned().collect::<Vec<_>>().join(", "),
        }
    }
}
