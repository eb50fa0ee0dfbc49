//! Metadata elements of one namespace each.

use remotes_effect::libvirt::Scope;
use remotes_effect::types::Failure;
use roxmltree::Node;

use super::Session;
use super::error::{invalid_arg, no_metadata};
use crate::xml::edit::{append, replace};
use crate::xml::print::{Change, print};
use crate::xml::{child, parse};

impl Session<'_> {
    pub fn metadata(&mut self, reference: &str, uri: &str) -> Result<String, Failure> {
        let domain = self.domain(reference)?;
        let document = parse("domain_definition", domain.xml())?;
        match element(document.root_element(), uri) {
            Some(node) => Ok(print(node, Change::Strip(uri))),
            None => Err(no_metadata("Requested metadata element is not present")),
        }
    }

    pub fn set_metadata(
        &mut self,
        reference: &str,
        uri: &str,
        key: &str,
        xml: &str,
        scope: Scope,
    ) -> Result<(), Failure> {
        if uri.is_empty() {
            return Err(invalid_arg("uri in virDomainSetMetadata must not be empty"));
        }
        if !is_prefix(key) {
            return Err(invalid_arg(format!("key {key:?} in virDomainSetMetadata is no prefix of a namespace")));
        }
        self.scoped(reference, scope)?;
        let document = parse("metadata_xml", xml)?;
        let new = print(document.root_element(), Change::Inject { prefix: key, uri });
        self.edit(reference, scope, |xml| {
            let document = parse("domain_definition", xml)?;
            let root = document.root_element();
            Ok(match (element(root, uri), child(root, "metadata")) {
                (Some(old), _) => replace(old, &new),
                (None, Some(metadata)) => append(metadata, &new),
                (None, None) => append(root, &format!("<metadata>{new}</metadata>")),
            }
            .apply(xml))
        })
    }
}

fn element<'a, 'i>(root: Node<'a, 'i>, uri: &str) -> Option<Node<'a, 'i>> {
    child(root, "metadata")?.children().find(|node| node.is_element() && node.tag_name().namespace() == Some(uri))
}

/// A name without a colon, of the letters that everybody uses.
fn is_prefix(key: &str) -> bool {
    key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
        && !key.to_ascii_lowercase().starts_with("xml")
}
