//! Asks the guest to power off, waits until it has, and destroys it where that takes too long.

use std::cell::Cell;

use remotes_sdk::wait::until;
use remotes_sdk::{Explain, Failure, FailureKind, error, here, libvirt, settings, warning};

use crate::domain::{Facts, active, destroy, passing};
use crate::{memory, vgpu, vtpm};

/// Seconds for a domain that does not run any more to leave it.
const GOING: u64 = 5;

/// Seconds for a destroyed domain to leave libvirt's list.
const DESTROYED: u64 = 10;

pub fn run(id: &str) -> Result<(), Failure> {
    let could_not = || format!("Could not shutdown {id}");
    if active(id).explain(could_not)?.is_none() {
        return Ok(());
    }
    let facts = match Facts::live(id) {
        Err(failure) if failure.kind == FailureKind::NotFound => return Ok(()),
        facts => facts.explain(could_not)?,
    };
    let timeout = settings::number("SHUTDOWN_TIMEOUT", 120).explain(could_not)?;
    let without_acpi = !facts.acpi && settings::yes("CANCEL_NO_ACPI").explain(could_not)?;
    vtpm::backup(&facts);
    let ask = || match without_acpi {
        true => destroy(id),
        false => shutdown(id),
    };
    match ask() {
        // It went by itself, in between or with the answer on its way; or it is just going.
        Err(_) if matches!(active(id), Ok(None)) => {}
        Err(failure) if failure.message.contains("is not running") => {
            let gone = until(GOING, |_| active(id).map(|domain| domain.is_none())).explain(could_not)?;
            if !gone {
                return Err(failure).explain(could_not);
            }
        }
        asked => asked.explain(could_not)?,
    }
    wait(id, timeout, ask)?;
    vgpu::delete(&facts);
    memory::compact_on_stop();
    Ok(())
}

fn shutdown(id: &str) -> Result<(), Failure> {
    match libvirt::shutdown(&here(), id) {
        Err(failure) if failure.kind == FailureKind::NotFound => Ok(()),
        other => other,
    }
}

/// Waits for the domain to go, asks again half-way, and in the end destroys it where the operator has
/// it so.
fn wait(id: &str, timeout: u64, ask: impl Fn() -> Result<(), Failure>) -> Result<(), Failure> {
    let timed_out = || format!("Timed out shutting down {id}");
    let (mut again, told) = (false, Cell::new(false));
    let gone = until(timeout, |waited| {
        if !again && waited > 0 && waited >= timeout * 500 {
            again = true;
            ask().or_warn("asking again");
        }
        is_gone(id, &told)
    });
    if gone.explain(timed_out)? {
        return Ok(());
    }
    if !settings::yes("FORCE_DESTROY").explain(timed_out)? {
        return Err(Failure::timeout(timed_out()));
    }
    error!("Timeout shutting down {id}. Destroying it");
    let destroyed = destroy(id);
    match until(DESTROYED, |_| is_gone(id, &told)).explain(timed_out)? {
        true => Ok(()),
        false => {
            destroyed.explain(timed_out)?;
            Err(Failure::timeout(timed_out()))
        }
    }
}

/// A question that libvirt does not answer just now is asked again, not taken for a yes. It is worth one
/// line, not one a second.
fn is_gone(id: &str, told: &Cell<bool>) -> Result<bool, Failure> {
    match active(id) {
        Ok(domain) => Ok(domain.is_none()),
        Err(failure) if passing(&failure) => {
            if !told.replace(true) {
                warning!("{}", failure.message);
            }
            Ok(false)
        }
        Err(failure) => Err(failure),
    }
}
