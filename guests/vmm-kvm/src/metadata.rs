//! What oned notes in a domain's metadata: above all the folder that the machine is in.

use remotes_sdk::libvirt::{self, Scope};
use remotes_sdk::xml::{Document, escape};
use remotes_sdk::{Failure, FailureKind, Node, clean, settings};

/// oned's namespace.
pub const URI: &str = "http://opennebula.org/xmlns/libvirt/1.0";

/// The element of oned's namespace, as libvirt hands it out: without a prefix.
pub struct Metadata {
    uri: String,
    key: String,
    xml: String,
}

impl Metadata {
    /// Those of a running domain; none where it has none.
    pub fn of(on: &Node, id: &str) -> Result<Option<Self>, Failure> {
        let uri = settings::text_or("LIBVIRT_MD_URI", URI)?;
        let key = settings::text_or("LIBVIRT_MD_KEY", "one")?;
        match libvirt::metadata(on, id, &uri) {
            Ok(xml) => Ok(Some(Self { uri, key, xml })),
            Err(failure) if failure.kind == FailureKind::NotFound => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// The machine's folder.
    pub fn folder(&self) -> Option<String> {
        let document = Document::parse(&self.xml).ok()?;
        document.text("system_datastore").map(|folder| folder.trim().to_owned()).filter(|folder| !folder.is_empty())
    }

    /// Whether they name this folder, or none.
    pub fn names(&self, folder: &str) -> bool {
        self.folder().is_none_or(|named| clean(&named) == folder)
    }

    /// The same with another folder.
    pub fn naming(&self, folder: &str) -> Result<Self, Failure> {
        let document = Document::parse(&self.xml)?;
        let mut xml = self.xml.clone();
        if let Some(element) = document.first("system_datastore") {
            let range = element.range();
            let text = &self.xml[range.clone()];
            // Of the element's own tags, whatever prefix they have.
            if let (Some(start), Some(end)) = (text.find('>'), text.rfind("</")) {
                xml.replace_range(range.start + start + 1..range.start + end, &escape(folder));
            }
        }
        Ok(Self { uri: self.uri.clone(), key: self.key.clone(), xml })
    }

    /// Gives them to the running domain.
    pub fn set(&self, on: &Node, id: &str) -> Result<(), Failure> {
        libvirt::set_metadata(on, id, &self.uri, &self.key, &self.xml, Scope::Live)
    }
}
