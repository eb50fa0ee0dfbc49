//! Removes a system snapshot; its children are kept.

use remotes_sdk::{Explain, Failure, FailureKind, at, filesystem, here, info, libvirt};

use crate::domain::{Facts, while_busy};
use crate::snapshots;

pub fn run(id: &str, name: &str) -> Result<(), Failure> {
    let could_not = || format!("Could not delete snapshot {name} for domain {id}.");
    if name.is_empty() || name.contains('/') {
        return Err(Failure::invalid(format!("{name:?} is no name of a snapshot"))).explain(could_not);
    }
    let unknown = || format!("Cannot read 'system_datastore' from domain {id}");
    let facts = Facts::live(id).explain(unknown)?;
    let directory = facts.directory.ok_or_else(|| Failure::failed(unknown()))?;
    match while_busy(|| libvirt::snapshot_delete(&here(), id, name, false)) {
        Err(failure) if failure.kind == FailureKind::NotFound => info!("{}", failure.message),
        deleted => deleted.explain(could_not)?,
    }
    // After it: a snapshot that could not be deleted has to come back with the next start.
    filesystem::remove(&at(format!("{directory}/{name}.xml")), false).or_warn("a stale description is left");
    // Those that were its children have another parent now.
    for other in
        libvirt::snapshots(&here(), id).or_warn("descriptions of snapshots are not renewed").unwrap_or_default()
    {
        if other.starts_with("snap-") && !other.contains('/') {
            snapshots::keep(id, &other, &directory)
                .or_warn(&format!("Could not dump {other} snapshot metadata for {id}"));
        }
    }
    Ok(())
}
