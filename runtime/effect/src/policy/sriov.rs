//! Virtual functions of network cards: of which cards.

use serde::{Deserialize, Serialize};

use super::pattern::{Pattern, any, listed};
use crate::network::{functions, names};
use crate::sriov::{Effect, Function};
use crate::types::Failure;

/// The table `[sriov]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct SriovGrant {
    /// Links of the cards whose functions may be set up.
    pub physical: Vec<Pattern>,
    /// Links that stand for functions in a card's switch.
    pub representors: Vec<Pattern>,
}

impl SriovGrant {
    fn function(&self, function: &Function) -> Result<(), Failure> {
        let representor = function.representor.iter().map(|name| (name, &self.representors, "representors"));
        for (name, patterns, key) in
            std::iter::once((&function.physical, &self.physical, "physical")).chain(representor)
        {
            names::link(name)?;
            if !any(patterns, name) {
                return Err(Failure::denied(format!(
                    "link {name}: granted are {}; `{key}` under [sriov] in the driver's policy would allow it",
                    listed(patterns)
                )));
            }
        }
        Ok(())
    }

    /// Checks everything that the effect shows.
    pub(super) fn check(&self, effect: &Effect) -> Result<(), Failure> {
        match effect {
            Effect::Find { address } => functions::address(address).map(drop),
            Effect::Configure { function, settings } => {
                self.function(function)?;
                functions::words(function, settings).map(drop)
            }
            Effect::Offload { function } => self.function(function),
        }
    }
}
