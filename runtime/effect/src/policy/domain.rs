//! What a description of a domain, a device or a snapshot would have the hypervisor touch.
//!
//! libvirtd acts with its own rights, so that a driver's document is an effect too: every file, device
//! and program it names must be granted. The rule does not follow libvirt's schema, which grows: whatever
//! looks like a path is one, wherever it stands, and elements that reach past the virtual machine are
//! known by their local name in any namespace. `<metadata>`, which libvirt only keeps, is left alone.
//!
//! Relative paths are denied: the hypervisor's working directory is the root folder.

use roxmltree::{Document, Node};

use super::amounts::check_amounts;
use super::document::{name_in, parse};
use super::exceptions::{all_text, is_metadata, is_prose, own_nvram, own_partition, own_text};
use super::pattern::{any, listed};
use super::reach::{attribute, reach};
use super::{Access, LibvirtGrant, PathGrants};
use crate::types::Failure;

/// Namespaces of libvirt whose elements pass options to the emulator unseen.
const EMULATOR_NAMESPACES: &str = "http://libvirt.org/schemas/domain/";
/// Attributes that are paths, whether or not they look so.
const PATHS: [&str; 12] =
    ["file", "dir", "path", "socket", "evdev", "keyfile", "rendernode", "logFile", "xauth", "template", "tap", "vhost"];
/// Attributes that may hold a slash and are no paths: names of storage, of firmware settings, networks.
const NO_PATHS: [&str; 6] = ["name", "query", "value", "address", "serverName", "timezone"];
/// Elements whose text is a path, whether or not it looks so.
const PATH_ELEMENTS: [&str; 13] = [
    "kernel", "initrd", "dtb", "loader", "nvram", "table", "shim", "path", "block", "char", "database", "initdir",
    "backend",
];
/// Devices that every guest may have.
const COMMON_DEVICES: [&str; 2] = ["/dev/urandom", "/dev/random"];

/// A granted file that a description names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedFile {
    /// its path
    pub path: String,
    /// what the guest may do with it
    pub access: Access,
    /// of an image, the format that it is said to have; without one libvirt takes it for raw
    pub format: Option<String>,
}

/// The images that a description of libvirt's own names, granted or not: the rest of it is not the driver's, and
/// has sockets and consoles that libvirt made.
pub fn named_images(xml: &str) -> Result<Vec<NamedFile>, Failure> {
    let document = Document::parse(xml).map_err(|error| Failure::invalid(format!("XML cannot be parsed: {error}")))?;
    let image = |node: Node<'_, '_>| {
        let holder = node.parent().map(|above| above.tag_name().name());
        let path = match node.tag_name().name() {
            "source" if matches!(holder, Some("disk" | "backingStore" | "mirror" | "nvram")) => {
                attribute(node, "file").or(attribute(node, "dev"))?.to_owned()
            }
            "nvram" | "loader" => own_text(node),
            _ => return None,
        };
        let named = NamedFile { path, access: wanted(node), format: format(node, "file") };
        Some(named).filter(|file| file.path.starts_with('/'))
    };
    Ok(document.descendants().filter(Node::is_element).filter_map(image).collect())
}

/// Checks a description of a whole domain: its name and all that it names. Returns the files, whose paths
/// are granted; where these lead is for the one to see who can look.
pub fn check_domain_document(grant: &LibvirtGrant, paths: &PathGrants, xml: &str) -> Result<Vec<NamedFile>, Failure> {
    let document = parse("domain XML", xml)?;
    grant.check_domain(&name_in(&document)?)?;
    check_parsed(grant, paths, &document)
}

/// Checks a description of a device or a snapshot: all that it names. Returns the files as
/// [`check_domain_document`] does.
pub fn check_document(grant: &LibvirtGrant, paths: &PathGrants, xml: &str) -> Result<Vec<NamedFile>, Failure> {
    check_parsed(grant, paths, &parse("XML", xml)?)
}

fn check_parsed(grant: &LibvirtGrant, paths: &PathGrants, document: &Document<'_>) -> Result<Vec<NamedFile>, Failure> {
    let mut checker = Checker { grant, paths, files: Vec::new() };
    let mut pending = vec![document.root_element()];
    while let Some(element) = pending.pop() {
        if is_metadata(element) {
            continue;
        }
        checker.element(element)?;
        pending.extend(element.children().filter(Node::is_element));
    }
    Ok(checker.files)
}

struct Checker<'a> {
    grant: &'a LibvirtGrant,
    paths: &'a PathGrants,
    files: Vec<NamedFile>,
}

