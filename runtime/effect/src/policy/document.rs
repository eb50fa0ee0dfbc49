//! What a policy reads out of domain XML.

use crate::types::Failure;

/// The name of the domain that the document describes; exactly one must be there.
pub fn domain_name(xml: &str) -> Result<String, Failure> {
    // No DTD, hence no entities of one's own: the parser refuses them.
    let document = roxmltree::Document::parse(xml)
        .map_err(|error| Failure::invalid(format!("domain XML cannot be parsed: {error}")))?;
    let root = document.root_element();
    let mut names = root.children().filter(|node| node.tag_name().name() == "name");
    match (root.tag_name().name(), names.next(), names.next()) {
        ("domain", Some(name), None) => {
            let text: String = name.children().filter_map(|child| child.text()).collect();
            Ok(text.trim().to_owned())
        }
        ("domain", ..) => Err(Failure::invalid("domain XML: expected exactly one <name>")),
        (other, ..) => Err(Failure::invalid(format!("domain XML: expected <domain>, found <{other}>"))),
    }
}
