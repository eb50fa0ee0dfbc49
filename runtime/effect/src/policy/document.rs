//! What a policy reads out of domain XML. It must read what libvirt reads: wherever the two parsers
//! could differ, the document is refused.

use roxmltree::Document;

use crate::types::Failure;

/// Bytes of a domain's description. oned writes some thousands.
const LONGEST: usize = 1024 * 1024;
/// Attributes of one element.
const MOST_ATTRIBUTES: usize = 200;
/// Declarations of namespaces in the whole document.
const MOST_NAMESPACES: usize = 64;

/// The name of the domain that the document describes; exactly one must be there.
pub fn domain_name(xml: &str) -> Result<String, Failure> {
    name_in(&parse("domain XML", xml)?)
}

/// A driver's document, `what` in messages.
pub(super) fn parse<'a>(what: &str, xml: &'a str) -> Result<Document<'a>, Failure> {
    check_encoding(xml)?;
    check_effort(xml)?;
    // No DTD, hence no entities of one's own: the parser refuses them.
    Document::parse(xml).map_err(|error| Failure::invalid(format!("{what} cannot be parsed: {error}")))
}

/// The name of the domain in a parsed document.
pub(super) fn name_in(document: &Document<'_>) -> Result<String, Failure> {
    let root = document.root_element();
    let mut names = root.children().filter(|node| node.tag_name().name() == "name");
    match (root.tag_name().name(), names.next(), names.next()) {
        // Comments and elements inside would be text to the one and none to the other; surrounding
        // blanks are part of the name to libvirt.
        ("domain", Some(name), None) if name.children().all(|child| child.is_text()) => {
            Ok(name.children().filter_map(|child| child.text()).collect())
        }
        ("domain", ..) => Err(Failure::invalid("domain XML: expected exactly one <name>, and plain text in it")),
        (other, ..) => Err(Failure::invalid(format!("domain XML: expected <domain>, found <{other}>"))),
    }
}

/// Refuses a document that would keep the parser busy for minutes: its work grows with the square of an
/// element's attributes, and with namespaces times elements.
fn check_effort(xml: &str) -> Result<(), Failure> {
    // No `<` is within a tag: between two of them there is at most one, with at most so many attributes.
    let attributes = xml.split('<').map(|piece| piece.bytes().filter(|byte| *byte == b'=').count()).max();
    let problem = match () {
        () if xml.len() > LONGEST => format!("more than {} KiB", LONGEST / 1024),
        () if attributes > Some(MOST_ATTRIBUTES) => format!("more than {MOST_ATTRIBUTES} attributes in one element"),
        () if xml.matches("xmlns").count() > MOST_NAMESPACES => format!("more than {MOST_NAMESPACES} namespaces"),
        () => return Ok(()),
    };
    Err(Failure::invalid(format!("XML: {problem}")))
}

/// Refuses a document that declares another encoding than the UTF-8 it is in. libxml2 would believe the
/// declaration: what is a comment here could be an element there.
pub fn check_encoding(xml: &str) -> Result<(), Failure> {
    let text = xml.strip_prefix('\u{feff}').unwrap_or(xml);
    let Some(declaration) = text.strip_prefix("<?xml") else { return Ok(()) };
    let declaration = declaration.split("?>").next().unwrap_or_default();
    // Split at quotes, a name is followed by its value however the quotes are nested.
    let pieces: Vec<&str> = declaration.split(['"', '\'']).collect();
    let others = pieces.iter().enumerate().filter(|(_, piece)| piece.contains("encoding")).any(|(index, _)| {
        !pieces
            .get(index + 1)
            .is_some_and(|value| ["utf-8", "us-ascii"].iter().any(|it| value.eq_ignore_ascii_case(it)))
    });
    if others { Err(Failure::invalid("XML declares an encoding other than UTF-8")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::types::FailureKind;

    #[test]
    fn reads_the_name_that_libvirt_reads() {
        for (xml, name) in [
            ("<domain><name>one-5</name></domain>", "one-5"),
            ("<?xml version='1.0' encoding='utf-8'?><domain><name><![CDATA[one-5]]></name></domain>", "one-5"),
            ("<domain><name> one-5</name></domain>", " one-5"),
            ("<domain><name>o&#110;e-5</name></domain>", "one-5"),
        ] {
            assert_eq!(domain_name(xml).unwrap(), name, "{xml}");
        }
    }

    #[test]
    fn refuses_what_parsers_read_differently() {
        for xml in [
            "<domain><name><!--one-->-5</name></domain>",
            "<domain><name>one-5<b>x</b></name></domain>",
            "<domain><name>one-<?x y?>5</name></domain>",
            "<domain><name>one-5</name><name>other</name></domain>",
            "<domain><name>one-5</name><x:name xmlns:x='y'>other</x:name></domain>",
            "<!DOCTYPE d [<!ENTITY e 'x'>]><domain><name>one-5&e;</name></domain>",
            "<domain/>",
            "<network><name>one-5</name></network>",
            "<?xml version='1.0' encoding='UTF-7'?><domain><name>one-5</name></domain>",
            "\u{feff}<?xml version='1.0' encoding='UTF-7'?><domain><name>one-5</name></domain>",
            "<?xml version=\"1.0'\" encoding=\"UTF-7\"?><domain><name>one-5</name></domain>",
            "<?xml version='1.0' encoding = 'utf-8' encoding='utf-7'?><domain><name>one-5</name></domain>",
            "",
        ] {
            assert_eq!(domain_name(xml).unwrap_err().kind, FailureKind::Invalid, "{xml}");
        }
    }
}
