//! Changes memory and virtual CPUs of the running machine.

use remotes_sdk::libvirt::{self, Scope};
use remotes_sdk::vm::Action;
use remotes_sdk::xml::{Document, Element, Tag};
use remotes_sdk::{Explain, Failure, here, info};

use crate::device::live;
use crate::device::unplug::unplug;
use crate::memory;

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
    let size = kib(memory.abs_diff(before))?;
    let before = total(&document);
    // Once it has shrunk, what is left of the same size is another module.
    let plugged_in = || {
        let xml = live::description(id)?;
        match total(&Document::parse(&xml)?) == before {
            true => live::find(&xml, "memory", |device| is_module(device, size, node)),
            false => Ok(None),
        }
    };
    match unplug(id, plugged_in)? {
        true => Ok(()),
        false => Err(Failure::not_found(format!("no memory of {} MiB was plugged in as one piece", size / 1024))),
    }
}

/// Whether a memory module has this size in KiB and is on this node.
fn is_module(device: Element<'_, '_>, size: u64, node: Option<&str>) -> bool {
    let kib = device.first("target/size").and_then(|element| {
        let unit = match element.attribute("unit").unwrap_or("KiB") {
            "KiB" | "k" | "K" => 1,
            "MiB" | "M" => 1024,
            "GiB" | "G" => 1024 * 1024,
            _ => return None,
        };
        element.value()?.trim().parse::<u64>().ok()?.checked_mul(unit)
    });
    kib == Some(size) && device.text("target/node").map(str::trim).unwrap_or("0") == node.unwrap_or("0")
}

/// Memory in KiB, with all that is plugged in.
fn total(domain: &Document<'_>) -> Option<u64> {
    domain.text("memory").and_then(|memory| memory.trim().parse().ok())
}
