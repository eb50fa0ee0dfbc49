//! Goes back to a system snapshot.

use remotes_sdk::{Explain, Failure, here, libvirt};

use crate::domain::while_busy;

pub fn run(id: &str, name: &str) -> Result<(), Failure> {
    while_busy(|| libvirt::snapshot_revert(&here(), id, name, true))
        .explain(|| format!("Could not revert to snapshot {name} for domain {id}."))
}
