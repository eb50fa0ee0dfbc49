//! Which elements of domain XML reach past the virtual machine, and the kind in `host-devices` that each
//! needs. Elements and attributes go by their local names, as libvirt takes them.

use roxmltree::Node;

use super::exceptions::own_text;

/// What an element would give the guest of its host.
pub(super) struct Reach<'a> {
    /// as `host-devices` spells it
    pub kind: &'a str,
    /// for the message
    pub what: &'static str,
}

/// Every kind that `host-devices` may name: those of [`reach`], where the types of `hostdev` are libvirt's own.
pub(super) const KINDS: [&str; 23] = [
    "audio",
    "coredump",
    "display",
    "gpu",
    "host-network",
    "locked-memory",
    "mdev",
    "misc",
    "module",
    "net",
    "passthrough",
    "pci",
    "realtime",
    "redirdev",
    "scsi",
    "scsi_host",
    "seclabel",
    "shmem",
    "smartcard",
    "storage",
    "tpm",
    "usb",
    "vsock",
];

/// Interfaces that end in a process on the host, with the host's own way to the network.
const USER_NETWORKS: [&str; 5] = ["user", "server", "client", "mcast", "udp"];

/// Sounds that go nowhere, to the guest's own screen, or into a file that is checked as such.
const HARMLESS_AUDIO: [&str; 3] = ["none", "spice", "file"];

/// Screens on the host's own display, or on a bus of the host's.
const HOST_DISPLAYS: [&str; 4] = ["sdl", "desktop", "dbus", "rdp"];

/// What the element reaches, if anything.
pub(super) fn reach<'a>(element: Node<'a, '_>) -> Option<Reach<'a>> {
    let is = |name: &str, value: &str| attribute(element, name) == Some(value);
    let kind = attribute(element, "type").unwrap_or("none");
    let (kind, what) = match element.tag_name().name() {
        "hostdev" => (kind, "a device of the host"),
        "interface" if kind == "hostdev" => ("pci", "a device of the host"),
        // Without a type it is one of type `user` to libvirt.
        "interface" if USER_NETWORKS.contains(&kind) || attribute(element, "type").is_none() => {
            ("host-network", "the host's own network")
        }
        "ip" | "route" if within(element, "source") => ("host-network", "addresses and routes of the host"),
        "source" if kind == "pci" || attribute(element, "namespace").is_some() => ("pci", "a device of the host"),
        "source" if attribute(element, "service").is_some() => ("host-network", "a connection of the host"),
        "source" if is("mode", "passthrough") && within(element, "interface") => ("passthrough", "a link of the host"),
        "backend" if kind == "passt" => ("host-network", "the host's own network"),
        "portForward" => ("host-network", "ports of the host"),
        "disk" if is("device", "lun") || is("rawio", "yes") || is("sgio", "unfiltered") => {
            ("scsi", "raw commands to a device")
        }
        // What comes over the screen's connection is its viewer's, not the host's.
        "redirdev" if kind != "spicevmc" => ("redirdev", "a redirected device"),
        "smartcard" if attribute(element, "mode").is_none_or(|mode| mode.starts_with("host")) => {
            ("smartcard", "a smart card of the host")
        }
        "seclabel" if !is_generated_label(element) => ("seclabel", "a security label"),
        "shmem" => ("shmem", "memory shared with others"),
        "vsock" => ("vsock", "sockets between guest and host"),
        "audio" if !HARMLESS_AUDIO.contains(&kind) => ("audio", "the host's sound"),
        "backend" if kind == "passthrough" && within(element, "tpm") => ("tpm", "the host's TPM"),
        "gl" if !is("enable", "no") && attribute(element, "rendernode").is_none() => ("gpu", "the host's GPU"),
        "graphics" if kind == "egl-headless" => ("gpu", "the host's GPU"),
        "graphics" if HOST_DISPLAYS.contains(&kind) => ("display", "the host's display"),
        "driver" if is("name", "vhostuser") && within(element, "video") => ("gpu", "the host's GPU"),
        "driver" if attribute(element, "model").is_some() => ("module", "a kernel module"),
        // A guest that ends, or hangs, then has a file of its memory's size written each time.
        "watchdog" if is("action", "dump") => ("coredump", "files with the guest's memory"),
        "on_crash" if own_text(element).starts_with("coredump") => ("coredump", "files with the guest's memory"),
        "vcpusched" | "iothreadsched" | "emulatorsched" if attribute(element, "scheduler").is_some_and(is_realtime) => {
            ("realtime", "processor time before the host's own")
        }
        "locked" => ("locked-memory", "memory that the host cannot take back"),
        _ => return None,
    };
    Some(Reach { kind, what })
}

/// The attribute of this local name. That there is but one is checked for all elements.
pub(super) fn attribute<'a>(element: Node<'a, '_>, name: &str) -> Option<&'a str> {
    element.attributes().find(|attribute| attribute.name() == name).map(|attribute| attribute.value())
}

fn is_realtime(scheduler: &str) -> bool {
    !matches!(scheduler, "batch" | "idle")
}

fn within(element: Node<'_, '_>, parent: &str) -> bool {
    element.parent().is_some_and(|above| above.tag_name().name() == parent)
}

/// The label that libvirt's security driver makes for each domain, as it stands in descriptions of libvirt's
/// own: it asks for nothing that would not happen without it.
fn is_generated_label(element: Node<'_, '_>) -> bool {
    within(element, "domain")
        && attribute(element, "type") == Some("dynamic")
        && attribute(element, "relabel").is_none_or(|relabel| relabel == "yes")
        && element.children().filter(Node::is_element).all(|child| {
            // Made anew for each start.
            matches!(child.tag_name().name(), "label" | "imagelabel")
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use std::collections::BTreeSet;

    use super::*;

    /// A kind that is asked for and cannot be granted would be one.
    #[test]
    fn every_kind_can_be_granted() {
        let others = [
            "<interface type='user'/>",
            "<disk device='lun'/>",
            "<redirdev bus='usb' type='tcp'/>",
            "<smartcard mode='host'/>",
            "<seclabel type='none'/>",
            "<shmem/>",
            "<vsock/>",
            "<audio type='alsa'/>",
            "<tpm><backend type='passthrough'/></tpm>",
            "<gl/>",
            "<graphics type='sdl'/>",
            "<driver model='vfio'/>",
            "<interface type='direct'><source mode='passthrough'/></interface>",
            "<watchdog action='dump'/>",
            "<vcpusched scheduler='rr'/>",
            "<locked/>",
        ];
        // `misc`, `net` and `storage` are those of containers.
        let types = ["pci", "usb", "mdev", "scsi", "scsi_host", "misc", "net", "storage"];
        let own = types.map(|kind| format!("<hostdev type='{kind}'/>"));
        let mut found = BTreeSet::new();
        for xml in others.into_iter().map(str::to_owned).chain(own) {
            let document = roxmltree::Document::parse(&xml).unwrap();
            let kinds = document.descendants().filter(Node::is_element).filter_map(reach);
            found.extend(kinds.map(|reach| reach.kind.to_owned()));
        }
        assert_eq!(found, KINDS.map(str::to_owned).into());
    }
}
