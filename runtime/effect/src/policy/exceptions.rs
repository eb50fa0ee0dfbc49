//! What of domain XML looks as if it reached past the virtual machine and does not: libvirt's own additions,
//! data, and text for people.

use roxmltree::Node;

/// Where libvirt keeps a domain's firmware variables when its description names no file.
const NVRAM_FOLDER: &str = "/var/lib/libvirt/qemu/nvram/";
/// The control group that libvirt puts domains into when their description names none.
const PARTITION: &str = "/machine";

/// The domain's own `<metadata>`, and no other: anywhere else the name could be a disguise.
pub(super) fn is_metadata(element: Node<'_, '_>) -> bool {
    element.tag_name().name() == "metadata"
        && element.tag_name().namespace().is_none()
        && element.parent().is_some_and(is_domain)
}

/// A domain's description, by itself or in that of a snapshot.
fn is_domain(element: Node<'_, '_>) -> bool {
    matches!(element.tag_name().name(), "domain" | "inactiveDomain")
        && element.tag_name().namespace().is_none()
        && element.ancestors().filter(Node::is_element).count() <= 2
}

/// Firmware variables of the domain that is described, at libvirt's own place for them.
pub(super) fn own_nvram(element: Node<'_, '_>, path: &str) -> bool {
    let Some(domain) = element.ancestors().find(|above| is_domain(*above)) else { return false };
    let name = domain.children().find(|child| child.has_tag_name("name")).map(own_text).unwrap_or_default();
    let file = path.strip_prefix(NVRAM_FOLDER).and_then(|file| file.strip_prefix(name.as_str()));
    !name.is_empty() && !name.contains('/') && matches!(file, Some("_VARS.fd" | "_VARS.qcow2"))
}

/// The control group that every domain is in.
pub(super) fn own_partition(element: Node<'_, '_>, group: &str) -> bool {
    let resource = element.parent().filter(|_| group == PARTITION);
    resource.is_some_and(|above| above.tag_name().name() == "resource" && above.parent().is_some_and(is_domain))
}

/// Elements whose text is for people, or data that happens to begin like a path.
pub(super) fn is_prose(element: Node<'_, '_>) -> bool {
    let above = |parent: &str, child: Node<'_, '_>| {
        child.ancestors().skip(1).any(|node| node.tag_name().name() == parent && node.parent().is_some_and(is_domain))
    };
    match element.tag_name().name() {
        "title" | "description" | "name" => true,
        "dhCert" | "session" | "idBlock" | "idAuth" | "hostData" => above("launchSecurity", element),
        "entry" => above("sysinfo", element),
        _ => false,
    }
}

/// The text of an element, without that of others in it.
pub(super) fn own_text(element: Node<'_, '_>) -> String {
    let text: String = element.children().filter(Node::is_text).filter_map(|child| child.text()).collect();
    text.trim().to_owned()
}

/// The text of an element and all that is in it.
pub(super) fn all_text(element: Node<'_, '_>) -> String {
    let text: String = element.descendants().filter(Node::is_text).filter_map(|node| node.text()).collect();
    text.trim().to_owned()
}
