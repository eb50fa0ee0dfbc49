//! Networks of a policy, of which addresses are granted.

use serde::{Deserialize, Serialize};

use crate::network::names::Network;

/// A network as a policy spells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GrantedNetwork {
    text: String,
    network: Network,
}

impl TryFrom<String> for GrantedNetwork {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let network = Network::parse(&text).map_err(|failure| failure.message)?;
        Ok(Self { text, network })
    }
}

impl From<GrantedNetwork> for String {
    fn from(granted: GrantedNetwork) -> Self {
        granted.text
    }
}

impl std::fmt::Display for GrantedNetwork {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// Whether one of them holds all of `network`.
pub(super) fn hold(granted: &[GrantedNetwork], network: &Network) -> bool {
    granted.iter().any(|granted| granted.network.holds(network))
}

/// The networks as a person reads them.
pub(super) fn shown(granted: &[GrantedNetwork]) -> String {
    if granted.is_empty() {
        return "no network".to_owned();
    }
    granted.iter().map(|granted| granted.text.as_str()).collect::<Vec<_>>().join(", ")
}
