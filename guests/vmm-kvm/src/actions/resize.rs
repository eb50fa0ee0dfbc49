//! Changes memory and virtual CPUs of the running machine.

use remotes_sdk::libvirt::{self, Scope};
use remotes_sdk::vm::Action;
use remotes_sdk::wait::until;
use remotes_sdk::xml::{Document, Tag};
use remotes_sdk::{Explain, Failure, here, info};

use crate::memory;

/// Seconds for the guest to let memory go, beyond those that libvirt waits by itself.
const LET_GO: u64 = 5;

pub fn run(id: &str, action: &str) -> Result<(), Failure> {
    if action.trim().is_empty() {
        return Ok(());
    }
    let action = Action::parse(action).explain(|| format!("Failed to resize {id}"))?;
    if let Some((memory, before)) = change(&action, "MEMORY")? {
        let failed = || format!("Failed to resize memory to {memory} MiB on {id}");
        memory::compact_on_start();
        match action.template("MEMORY_RESIZE_MODE") {
            Some("HOTPLUG") => plug(id, memory, before).explain(failed)?,
            _ => libvirt::set_memory(&here(), id, kib(memory)?, Scope::Live).explain(failed)?,
        }
        memory::compact_on_stop();
    }
    if let Some((count, _)) = change(&action, "VCPU")? {
        let failed = || format!("Failed to resize VCPU to {count} on {id}");
        let vcpus = u32::try_from(count).map_err(|_| Failure::invalid(failed()))?;
        libvirt::set_vcpus(&here(), id, vcpus, Scope::Live, true).explain(failed)?;
    }
    Ok(())
}

/// The new and the old value, where both are there and differ.
fn change(action: &Action<'_>, key: &str) -> Result<Option<(u64, u64)>, Failure> {
    let number = |path: &str| match action.template(path) {
        None => Ok(None),
        Some(text) => match text.trim().parse::<u64>() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(Failure::invalid(format!("{path} is {text:?}, expected a whole number"))),
        },
    };
    let (new, old) = (number(key)?, number(&format!("RESIZE/{key}"))?);
    Ok(new.zip(old).filter(|(new, old)| new != old))
}

fn kib(mib: u64) -> Result<u64, Failure> {
    mib.checked_mul(1024).ok_or_else(|| Failure::invalid(format!("{mib} MiB is too much")))
}

/// Plugs in, or out, what is between the two sizes, and sees it gone. What is plugged out must have been
/// plugged in before as one piece.
fn plug(id: &str, memory: u64, before: u64) -> Result<(), Failure> {
    let xml = libvirt::xml(&here(), id)?;
    let document = Document::parse(&xml)?;
    let wanted = kib(memory)?;
    // A repeat: memory that is plugged in counts here.
    if total(&document) == Some(wanted) {
        info!("the domain has {memory} MiB already");
        return Ok(());
    }
    let node = document.first("cpu/numa/cell").and_then(|cell| cell.attribute("id"));
    let size = Tag::new("size").with("unit", "MiB").text(memory.abs_diff(before));
    let target = Tag::new("target").child(size).children(node.map(|node| Tag::new("node").text(node)));
    let module = Tag::new("memory").with("model", "dimm").child(target).to_string();
    if memory > before {
        return libvirt::attach_device(&here(), id, &module, Scope::Live);
    }
    libvirt::detach_device(&here(), id, &module, Scope::Live)?;
    let has_gone = || Ok(total(&Document::parse(&libvirt::xml(&here(), id)?)?) != total(&document));
    match until(LET_GO, |_| has_gone())? {
        true => Ok(()),
        false => Err(Failure::busy("the guest does not let the memory go")),
    }
}

/// Memory in KiB, with all that is plugged in.
fn total(domain: &Document<'_>) -> Option<u64> {
    domain.text("memory").and_then(|memory| memory.trim().parse().ok())
}
