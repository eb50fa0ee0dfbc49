//! What a description of a domain, a device or a snapshot would have the hypervisor touch.
//!
//! libvirtd acts with its own rights, so that a driver's document is an effect too: every file, device
//! and program it names must be granted. The rule does not follow libvirt's schema, which grows: whatever
//! looks like a path is one, wherever it stands, and elements that reach past the virtual machine are
//! known by their local name in any namespace. `<metadata>`, which libvirt only keeps, is left alone.

use roxmltree::{Document, Node};

use super::document::{check_effort, check_encoding, check_shape, domain_name, text};
use super::pattern::{any, listed};
use super::{Access, LibvirtGrant, PathGrants};
use crate::types::Failure;

/// Namespaces of libvirt whose elements pass options to the emulator unseen.
const EMULATOR_NAMESPACES: &str = "http://libvirt.org/schemas/domain/";
/// Attributes of `<source>` that are paths, whether or not they look so.
const SOURCE_PATHS: [&str; 3] = ["file", "dir", "path"];
/// Attributes that are paths on any element. A relative one would be looked for from the folder that the
/// hypervisor's daemon happens to be in, which is the root folder.
const PATHS: [&str; 8] = ["file", "dir", "path", "dev", "socket", "evdev", "rendernode", "template"];
/// Elements whose text is a path.
const PATH_TEXTS: [&str; 9] = ["kernel", "initrd", "dtb", "loader", "nvram", "table", "path", "database", "backend"];
/// Devices that every guest may have.
const COMMON_DEVICES: [&str; 2] = ["/dev/urandom", "/dev/random"];

/// Checks a description of a whole domain: its name and all that it names.
pub fn check_domain_document(grant: &LibvirtGrant, paths: &PathGrants, xml: &str) -> Result<(), Failure> {
    grant.check_domain(&domain_name(xml)?)?;
    check_document(grant, paths, xml)
}

/// Checks a description of a device or a snapshot: all that it names.
pub fn check_document(grant: &LibvirtGrant, paths: &PathGrants, xml: &str) -> Result<(), Failure> {
    check_encoding(xml)?;
    check_effort(xml)?;
    let document = Document::parse(xml).map_err(|error| Failure::invalid(format!("XML cannot be parsed: {error}")))?;
    let checker = Checker { grant, paths };
    let mut pending = vec![document.root_element()];
    while let Some(element) = pending.pop() {
        if is_metadata(element) {
            continue;
        }
        checker.element(element)?;
        pending.extend(element.children().filter(Node::is_element));
    }
    Ok(())
}

/// The domain's own `<metadata>`, and no other: anywhere else the name could be a disguise.
fn is_metadata(element: Node<'_, '_>) -> bool {
    element.tag_name().name() == "metadata"
        && element.tag_name().namespace().is_none()
        && element
            .parent()
            .is_some_and(|parent| parent.tag_name().name() == "domain" && parent.tag_name().namespace().is_none())
}

struct Checker<'a> {
    grant: &'a LibvirtGrant,
    paths: &'a PathGrants,
}

