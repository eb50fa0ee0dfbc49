//! Starts a domain again from its checkpoint, in the folder where the checkpoint now is.

use remotes_sdk::libvirt::{self, Domain, State};
use remotes_sdk::wait::retry_when;
use remotes_sdk::{Explain, Failure, FailureKind, at, filesystem, here, info, parent, settings};

use crate::domain::{active, passing};
use crate::relocation::relocated;
use crate::{guest_clock, hooks, memory, snapshots};

pub fn run(checkpoint: &str, host: &str, id: &str, vm_id: u32, action: &str) -> Result<(), Failure> {
    let could_not = || format!("Could not restore from {checkpoint}");
    let name = format!("one-{vm_id}");
    match active(&name).explain(could_not)?.map(|domain| domain.state) {
        // Only asleep: its memory is where it was.
        Some(State::Suspended) => {
            return libvirt::wake_up(&here(), &name).explain(|| "Could not wake up VM from suspended state".to_owned());
        }
        // A repeat of a restore that was interrupted after libvirt had done its part.
        Some(State::Running | State::Blocked) => info!("domain {name} runs already; its checkpoint is obsolete"),
        _ => start(checkpoint, host, id, vm_id, action, &name)?,
    }
    filesystem::remove(&at(checkpoint), false).or_warn("a stale checkpoint is left");
    // A stock driver may have left it.
    filesystem::remove(&at(format!("{checkpoint}.xml")), false).or_warn("a stale description is left");
    snapshots::redefine(&name, parent(checkpoint), || Ok(libvirt::find(&here(), &name)?.uuid));
    guest_clock::synchronise(&here(), &name);
    Ok(())
}

fn start(checkpoint: &str, host: &str, id: &str, vm_id: u32, action: &str, name: &str) -> Result<(), Failure> {
    let could_not = || format!("Could not restore from {checkpoint}");
    // Its result does not count: a repeat finds the checkpoint fetched already.
    hooks::call(action, "restore", [checkpoint, host, id, &vm_id.to_string(), host]).or_warn("the restore hook");
    let relocated = libvirt::saved_xml(&here(), checkpoint)
        .and_then(|xml| relocated(&xml, checkpoint, vm_id, action))
        .explain(|| format!("Could not recalculate paths in {checkpoint}.xml"))?;
    memory::compact_on_start();
    let tries = settings::number("VIRSH_RETRIES", 3).explain(could_not)?;
    retry_when(tries, 1, passing, || {
        let restored = libvirt::restore(&here(), checkpoint, relocated.as_deref());
        restored.or_else(|failure| match failure.kind {
            FailureKind::Unknown if is_running(name) => Ok(()),
            _ => Err(failure).explain(could_not),
        })
    })
}

fn is_running(name: &str) -> bool {
    matches!(active(name), Ok(Some(Domain { state: State::Running | State::Blocked, .. })))
}
