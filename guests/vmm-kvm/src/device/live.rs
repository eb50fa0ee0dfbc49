//! Devices of a running domain, as its description shows them.

use remotes_sdk::libvirt;
use remotes_sdk::xml::{Document, Element};
use remotes_sdk::{Failure, here};

/// The domain's description, for looking at its devices.
pub fn description(id: &str) -> Result<String, Failure> {
    libvirt::xml(&here(), id)
}

/// The text of the first device of a kind that the condition holds for.
pub fn find(xml: &str, kind: &str, is_it: impl Fn(Element<'_, '_>) -> bool) -> Result<Option<String>, Failure> {
    let document = Document::parse(xml)?;
    let devices = document.elements("devices").into_iter().flat_map(|devices| devices.elements(kind));
    Ok(devices.into_iter().find(|device| is_it(*device)).map(|device| xml[device.range()].to_owned()))
}

/// Whether the disk of this target is meant.
pub fn has_target(device: Element<'_, '_>, target: &str) -> bool {
    device.first("target").and_then(|element| element.attribute("dev")) == Some(target)
}

/// Whether the interface of this address is meant.
pub fn has_mac(device: Element<'_, '_>, mac: &str) -> bool {
    device.first("mac").and_then(|element| element.attribute("address")).is_some_and(|m| m.eq_ignore_ascii_case(mac))
}
