//! Writes a domain's memory to the checkpoint file, which ends the domain.

use remotes_sdk::filesystem::{self, Kind};
use remotes_sdk::{Explain, Failure, FailureKind, at, clock, error, here, info, libvirt};

use crate::domain::{active, while_busy};
use crate::hooks::Hook;
use crate::memory;

pub fn run(id: &str, checkpoint: &str, host: &str, vm_id: u32, action: &str) -> Result<(), Failure> {
    let could_not = || format!("Could not save {id} to {checkpoint}");
    // What cannot be read is known before the guest is touched.
    let hook = Hook::of(action).explain(could_not)?;
    // Before anything is moved: the checkpoint of a domain that is gone may be the only one of it.
    if active(id).explain(could_not)?.is_none() {
        error!("domain {id} is not running on this host; {checkpoint} is left as it is");
        return Err(Failure::not_found(could_not()));
    }
    make_room(checkpoint)?;
    let saved = while_busy(|| libvirt::save(&here(), id, checkpoint));
    if saved.is_err() {
        remove_empty(checkpoint);
    }
    saved.explain(could_not)?;
    memory::compact_on_stop();
    let arguments = [id, checkpoint, host, &vm_id.to_string(), host];
    match hook.call("save", arguments) {
        Ok(None | Some(true)) => Ok(()),
        Ok(Some(false)) => undo(checkpoint, Failure::failed("the checkpoint was not stored")),
        Err(failure) => undo(checkpoint, failure),
    }
    .explain(could_not)
}

/// Moves an old checkpoint aside. The new one is made here, writable for whoever QEMU runs as: root
/// may be nobody on the datastore's file server.
fn make_room(checkpoint: &str) -> Result<(), Failure> {
    match filesystem::stat(&at(checkpoint)).map(|file| (file.kind, file.size)) {
        // An interrupted save made it, and nobody has written to it.
        Ok((Kind::File, 0)) => {}
        Ok((Kind::File, _)) => {
            info!("Moving old checkpoint file {checkpoint}");
            let aside = format!("{checkpoint}.{}", clock::now());
            filesystem::rename(&at(checkpoint), &at(&aside))
                .explain(|| format!("Could not move {checkpoint} to {aside}"))?;
        }
        Err(failure) if failure.kind == FailureKind::NotFound => {}
        // A link or a device is the operator's own arrangement.
        Ok(_) => return Ok(()),
        Err(failure) => return Err(failure).explain(|| format!("Could not look at {checkpoint}")),
    }
    filesystem::write(&at(checkpoint), &[], 0o666).explain(|| format!("Could not create {checkpoint}"))
}

/// What [`make_room`] made and nobody wrote to must not pass for a checkpoint.
fn remove_empty(checkpoint: &str) {
    let empty = filesystem::stat(&at(checkpoint)).is_ok_and(|file| file.kind == Kind::File && file.size == 0);
    if empty {
        filesystem::remove(&at(checkpoint), false).or_warn("an empty checkpoint is left");
    }
}

/// The memory is saved but could not be stored where a restore looks for it. oned will hold the
/// virtual machine for running, so it is made to run again.
fn undo(checkpoint: &str, cause: Failure) -> Result<(), Failure> {
    match libvirt::restore(&here(), checkpoint, None) {
        Ok(()) => {
            info!("the domain runs again");
            filesystem::remove(&at(checkpoint), false).or_warn("a stale checkpoint is left");
        }
        Err(failure) => error!("the domain stays saved in {checkpoint}: {}", failure.message),
    }
    Err(cause)
}
