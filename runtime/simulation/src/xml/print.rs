//! Printing an element with one namespace put in or taken out, as libvirt does with metadata.

use roxmltree::Node;

use super::escaped;

/// What happens to a namespace.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Change<'a> {
    /// Elements in it are printed as if they were in none.
    Strip(&'a str),
    /// Elements in none are printed with this prefix, which is declared on the outermost one.
    Inject { prefix: &'a str, uri: &'a str },
}

/// The element and all in it. Comments and instructions are left out.
pub(crate) fn print(node: Node<'_, '_>, change: Change<'_>) -> String {
    let mut out = String::new();
    element(node, change, true, &mut out);
    out
}

fn element(node: Node<'_, '_>, change: Change<'_>, outermost: bool, out: &mut String) {
    let name = qualified(node, change);
    out.push('<');
    out.push_str(&name);
    declarations(node, change, outermost, out);
    for attribute in node.attributes() {
        let prefix = attribute.namespace().and_then(|uri| prefix_of(node, uri));
        let name = match prefix {
            Some(prefix) => format!("{prefix}:{}", attribute.name()),
            None => attribute.name().to_owned(),
        };
        out.push_str(&format!(" {name}=\"{}\"", escaped(attribute.value())));
    }
    if !node.has_children() {
        out.push_str("/>");
        return;
    }
    out.push('>');
    for child in node.children() {
        if child.is_element() {
            element(child, change, false, out);
        } else if child.is_text() {
            out.push_str(&escaped(child.text().unwrap_or_default()));
        }
    }
    out.push_str(&format!("</{name}>"));
}

fn qualified(node: Node<'_, '_>, change: Change<'_>) -> String {
    let tag = node.tag_name();
    let prefix = match (tag.namespace(), change) {
        (Some(uri), Change::Strip(stripped)) if uri == stripped => None,
        (Some(uri), _) => prefix_of(node, uri),
        (None, Change::Inject { prefix, .. }) => Some(prefix),
        (None, Change::Strip(_)) => None,
    };
    match prefix {
        Some(prefix) => format!("{prefix}:{}", tag.name()),
        None => tag.name().to_owned(),
    }
}

fn prefix_of<'i>(node: Node<'_, 'i>, uri: &str) -> Option<&'i str> {
    match uri {
        "http://www.w3.org/XML/1998/namespace" => Some("xml"),
        uri => node.lookup_prefix(uri),
    }
}

/// Namespaces that come into scope here; on the outermost element, which stands alone now, all that are
/// used in it.
fn declarations(node: Node<'_, '_>, change: Change<'_>, outermost: bool, out: &mut String) {
    if let (Change::Inject { prefix, uri }, true) = (change, outermost) {
        out.push_str(&format!(" xmlns:{prefix}=\"{}\"", escaped(uri)));
    }
    let parent = node.parent_element();
    for namespace in node.namespaces() {
        let inherited = !outermost
            && parent.is_some_and(|parent| {
                parent.namespaces().any(|above| above.name() == namespace.name() && above.uri() == namespace.uri())
            });
        let changed = match change {
            Change::Strip(uri) => namespace.uri() == uri,
            Change::Inject { prefix, .. } => outermost && namespace.name() == Some(prefix),
        };
        if inherited || changed || !used(node, namespace.uri()) || namespace.name() == Some("xml") {
            continue;
        }
        let uri = escaped(namespace.uri());
        match namespace.name() {
            Some(prefix) => out.push_str(&format!(" xmlns:{prefix}=\"{uri}\"")),
            None => out.push_str(&format!(" xmlns=\"{uri}\"")),
        }
    }
}

fn used(node: Node<'_, '_>, uri: &str) -> bool {
    node.descendants().filter(Node::is_element).any(|element| {
        element.tag_name().namespace() == Some(uri) || element.attributes().any(|it| it.namespace() == Some(uri))
    })
}