impl Checker<'_> {
    fn element(&self, element: Node<'_, '_>) -> Result<(), Failure> {
        check_shape(element)?;
        let name = element.tag_name().name();
        if element.tag_name().namespace().is_some_and(|namespace| namespace.starts_with(EMULATOR_NAMESPACES))
            && !self.grant.emulator_options
        {
            return Err(denied(element, "options passed to the emulator", "emulator-options = true"));
        }
        match name {
            "hostdev" => self.host_device(element, element.attribute("type").unwrap_or("none"))?,
            "interface" if element.attribute("type") == Some("hostdev") => self.host_device(element, "pci")?,
            "redirdev" | "seclabel" if !self.grant.host_devices.iter().any(|kind| kind == name) => {
                return Err(denied(element, name, &format!("\"{name}\" in host-devices")));
            }
            "emulator" | "bootloader" | "init" => return self.program(element, &text(element)),
            "binary" | "script" | "downscript" => {
                return element.attribute("path").map_or(Ok(()), |path| self.program(element, path));
            }
            "source" => self.source(element)?,
            _ => {}
        }
        for attribute in element.attributes() {
            // Users choose it, and it stands for nothing else.
            if name == "graphics" && attribute.name() == "passwd" {
                continue;
            }
            if attribute.value().starts_with('/') {
                // The template of firmware variables is copied, the variables themselves are written.
                let template = name == "nvram" && attribute.name() == "template";
                let wanted = if template { Access::ReadOnly } else { wanted(element) };
                self.path(element, attribute.value(), wanted)?;
            } else if PATHS.contains(&attribute.name()) && attribute.value().contains('/') && name != "target" {
                return Err(relative(element, attribute.value()));
            }
        }
        let text = text(element);
        if PATH_TEXTS.contains(&name) && !text.is_empty() && !text.starts_with('/') {
            return Err(relative(element, &text));
        }
        match text.starts_with('/') && !is_prose(name) {
            true => self.path(element, &text, wanted(element)),
            false => Ok(()),
        }
    }

    /// A disk, a file system, a character device: what backs it.
    fn source(&self, element: Node<'_, '_>) -> Result<(), Failure> {
        for attribute in element.attributes() {
            // A relative path, or qemu's `json:` and `nbd:`, would mean something else to the hypervisor.
            if SOURCE_PATHS.contains(&attribute.name()) && !attribute.value().starts_with('/') {
                return Err(relative(element, attribute.value()));
            }
        }
        // A volume is a path that only the hypervisor's storage pools know.
        let protocol = element.attribute("pool").map_or(element.attribute("protocol"), |_| Some("volume"));
        match protocol {
            Some(protocol) if !self.grant.network_storage.iter().any(|granted| granted == protocol) => {
                Err(denied(element, &format!("storage by {protocol}"), &format!("{protocol:?} in network-storage")))
            }
            _ => Ok(()),
        }
    }

    fn host_device(&self, element: Node<'_, '_>, kind: &str) -> Result<(), Failure> {
        match self.grant.host_devices.iter().any(|granted| granted == kind) {
            true => Ok(()),
            false => {
                Err(denied(element, &format!("a {kind} device of the host"), &format!("{kind:?} in host-devices")))
            }
        }
    }

    /// A program that the hypervisor would run.
    fn program(&self, element: Node<'_, '_>, path: &str) -> Result<(), Failure> {
        let climbs = path.split('/').any(|part| part == "..");
        match any(&self.grant.programs, path) && !climbs {
            true => Ok(()),
            false => Err(Failure::denied(format!(
                "<{}>: the program {path:?}: granted are {}; `programs` under [libvirt] in the driver's policy would allow it",
                element.tag_name().name(),
                listed(&self.grant.programs)
            ))),
        }
    }

    fn path(&self, element: Node<'_, '_>, path: &str, wanted: Access) -> Result<(), Failure> {
        if COMMON_DEVICES.contains(&path) {
            return Ok(());
        }
        self.paths.check(path, wanted).map_err(|failure| Failure {
            message: format!("<{}>: {}", element.tag_name().name(), failure.message),
            ..failure
        })
    }
}

/// What a guest writes to must be granted for writing: all but the source of a disk or file system that
/// is read-only, images that others are based on, and what a guest is started from.
fn wanted(element: Node<'_, '_>) -> Access {
    let plain = |node: &Node<'_, '_>, names: &[&str]| {
        node.tag_name().namespace().is_none() && names.contains(&node.tag_name().name())
    };
    let read = element.ancestors().any(|above| plain(&above, &["loader", "kernel", "initrd", "dtb", "backingStore"]));
    // Its own disk: a `<readonly/>` further out says nothing.
    let storage = element.ancestors().find(|above| plain(above, &["disk", "filesystem"]));
    let read_only = storage.is_some_and(|storage| storage.children().any(|child| plain(&child, &["readonly"])));
    if read || read_only { Access::ReadOnly } else { Access::ReadWrite }
}

/// Elements whose text is for people.
fn is_prose(name: &str) -> bool {
    matches!(name, "title" | "description" | "name")
}

fn relative(element: Node<'_, '_>, path: &str) -> Failure {
    Failure::denied(format!("<{}>: {path:?}: expected an absolute path", element.tag_name().name()))
}

fn denied(element: Node<'_, '_>, what: &str, grant: &str) -> Failure {
    Failure::denied(format!(
        "<{}>: {what}; `{grant}` under [libvirt] in the driver's policy would allow it",
        element.tag_name().name()
    ))
}