impl Checker<'_> {
    fn element(&mut self, element: Node<'_, '_>) -> Result<(), Failure> {
        check_namespace(element)?;
        check_attributes(element)?;
        check_children(element)?;
        check_amounts(element)?;
        let name = element.tag_name().name();
        if element.tag_name().namespace().is_some_and(|namespace| namespace.starts_with(EMULATOR_NAMESPACES))
            && !self.grant.emulator_options
        {
            return Err(denied(element, "options passed to the emulator", "emulator-options = true"));
        }
        if let Some(reach) = reach(element)
            && !self.grant.host_devices.iter().any(|granted| granted == reach.kind)
        {
            let grant = format!("{:?} in host-devices", reach.kind);
            return Err(denied(element, &format!("{} ({})", reach.what, reach.kind), &grant));
        }
        match name {
            "emulator" | "bootloader" | "init" => return self.program(element, &all_text(element)),
            "binary" | "script" | "downscript" => {
                return attribute(element, "path").map_or(Ok(()), |path| self.program(element, path));
            }
            "source" => self.storage(element)?,
            _ => {}
        }
        for attribute in element.attributes() {
            self.attribute(element, attribute.name(), attribute.value())?;
        }
        match PATH_ELEMENTS.contains(&name) {
            // libvirt takes the text of all that is within.
            true => self.path_text(element, &all_text(element)),
            false => {
                let text = own_text(element);
                if text.starts_with('/') && !is_prose(element) { self.path_text(element, &text) } else { Ok(()) }
            }
        }
    }

    fn attribute(&mut self, element: Node<'_, '_>, name: &str, value: &str) -> Result<(), Failure> {
        let element_name = element.tag_name().name();
        let absolute = value.starts_with('/');
        // Users choose them, and they stand for nothing else.
        if matches!((element_name, name), ("graphics", "passwd") | ("secret", "usage") | ("auth", "username")) {
            return Ok(());
        }
        let known = match name {
            // Of a file system's target it is the name that the guest mounts it by.
            "dir" => element_name != "target",
            // Of an interface it is the name of a link, mostly.
            "dev" => element_name == "source" && !is_link_of_interface(element),
            name => PATHS.contains(&name),
        };
        let label = name == "dir" && element_name == "target";
        let climbs = name == "name" && element_name == "target" && value.contains('/');
        if climbs {
            // libvirt makes a file's name of it.
            return Err(Failure::denied(format!("<target name={value:?}>: a name with slashes")));
        }
        // Of an unknown attribute with a slash in it, it is not known that it is none.
        let suspect = value.contains('/') && !NO_PATHS.contains(&name) && !label;
        if !absolute && !value.is_empty() && (known || suspect) {
            return Err(Failure::denied(format!("<{element_name} {name}={value:?}>: expected an absolute path")));
        }
        match absolute {
            true => {
                // The template of firmware variables is copied, the variables themselves are written.
                let template = element_name == "nvram" && name == "template";
                let access = if template { Access::ReadOnly } else { wanted(element) };
                self.path(element, value, access, format(element, name))
            }
            false => Ok(()),
        }
    }

    fn path_text(&mut self, element: Node<'_, '_>, text: &str) -> Result<(), Failure> {
        let name = element.tag_name().name();
        let own = || match name {
            "nvram" => own_nvram(element, text),
            "partition" => own_partition(element, text),
            _ => false,
        };
        match text {
            "" => Ok(()),
            _ if !text.starts_with('/') => {
                Err(Failure::denied(format!("<{name}> {text:?}: expected an absolute path")))
            }
            _ if own() => Ok(()),
            _ => self.path(element, text, wanted(element), format(element, "")),
        }
    }

    /// Storage that is no path: reached by network, or known to the hypervisor's pools only.
    fn storage(&self, element: Node<'_, '_>) -> Result<(), Failure> {
        let protocol = attribute(element, "pool").map_or(attribute(element, "protocol"), |_| Some("volume"));
        let Some(protocol) = protocol else { return Ok(()) };
        // Whoever serves an image of another format names files of this host in its header.
        let format = format(element, "").filter(|format| format != "raw");
        let wanted = format.map_or_else(|| protocol.to_owned(), |format| format!("{protocol}+{format}"));
        match self.grant.network_storage.contains(&wanted) {
            true => Ok(()),
            false => Err(denied(element, &format!("storage by {wanted}"), &format!("{wanted:?} in network-storage"))),
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

    fn path(
        &mut self,
        element: Node<'_, '_>,
        path: &str,
        wanted: Access,
        format: Option<String>,
    ) -> Result<(), Failure> {
        if COMMON_DEVICES.contains(&path) {
            return Ok(());
        }
        self.paths.lend(path, wanted).map_err(|failure| Failure {
            message: format!("<{}>: {}", element.tag_name().name(), failure.message),
            ..failure
        })?;
        self.files.push(NamedFile { path: path.to_owned(), access: wanted, format });
        Ok(())
    }
}

/// The format that the image is said to have which an element names by this attribute, or by its text. A disk's
/// driver says it, of what is behind it the element `format`, of firmware an attribute.
fn format(element: Node<'_, '_>, by: &str) -> Option<String> {
    let own = |element| {
        let template = if by == "template" { attribute(element, "templateFormat") } else { None };
        template.or(attribute(element, "format"))
    };
    let told = match element.parent().filter(|_| element.tag_name().name() == "source") {
        None => own(element),
        Some(above) => {
            let wanted = if above.tag_name().name() == "disk" { "driver" } else { "format" };
            let told = above.children().find(|child| child.tag_name().name() == wanted);
            // A new file for a snapshot is one that has another behind it.
            let new = above.parent().is_some_and(|above| above.tag_name().name() == "disks").then_some("qcow2");
            told.and_then(|told| attribute(told, "type")).or(own(above)).or(new)
        }
    };
    told.map(str::to_owned)
}

/// What a guest writes to must be granted for writing: all but the source of a disk or file system that
/// is read-only, images that others are based on, and what a guest is started from.
fn wanted(element: Node<'_, '_>) -> Access {
    let plain = |node: &Node<'_, '_>, names: &[&str]| {
        node.tag_name().namespace().is_none() && names.contains(&node.tag_name().name())
    };
    let read = element.ancestors().any(|above| {
        plain(&above, &["kernel", "initrd", "dtb", "backingStore"]) || plain(&above, &["loader"]) && !is_flash(above)
    });
    // Its own disk: a `<readonly/>` further out says nothing, nor does one of a disk that is only named for its
    // snapshot.
    let storage = element.ancestors().find(|above| plain(above, &["disk", "filesystem"]));
    let is_device = |storage: &Node<'_, '_>| storage.parent_element().is_none_or(|above| plain(&above, &["devices"]));
    let says = |storage: Node<'_, '_>| storage.children().any(|child| plain(&child, &["readonly"]));
    let read_only = storage.filter(is_device).is_some_and(says);
    if read || read_only { Access::ReadOnly } else { Access::ReadWrite }
}

/// Whether firmware lies in a memory that the guest can write.
fn is_flash(loader: Node<'_, '_>) -> bool {
    attribute(loader, "type") == Some("pflash") && attribute(loader, "readonly") != Some("yes")
}

/// Refuses elements that are neither libvirt's nor an emulator's: libvirt takes some of them for its own, and not
/// everywhere the same.
fn check_namespace(element: Node<'_, '_>) -> Result<(), Failure> {
    match element.tag_name().namespace() {
        Some(namespace) if !namespace.starts_with(EMULATOR_NAMESPACES) => Err(Failure::invalid(format!(
            "<{}>: is in the namespace {namespace:?}, which means nothing to libvirt outside of <metadata>",
            element.tag_name().name()
        ))),
        _ => Ok(()),
    }
}

/// Refuses what says twice what storage is: which of them libvirt takes is not known.
fn check_children(element: Node<'_, '_>) -> Result<(), Failure> {
    const STORAGE: [&str; 5] = ["disk", "filesystem", "backingStore", "mirror", "nvram"];
    if !STORAGE.contains(&element.tag_name().name()) {
        return Ok(());
    }
    let mut names: Vec<&str> =
        element.children().filter(Node::is_element).map(|child| child.tag_name().name()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Failure::invalid(format!("<{}>: two elements named {}", element.tag_name().name(), pair[0]))),
        None => Ok(()),
    }
}

/// Refuses attributes that libvirt, which does not look at their namespaces, could take for one another.
fn check_attributes(element: Node<'_, '_>) -> Result<(), Failure> {
    let mut names: Vec<&str> = element.attributes().map(|attribute| attribute.name()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => {
            Err(Failure::invalid(format!("<{}>: two attributes named {}", element.tag_name().name(), pair[0])))
        }
        None => Ok(()),
    }
}

/// Whether the `<source>` is an interface's, whose `dev` is a link or a port; a vDPA device is a file.
fn is_link_of_interface(source: Node<'_, '_>) -> bool {
    source.parent().is_some_and(|parent| {
        parent.tag_name().name() == "interface" && attribute(parent, "type").is_some_and(|kind| kind != "vdpa")
    })
}

fn denied(element: Node<'_, '_>, what: &str, grant: &str) -> Failure {
    Failure::denied(format!(
        "<{}>: {what}; `{grant}` under [libvirt] in the driver's policy would allow it",
        element.tag_name().name()
    ))
}
