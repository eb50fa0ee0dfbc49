//! Reading, editing and printing XML documents.
//!
//! Documents are kept as the text they came in; an edit replaces exactly the bytes of the element that
//! changes.

pub(crate) mod edit;
pub(crate) mod print;

use remotes_effect::types::Failure;
use roxmltree::{Document, Node};

/// Elements within one another, as libxml2 allows; also what keeps recursion safe.
const MAX_DEPTH: usize = 256;

/// Parses a document; `what` is libvirt's name for it, `domain_definition`.
pub(crate) fn parse<'a>(what: &str, text: &'a str) -> Result<Document<'a>, Failure> {
    remotes_effect::policy::check_encoding(text)?;
    let document =
        Document::parse(text).map_err(|error| Failure::invalid(format!("({what}): cannot be parsed: {error}")))?;
    match shallow(document.root()) {
        true => Ok(document),
        false => Err(Failure::invalid(format!("({what}): Excessive depth in document: {MAX_DEPTH}"))),
    }
}

/// Whether no element is too deep. Without recursion: it is what makes recursion safe elsewhere.
fn shallow(root: Node<'_, '_>) -> bool {
    let mut depth = 0;
    let mut next = Some(root);
    while let Some(node) = next {
        next = match node.first_child() {
            Some(child) => {
                depth += 1;
                Some(child)
            }
            None => {
                let mut node = node;
                loop {
                    match (node.next_sibling(), node.parent()) {
                        (Some(sibling), _) => break Some(sibling),
                        (None, Some(parent)) => {
                            depth -= 1;
                            node = parent;
                        }
                        (None, None) => break None,
                    }
                }
            }
        };
        if depth > MAX_DEPTH {
            return false;
        }
    }
    true
}

/// Length of the start tag at the beginning of these bytes, its `>` counted.
pub(crate) fn start_tag(source: &[u8]) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in source.iter().enumerate() {
        match (quote, byte) {
            (Some(open), byte) if *byte == open => quote = None,
            (None, b'"' | b'\'') => quote = Some(*byte),
            (None, b'>') => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// The child elements of this name, outside of any namespace.
pub(crate) fn children<'a, 'i>(
    node: Node<'a, 'i>,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'i>> + use<'a, 'i> {
    node.children().filter(move |child| {
        child.is_element() && child.tag_name().namespace().is_none() && child.tag_name().name() == name
    })
}

/// The first of them.
pub(crate) fn child<'a, 'i>(node: Node<'a, 'i>, name: &'static str) -> Option<Node<'a, 'i>> {
    children(node, name).next()
}

/// The text in an element, blanks around it left out.
pub(crate) fn text(node: Node<'_, '_>) -> String {
    let text: String = node.children().filter_map(|child| if child.is_text() { child.text() } else { None }).collect();
    text.trim().to_owned()
}

/// The text of a child element, where there is one that is not empty.
pub(crate) fn child_text(node: Node<'_, '_>, name: &'static str) -> Option<String> {
    child(node, name).map(text).filter(|text| !text.is_empty())
}

/// Text made fit to stand in an element or, in either quotes, in an attribute.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            c => out.push(c),
        }
    }
    out
}
