//! Aliases: the hypervisor's names of the devices of an active domain.

use std::collections::BTreeSet;

use roxmltree::{Document, Node};

use super::parts::{devices, disk};
use crate::xml::child;
use crate::xml::edit::{Edit, append, remove, replace, source};

/// What begins a user's own alias, which libvirt keeps.
const OWN: &str = "ua-";

/// The alias of a device, where it has one.
pub(super) fn of<'a>(device: Node<'a, '_>) -> Option<&'a str> {
    child(device, "alias")?.attribute("name")
}

/// The description with an alias for each device that has none.
pub(super) fn assigned(xml: &str) -> String {
    let Ok(document) = Document::parse(xml) else { return xml.to_owned() };
    let mut taken: BTreeSet<String> = devices(document.root_element()).filter_map(of).map(str::to_owned).collect();
    let mut edits = Vec::new();
    for device in devices(document.root_element()).filter(|device| of(*device).is_none()) {
        if let Some(alias) = name(device, &taken) {
            edits.push(append(device, &format!("<alias name='{alias}'/>")));
            taken.insert(alias);
        }
    }
    all(xml, edits)
}

/// The description without the aliases that libvirt gave: it makes no use of them in what it is handed.
pub(super) fn dropped(xml: &str) -> String {
    let Ok(document) = Document::parse(xml) else { return xml.to_owned() };
    let given = devices(document.root_element()).filter(|device| of(*device).is_some_and(|it| !it.starts_with(OWN)));
    let edits = given.filter_map(|device| {
        let alias = child(device, "alias")?;
        let others = device.children().any(|it| it != alias && (!it.is_text() || !it.text().unwrap_or("").is_empty()));
        Some(match others {
            true => remove(alias),
            // As it was before an alias was put into it.
            false => replace(device, &format!("{}/>", source(device).split('>').next().unwrap_or_default())),
        })
    });
    all(xml, edits.collect())
}

/// Carries out edits that are in the order of the text.
fn all(xml: &str, edits: Vec<Edit>) -> String {
    edits.into_iter().rev().fold(xml.to_owned(), |xml, edit| edit.apply(&xml))
}

/// The name that libvirt gives; none for what has no alias.
fn name(device: Node<'_, '_>, taken: &BTreeSet<String>) -> Option<String> {
    let kind = device.tag_name().name();
    let prefix = match kind {
        "disk" => return disk_name(device, taken),
        "controller" => device.attribute("type").unwrap_or("controller"),
        "interface" => "net",
        "memory" => match device.attribute("model") {
            Some("dimm") | None => "dimm",
            Some(model) => model,
        },
        "filesystem" => "fs",
        "memballoon" => "balloon",
        "redirdev" => "redir",
        "hostdev" | "serial" | "parallel" | "console" | "channel" | "input" | "sound" | "video" | "watchdog"
        | "rng" | "tpm" | "hub" | "smartcard" | "shmem" | "panic" | "vsock" => kind,
        _ => return None,
    };
    let index = device.attribute("index").filter(|_| kind == "controller");
    match index.map(|index| format!("{prefix}.{index}")).filter(|alias| prefix == "pci" && !taken.contains(alias)) {
        Some(alias) => Some(alias),
        None => free(prefix, taken),
    }
}

fn disk_name(device: Node<'_, '_>, taken: &BTreeSet<String>) -> Option<String> {
    let target = disk(device).target;
    let bus = child(device, "target").and_then(|target| target.attribute("bus"));
    let prefix = match (bus, target.get(..2)) {
        (Some("virtio"), _) | (None, Some("vd")) => "virtio-disk",
        (Some(bus), _) => bus,
        (None, Some("hd")) => "ide0-0-",
        _ => "scsi0-0-0-",
    };
    free(prefix, taken)
}

fn free(prefix: &str, taken: &BTreeSet<String>) -> Option<String> {
    (0..10_000).map(|number| format!("{prefix}{number}")).find(|alias| !taken.contains(alias))
}
