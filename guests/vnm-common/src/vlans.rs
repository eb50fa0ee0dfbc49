//! VLANs as networks name them.

use std::collections::BTreeSet;

use remotes_sdk::Failure;
use remotes_sdk::network::{Nic, vlans};

/// A VLAN or a list of them, as a network has it in its attribute `key`; each once.
///
/// # Errors
/// It is no such list: what it should let through is not known.
pub fn list(nic: &Nic, key: &str, given: Option<&str>) -> Result<Vec<u16>, Failure> {
    let Some(given) = given else { return Ok(Vec::new()) };
    // An empty list would stand for all VLANs, and of one that is named twice the database knows nothing.
    let once = |ids: Vec<u16>| {
        let mut seen = BTreeSet::new();
        ids.into_iter().filter(|id| seen.insert(*id)).collect::<Vec<_>>()
    };
    vlans(given)
        .map(once)
        .filter(|ids| ids.iter().all(|id| *id < 4096))
        .ok_or_else(|| Failure::invalid(format!("NIC {}: {key} is {given:?}, expected VLANs like 100,200-203", nic.id)))
}
