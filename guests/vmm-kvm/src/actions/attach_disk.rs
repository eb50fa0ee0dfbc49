//! Plugs a disk in.

use remotes_sdk::libvirt::{self, Scope};
use remotes_sdk::vm::Action;
use remotes_sdk::{Explain, Failure, error, here, info};

use crate::device::source::Source;
use crate::device::{disk, live};

pub fn run(id: &str, path: &str, target: &str, action: &str) -> Result<(), Failure> {
    let could_not = |source: &str| format!("Could not attach {source} ({target}) to {id}");
    let action = Action::parse(action).explain(|| could_not(path))?;
    let Some(element) = action.attached("DISK") else {
        error!("no disk of the virtual machine has ATTACH=YES");
        return Err(Failure::invalid(could_not(path)));
    };
    let source = Source::of(element, &action, path).explain(|| could_not(path))?;
    let could_not = || could_not(&source.value);
    let xml = disk::tag(id, element, &action, &source, target).explain(could_not)?.to_string();
    match libvirt::attach_device(&here(), id, &xml, Scope::Live) {
        Err(_) if is_attached(id, &source, target) => {
            info!("{} is attached already", source.value);
            Ok(())
        }
        attached => attached.explain(could_not),
    }
}

/// A repeat, or an answer that was lost.
fn is_attached(id: &str, source: &Source, target: &str) -> bool {
    let same = |device: remotes_sdk::xml::Element<'_, '_>| {
        let there = device.first("source").and_then(|there| there.attribute(source.attribute()));
        live::has_target(device, target) && there == Some(source.value.as_str())
    };
    live::description(id).and_then(|xml| live::find(&xml, "disk", same)).is_ok_and(|found| found.is_some())
}
