//! Virtual functions of network cards.

use remotes_effect::network::functions;
use remotes_effect::sriov::{Executor, Function, Settings};
use remotes_effect::types::Failure;
use serde::{Deserialize, Serialize};

use super::Network;
use crate::Simulation;

/// A virtual function, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulatedFunction {
    /// its PCI address, without the domain
    pub address: String,
    /// where it is
    pub function: Function,
    /// how it is set up
    #[serde(default = "unset")]
    pub settings: Settings,
    /// whether its card switches packets
    #[serde(default)]
    pub offloaded: bool,
}

fn unset() -> Settings {
    Settings { mac: None, vlan: None, spoof_check: None, trust: None }
}

impl Network {
    /// Adds a virtual function.
    pub fn function(mut self, address: &str, physical: &str, index: u32, representor: Option<&str>) -> Self {
        let function = Function { physical: physical.to_owned(), index, representor: representor.map(str::to_owned) };
        let address = address.to_owned();
        self.functions.push(SimulatedFunction { address, function, settings: unset(), offloaded: false });
        self
    }

    fn find_function(&mut self, function: &Function) -> Result<&mut SimulatedFunction, Failure> {
        self.functions.iter_mut().find(|it| it.function == *function).ok_or_else(|| {
            Failure::not_found(format!("virtual function {} of {}: there is none", function.index, function.physical))
        })
    }
}

impl Executor for Simulation {
    fn find(&mut self, address: &str) -> Result<Option<Function>, Failure> {
        let short = functions::address(address)?;
        let short =
            if short.matches(':').count() == 2 { short.split_once(':').map_or(short, |it| it.1) } else { short };
        let functions = &self.here.network.functions;
        Ok(functions.iter().find(|it| it.address == short).map(|it| it.function.clone()))
    }

    fn configure(&mut self, function: &Function, settings: &Settings) -> Result<(), Failure> {
        functions::words(function, settings)?;
        let set = &mut self.here.network.find_function(function)?.settings;
        if settings.mac.is_some() {
            set.mac.clone_from(&settings.mac);
        }
        set.vlan = settings.vlan.or(set.vlan);
        set.spoof_check = settings.spoof_check.or(set.spoof_check);
        set.trust = settings.trust.or(set.trust);
        Ok(())
    }

    fn offload(&mut self, function: &Function) -> Result<(), Failure> {
        self.here.network.find_function(function)?.offloaded = true;
        for link in &mut self.here.network.links {
            link.up |= link.name == function.physical || Some(&link.name) == function.representor.as_ref();
        }
        Ok(())
    }
}
