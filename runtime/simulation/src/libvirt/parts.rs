//! The devices in a description, and what its disks are.

use roxmltree::{Document, Node};

use crate::xml::{child, children};

/// One disk of a description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Disk {
    pub target: String,
    /// file or block device
    pub source: Option<String>,
    /// `disk`, `cdrom` …
    pub device: String,
    pub format: String,
    pub read_only: bool,
    /// `none`, `writeback` …
    pub cache: Option<String>,
}

/// Everything in the `<devices>` of a description; oned writes two of them.
pub(super) fn devices<'a, 'i>(root: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    children(root, "devices").flat_map(|devices| devices.children().filter(Node::is_element))
}

/// The disks of a description.
pub(super) fn disks(root: Node<'_, '_>) -> Vec<Disk> {
    devices(root).filter(|node| node.has_tag_name("disk")).map(disk).collect()
}

/// How many disks a description has; none where it cannot be read.
pub(crate) fn count_disks(xml: &str) -> usize {
    Document::parse(xml).map_or(0, |document| disks(document.root_element()).len())
}

/// The files and devices of a description's disks.
pub(crate) fn disk_files(xml: &str) -> Vec<String> {
    let disks = Document::parse(xml).map(|document| disks(document.root_element())).unwrap_or_default();
    disks.into_iter().filter_map(|disk| disk.source).collect()
}

/// What a `<disk>` says.
pub(super) fn disk(node: Node<'_, '_>) -> Disk {
    let attribute = |element, name| child(node, element).and_then(|it| it.attribute(name)).map(str::to_owned);
    Disk {
        target: attribute("target", "dev").unwrap_or_default(),
        source: attribute("source", "file").or(attribute("source", "dev")),
        device: node.attribute("device").unwrap_or("disk").to_owned(),
        format: attribute("driver", "type").unwrap_or_else(|| "raw".to_owned()),
        read_only: child(node, "readonly").is_some(),
        cache: attribute("driver", "cache"),
    }
}
