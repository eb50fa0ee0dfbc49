//! Reading.

use std::borrow::Cow;
use std::ops::Range;

use crate::Failure;

/// A parsed document. A document type declaration is refused, hence entities of one's own as well.
pub struct Document<'a>(roxmltree::Document<'a>);

/// An element of a [`Document`].
#[derive(Clone, Copy)]
pub struct Element<'d, 'a>(roxmltree::Node<'d, 'a>);

/// The text with U+FFFD in place of characters that XML does not know, such as those that move a terminal's cursor:
/// for documents that hold what users and programs have said. What an action is called with is made so already.
pub fn readable(text: &str) -> Cow<'_, str> {
    let unknown = |c: char| matches!(c, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}');
    match text.contains(unknown) {
        true => text.replace(unknown, "\u{fffd}").into(),
        false => text.into(),
    }
}

impl<'a> Document<'a> {
    /// Parses a whole document.
    pub fn parse(text: &'a str) -> Result<Self, Failure> {
        roxmltree::Document::parse(text)
            .map(Self)
            .map_err(|error| Failure::invalid(format!("the XML document cannot be parsed: {error}")))
    }

    /// The outermost element.
    pub fn root(&self) -> Element<'_, 'a> {
        Element(self.0.root_element())
    }

    /// As [`Element::text`], from the outermost element.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.first(path)?.value()
    }

    /// As [`Element::first`], from the outermost element.
    pub fn first(&self, path: &str) -> Option<Element<'_, 'a>> {
        self.root().first(path)
    }

    /// As [`Element::elements`], from the outermost element.
    pub fn elements(&self, path: &str) -> Vec<Element<'_, 'a>> {
        self.root().elements(path)
    }

    /// All elements of a name, wherever they are.
    pub fn descendants(&self, name: &str) -> impl Iterator<Item = Element<'_, 'a>> {
        self.0.descendants().filter(move |node| node.tag_name().name() == name).map(Element)
    }
}

impl<'d, 'a> Element<'d, 'a> {
    /// The name, without a prefix.
    pub fn name(self) -> &'d str {
        self.0.tag_name().name()
    }

    /// The URI of the namespace that it is in; none where it is in none.
    pub fn namespace(self) -> Option<&'d str> {
        self.0.tag_name().namespace()
    }

    /// The element's text (CDATA included) up to its first child element; none where there is none.
    pub fn value(self) -> Option<&'d str> {
        self.0.text().filter(|text| !text.is_empty())
    }

    /// The text of the first element at a path such as `TEMPLATE/DISK/SOURCE`. As with OpenNebula's
    /// `xpath.rb`, what counts is the first match, also when a later one has text.
    pub fn text(self, path: &str) -> Option<&'d str> {
        self.first(path)?.value()
    }

    /// The first element at a path.
    pub fn first(self, path: &str) -> Option<Self> {
        self.elements(path).first().copied()
    }

    /// All elements at a path of names, in the order of the document. Prefixes do not count.
    pub fn elements(self, path: &str) -> Vec<Self> {
        path.split('/').fold(vec![self], |found, name| {
            let children = found.iter().flat_map(|element| element.0.children());
            children.filter(|node| node.tag_name().name() == name).map(Self).collect()
        })
    }

    /// The elements inside, in the order of the document.
    pub fn children(self) -> impl Iterator<Item = Self> {
        self.0.children().filter(|node| node.is_element()).map(Self)
    }

    /// An attribute's value.
    pub fn attribute(self, name: &str) -> Option<&'d str> {
        self.0.attribute(name)
    }

    /// Where an attribute's value stands in the document, without its quotes: for replacing it there.
    pub fn attribute_range(self, name: &str) -> Option<Range<usize>> {
        self.0.attribute_node(name).map(|attribute| attribute.range_value())
    }

    /// Where the element stands in the document, its tags included.
    pub fn range(self) -> Range<usize> {
        self.0.range()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    const VM: &str = "<VM><ID>5</ID><TEMPLATE><NIC><MAC>02:00</MAC></NIC><NIC><MAC>03:00</MAC><IP><![CDATA[a&b]]></IP></NIC>\
        <EMPTY><![CDATA[]]></EMPTY><DISK><SOURCE/></DISK><DISK><SOURCE>x</SOURCE></DISK></TEMPLATE></VM>";

    #[test]
    fn a_path_finds_the_first_match() {
        let document = Document::parse(VM).unwrap();
        for (path, text) in [
            ("ID", Some("5")),
            ("TEMPLATE/NIC/MAC", Some("02:00")),
            ("TEMPLATE/NIC/IP", Some("a&b")),
            ("TEMPLATE/EMPTY", None),
            ("TEMPLATE/DISK/SOURCE", None),
            ("TEMPLATE/NONE", None),
            ("", None),
        ] {
            assert_eq!(document.text(path), text, "{path}");
        }
        assert_eq!(document.elements("TEMPLATE/NIC").len(), 2);
        assert_eq!(document.elements("TEMPLATE/NIC/MAC").len(), 2);
    }

    #[test]
    fn prefixes_do_not_count() {
        let xml = "<domain><metadata><one:vm xmlns:one='u'><one:system_datastore><![CDATA[/d]]></one:system_datastore></one:vm></metadata></domain>";
        assert_eq!(Document::parse(xml).unwrap().text("metadata/vm/system_datastore"), Some("/d"));
    }

    #[test]
    fn ranges_point_into_the_text() {
        let xml = "<domain>\n<disk><source file = '/a/disk.0'/></disk><uuid>u</uuid></domain>";
        let document = Document::parse(xml).unwrap();
        let source = document.first("disk/source").unwrap();
        assert_eq!(&xml[source.attribute_range("file").unwrap()], "/a/disk.0");
        assert_eq!(&xml[document.first("uuid").unwrap().range()], "<uuid>u</uuid>");
    }

    #[test]
    fn split_cdata_is_one_text() {
        let document = Document::parse("<A><B><![CDATA[x]]]]><![CDATA[>y]]></B></A>").unwrap();
        assert_eq!(document.text("B"), Some("x]]>y"));
    }

    #[test]
    fn what_xml_does_not_know_can_be_read_around() {
        let unknown: String =
            (0..=0x1f).map(char::from).filter(|c| !"\t\n\r".contains(*c)).chain(['\u{fffe}']).collect();
        for c in unknown.chars() {
            let xml = format!("<a><b><![CDATA[x{c}y]]></b></a>");
            assert!(Document::parse(&xml).is_err(), "{c:?}");
            assert_eq!(Document::parse(&readable(&xml)).unwrap().text("b"), Some("x\u{fffd}y"));
        }
        assert_eq!(readable("<a>\u{7f}\u{85}\té</a>"), "<a>\u{7f}\u{85}\té</a>");
        Document::parse("<a>\u{7f}\u{85}\u{fdd0}\té</a>").unwrap();
    }

    #[test]
    fn hostile_documents_are_refused() {
        for xml in [
            "",
            "<a>",
            "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
            "<a>&undefined;</a>",
            "<a b='1' b='2'/>",
            "<a/><b/>",
            "text",
        ] {
            assert!(Document::parse(xml).is_err(), "{xml}");
        }
    }
}
