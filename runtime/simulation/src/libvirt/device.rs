//! Which device of a domain a piece of XML means.

use remotes_effect::types::Failure;
use roxmltree::{Document, Node};

use super::definition::kib;
use super::error::{config_unsupported, device_missing, invalid_arg, xml_error};
use super::parts::{devices, disk};
use super::{Domain, alias};
use crate::xml::edit::{remove, replace, set_text, source};
use crate::xml::{child, child_text, parse, text};

/// virDomainDeviceType
const TYPES: [&str; 27] = [
    "disk",
    "lease",
    "filesystem",
    "interface",
    "input",
    "sound",
    "audio",
    "video",
    "hostdev",
    "watchdog",
    "controller",
    "graphics",
    "hub",
    "redirdev",
    "smartcard",
    "parallel",
    "serial",
    "console",
    "channel",
    "memballoon",
    "nvram",
    "rng",
    "shmem",
    "tpm",
    "panic",
    "memory",
    "vsock",
];

/// Parses the XML of one device.
pub(super) fn read(xml: &str) -> Result<Document<'_>, Failure> {
    let document = parse("device_definition", xml)?;
    let device = document.root_element();
    let kind = device.tag_name().name();
    if device.tag_name().namespace().is_some() || !TYPES.contains(&kind) {
        return Err(config_unsupported(format!("unknown device type '{kind}'")));
    }
    if kind == "disk" && disk(device).target.is_empty() {
        let source = disk(device).source.unwrap_or_default();
        return Err(Failure::invalid(format!("missing target information for device {source}")));
    }
    if kind == "memory" {
        memory(device)?;
    }
    Ok(document)
}

/// The device of a domain's description that this XML means.
pub(super) fn find<'a, 'i>(root: Node<'a, 'i>, device: Node<'_, '_>) -> Result<Option<Node<'a, 'i>>, Failure> {
    let kind = device.tag_name().name();
    let wanted = alias::of(device);
    let named = devices(root).filter(|node| wanted.is_some() && alias::of(*node) == wanted);
    // Of two that look alike, the one of that name.
    for candidate in named.chain(devices(root)).filter(|node| node.tag_name().name() == kind) {
        if same(candidate, device)? {
            return Ok(Some(candidate));
        }
    }
    Ok(None)
}

fn same(there: Node<'_, '_>, device: Node<'_, '_>) -> Result<bool, Failure> {
    Ok(match device.tag_name().name() {
        "disk" => disk(there).target == disk(device).target,
        "interface" => match mac(device) {
            Some(address) => mac(there).is_some_and(|other| other.eq_ignore_ascii_case(&address)),
            None => within(device, there),
        },
        "hostdev" => host_address(there) == host_address(device) && host_address(device).is_some(),
        "memory" => memory(there)? == memory(device)?,
        "graphics" => there.attribute("type") == device.attribute("type"),
        _ => within(device, there),
    })
}

/// libvirt's words for a device that is not there.
pub(super) fn missing(device: Node<'_, '_>) -> Failure {
    device_missing(match device.tag_name().name() {
        "disk" => format!("disk {} not found", disk(device).target),
        "interface" => {
            let mac = mac(device).unwrap_or_else(|| "(<null>)".to_owned());
            format!("no device found at address '(<null>)' matching MAC address '{mac}' and alias '(<null>)'")
        }
        "hostdev" => match host_address(device) {
            Some(Host::Pci(address)) => format!("host pci device {address} not found"),
            Some(Host::Mdev(uuid)) => format!("mediated device {uuid} not found"),
            None => "host device not found".to_owned(),
        },
        "memory" => {
            let model = device.attribute("model").unwrap_or("dimm");
            format!("model '{model}' memory device not present in the domain configuration")
        }
        other => format!("matching {other} device not found"),
    })
}

/// A device of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    /// `0000:09:01.0`
    Pci(String),
    /// its UUID
    Mdev(String),
}

