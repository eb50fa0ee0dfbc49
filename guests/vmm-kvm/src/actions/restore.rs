//! Starts a domain again from its checkpoint, in the folder where the checkpoint now is.

use remotes_sdk::libvirt::{self, Domain, State};
use remotes_sdk::wait::retry_when;
use remotes_sdk::xml::Document;
use remotes_sdk::{Explain, Failure, FailureKind, at, filesystem, here, info, parent, settings};

use crate::domain::{active, passing};
use crate::hooks::Hook;
use crate::relocation::relocated;
use crate::{guest_clock, memory, snapshots};

pub fn run(checkpoint: &str, host: &str, id: &str, vm_id: u32, action: &str) -> Result<(), Failure> {
    let could_not = || format!("Could not restore from {checkpoint}");
    let name = format!("one-{vm_id}");
    // An imported machine is not called so; what oned knows it by is the id.
    let id = if id.is_empty() { &name } else { id };
    let uuid = match active(id).explain(could_not)? {
        // Only asleep: its memory is where it was.
        Some(Domain { state: State::Suspended, .. }) => {
            return libvirt::wake_up(&here(), id).explain(|| "Could not wake up VM from suspended state".to_owned());
        }
        // A repeat of a restore that was interrupted after libvirt had done its part.
        Some(domain) if runs(&domain) && is_of(checkpoint, id, &domain) => {
            info!("domain {} runs already; its checkpoint is obsolete", domain.name);
            domain.uuid
        }
        _ => start(checkpoint, host, id, vm_id, action)?,
    };
    filesystem::remove(&at(checkpoint), false).or_warn("a stale checkpoint is left");
    // A stock driver may have left it.
    filesystem::remove(&at(format!("{checkpoint}.xml")), false).or_warn("a stale description is left");
    snapshots::redefine(&uuid, parent(checkpoint), || Ok(uuid.clone()));
    guest_clock::synchronise(&here(), &uuid);
    Ok(())
}

/// Returns the domain's UUID, or what it was called by where the checkpoint does not say.
fn start(checkpoint: &str, host: &str, id: &str, vm_id: u32, action: &str) -> Result<String, Failure> {
    let could_not = || format!("Could not restore from {checkpoint}");
    // Its result does not count: a repeat finds the checkpoint fetched already.
    let arguments = [checkpoint, host, id, &vm_id.to_string(), host];
    Hook::of(action).and_then(|hook| hook.call("restore", arguments)).or_warn("the restore hook");
    let could_not_read = || format!("Could not recalculate paths in {checkpoint}.xml");
    let saved = libvirt::saved_xml(&here(), checkpoint).explain(could_not_read)?;
    let relocated = relocated(&saved, checkpoint, vm_id, action).explain(could_not_read)?;
    let uuid = uuid(&saved).unwrap_or_else(|| id.to_owned());
    memory::compact_on_start();
    let tries = settings::number("VIRSH_RETRIES", 3).explain(could_not)?;
    retry_when(tries, 1, passing, || {
        let restored = libvirt::restore(&here(), checkpoint, relocated.as_deref());
        restored.or_else(|failure| match failure.kind {
            FailureKind::Unknown if active(&uuid).is_ok_and(|domain| domain.is_some_and(|it| runs(&it))) => Ok(()),
            _ => Err(failure).explain(could_not),
        })
    })?;
    Ok(uuid)
}

fn runs(domain: &Domain) -> bool {
    matches!(domain.state, State::Running | State::Blocked)
}

/// Whether the checkpoint is this domain's: a name may be another machine's by now, whose run says nothing
/// about it. There is no other copy of the memory.
fn is_of(checkpoint: &str, id: &str, domain: &Domain) -> bool {
    domain.uuid.eq_ignore_ascii_case(id)
        || match libvirt::saved_xml(&here(), checkpoint) {
            Ok(xml) => uuid(&xml).is_some_and(|uuid| uuid.eq_ignore_ascii_case(&domain.uuid)),
            Err(failure) => failure.kind == FailureKind::NotFound,
        }
}

fn uuid(xml: &str) -> Option<String> {
    Document::parse(xml).ok()?.text("uuid").map(|uuid| uuid.trim().to_owned())
}
