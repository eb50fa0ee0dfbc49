//! Takes a system snapshot, disks and memory, and keeps its description beside the disks.

use remotes_sdk::vm::Action;
use remotes_sdk::xml::Tag;
use remotes_sdk::{Explain, Failure, FailureKind, here, libvirt, warning};

use crate::domain::{Facts, while_busy};
use crate::snapshots;

pub fn run(id: &str, snapshot_id: u32, action: &str) -> Result<String, Failure> {
    let name = format!("snap-{snapshot_id}");
    let could_not = || format!("Could not create snapshot {name} for domain {id}.");
    let facts = Facts::live(id).explain(could_not)?;
    let xml = Tag::new("domainsnapshot").child(Tag::new("name").text(&name)).to_string();
    let create = || while_busy(|| libvirt::snapshot_create(&here(), id, &xml));
    let created = create().or_else(|failure| match libvirt::snapshots(&here(), id) {
        Ok(names) if names.contains(&name) => match failure.kind {
            FailureKind::Unknown => Ok(name.clone()),
            _ => replace(id, &name, action, failure).and_then(|()| create()),
        },
        _ => Err(failure),
    });
    let created = created.explain(could_not)?;
    if let Some(directory) = facts.directory {
        snapshots::keep(id, &created, &directory).or_warn(&format!("{created} is not kept over a power off"));
    }
    Ok(created)
}

/// A snapshot of that name is what an interrupted action has left, unless oned knows it.
fn replace(id: &str, name: &str, action: &str, failure: Failure) -> Result<(), Failure> {
    let known = match Action::parse(action) {
        Ok(action) => action.devices("SNAPSHOT").iter().any(|snapshot| snapshot.text("HYPERVISOR_ID") == Some(name)),
        Err(_) => true,
    };
    if known {
        return Err(failure);
    }
    warning!("{name} is there and unknown to OpenNebula: the rest of an interrupted action; it is replaced");
    while_busy(|| libvirt::snapshot_delete(&here(), id, name, false))
}