/// Which device of the host a `<hostdev>` hands through.
pub(super) fn host_address(device: Node<'_, '_>) -> Option<Host> {
    let address = child(child(device, "source")?, "address")?;
    if let Some(uuid) = address.attribute("uuid") {
        return Some(Host::Mdev(uuid.to_ascii_lowercase()));
    }
    let number = |name| match address.attribute(name) {
        None => Some(0),
        Some(text) => match text.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => text.parse().ok(),
        },
    };
    let (domain, bus, slot, function) = (number("domain")?, number("bus")?, number("slot")?, number("function")?);
    Some(Host::Pci(format!("{domain:04x}:{bus:02x}:{slot:02x}.{function:x}")))
}

/// Address of a network interface.
pub(super) fn mac(device: Node<'_, '_>) -> Option<String> {
    child(device, "mac").and_then(|mac| mac.attribute("address")).map(str::to_owned)
}

/// Model, KiB and NUMA node of a memory module.
pub(super) fn memory(device: Node<'_, '_>) -> Result<(String, u64, Option<u32>), Failure> {
    let model = device.attribute("model").ok_or_else(|| xml_error("missing memory model"))?;
    let target = child(device, "target").ok_or_else(|| xml_error("missing <target> element for memory device"))?;
    let size = child(target, "size").ok_or_else(|| xml_error("missing memory device size"))?;
    let node = child_text(target, "node").map(|node| node.parse()).transpose();
    Ok((model.to_owned(), kib(size)?, node.map_err(|_| invalid_arg("memory device node is no number"))?))
}

/// Whether everything that an element says is said by the other, too.
fn within(element: Node<'_, '_>, other: Node<'_, '_>) -> bool {
    element.tag_name() == other.tag_name()
        && element.attributes().all(|it| other.attributes().any(|o| o.name() == it.name() && o.value() == it.value()))
        && element.children().filter(Node::is_element).all(|child| {
            // These are the hypervisor's own.
            matches!(child.tag_name().name(), "alias" | "address") || other.children().any(|it| within(child, it))
        })
        && (text(element).is_empty() || text(element) == text(other))
}

/// Devices that the guest has been asked to let go, and by now has, leave the live description.
pub(super) fn let_go(domain: &mut Domain, now: u64) {
    let (due, waiting): (Vec<_>, Vec<_>) = domain.unplugs.drain(..).partition(|(_, countdown)| countdown.due(now));
    domain.unplugs = waiting;
    for (device, _) in due {
        let Some(live) = &domain.live else { return };
        if let Ok(Some(without)) = without(live, &device) {
            domain.live = Some(without);
        }
    }
}

/// The description without this device; none where it has none such.
pub(super) fn without(xml: &str, device: &str) -> Result<Option<String>, Failure> {
    let (document, device) = (parse("domain_definition", xml)?, read(device)?);
    let Some(there) = find(document.root_element(), device.root_element())? else { return Ok(None) };
    let rest = remove(there).apply(xml);
    match there.tag_name().name() {
        "memory" => resized(&rest, -i128::from(memory(there)?.1)).map(Some),
        _ => Ok(Some(rest)),
    }
}

/// The text of a device as it is put into a description.
pub(super) fn inserted(device: Node<'_, '_>, addresses: usize) -> String {
    let text = source(device);
    if device.tag_name().name() != "interface" || child(device, "mac").is_some() {
        return text.to_owned();
    }
    let mac = format!("<mac address='52:54:00:00:{:02x}:{:02x}'/>", addresses >> 8 & 0xff, addresses & 0xff);
    let document = Document::parse(text);
    document.map_or(text.to_owned(), |document| crate::xml::edit::append(document.root_element(), &mac).apply(text))
}

/// A description with so many KiB of memory more, or less.
pub(super) fn resized(xml: &str, difference: i128) -> Result<String, Failure> {
    ["memory", "currentMemory"].into_iter().try_fold(xml.to_owned(), |xml, name| {
        let document = parse("domain_definition", &xml)?;
        let Some(element) = child(document.root_element(), name) else { return Ok(xml) };
        let kib = u64::try_from(i128::from(kib(element)?) + difference).unwrap_or(0);
        // The unit stays: what is set is in it only where it is KiB.
        let edited = match element.attribute("unit").unwrap_or("KiB") {
            "KiB" | "K" | "k" => set_text(element, &kib.to_string()),
            _ => replace(element, &format!("<{name} unit='KiB'>{kib}</{name}>")),
        };
        Ok(edited.apply(&xml))
    })
}
