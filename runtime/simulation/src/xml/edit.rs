//! Changing one element of a document's text.

use roxmltree::Node;

use super::{escaped, start_tag};

/// One replacement of a range of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edit {
    start: usize,
    end: usize,
    with: String,
}

impl Edit {
    /// Carries it out.
    pub fn apply(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len() + self.with.len());
        out.push_str(&text[..self.start]);
        out.push_str(&self.with);
        out.push_str(&text[self.end..]);
        out
    }
}

/// The source of an element.
pub(crate) fn source<'i>(node: Node<'_, 'i>) -> &'i str {
    &node.document().input_text()[node.range()]
}

/// Puts something else in an element's place.
pub(crate) fn replace(node: Node<'_, '_>, with: &str) -> Edit {
    let range = node.range();
    Edit { start: range.start, end: range.end, with: with.to_owned() }
}

/// Takes an element out.
pub(crate) fn remove(node: Node<'_, '_>) -> Edit {
    replace(node, "")
}

/// Puts something behind an element.
pub(crate) fn after(node: Node<'_, '_>, with: &str) -> Edit {
    let end = node.range().end;
    Edit { start: end, end, with: with.to_owned() }
}

/// Puts something into an element, behind all that is in it.
pub(crate) fn append(node: Node<'_, '_>, with: &str) -> Edit {
    let (range, source) = (node.range(), source(node));
    match source.strip_suffix("/>") {
        Some(tag) if !node.has_children() => {
            let with = format!(">{with}</{}>", tag_name(source));
            Edit { start: range.start + tag.len(), end: range.end, with }
        }
        _ => {
            let at = range.start + source.rfind("</").unwrap_or(source.len());
            Edit { start: at, end: at, with: with.to_owned() }
        }
    }
}

/// Gives an element this text alone.
pub(crate) fn set_text(node: Node<'_, '_>, content: &str) -> Edit {
    let (range, source) = (node.range(), source(node));
    let start = start_tag(source.as_bytes()).unwrap_or(source.len());
    match (source[..start].strip_suffix("/>"), source.rfind("</")) {
        (None, Some(end)) if end >= start => {
            Edit { start: range.start + start, end: range.start + end, with: escaped(content) }
        }
        (tag, _) => {
            let tag = tag.unwrap_or(&source[..start]);
            let with = format!("{tag}>{}</{}>", escaped(content), tag_name(source));
            Edit { start: range.start, end: range.end, with }
        }
    }
}

/// Gives an element an attribute.
pub(crate) fn set_attribute(node: Node<'_, '_>, name: &str, value: &str) -> Edit {
    match node.attribute_node(name) {
        Some(attribute) => {
            let range = attribute.range();
            Edit { start: range.start, end: range.end, with: format!("{name}='{}'", escaped(value)) }
        }
        None => {
            let at = node.range().start + 1 + tag_name(source(node)).len();
            Edit { start: at, end: at, with: format!(" {name}='{}'", escaped(value)) }
        }
    }
}

/// The name in a start tag, prefix included.
fn tag_name(source: &str) -> &str {
    let rest = source.strip_prefix('<').unwrap_or(source);
    let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '/' | '>')).unwrap_or(rest.len());
    &rest[..end]
}
