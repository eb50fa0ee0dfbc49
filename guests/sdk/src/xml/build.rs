//! Building.

use std::fmt;

/// An element under construction. Whatever is put into it is escaped.
///
/// ```
/// use remotes_sdk::xml::Tag;
///
/// let source = Tag::new("source").with("file", "/a&b");
/// assert_eq!(Tag::new("disk").child(source).to_string(), "<disk><source file='/a&amp;b'/></disk>");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
    content: Vec<Content>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    Tag(Tag),
    Text(String),
}

impl Tag {
    /// An empty element.
    pub fn new(name: &'static str) -> Self {
        Self { name, attributes: Vec::new(), content: Vec::new() }
    }

    /// Adds an attribute.
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.attributes.push((name, value.to_string()));
        self
    }

    /// Adds an attribute where there is a value.
    pub fn with_some(self, name: &'static str, value: Option<impl fmt::Display>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Adds an element inside.
    pub fn child(mut self, child: Self) -> Self {
        self.content.push(Content::Tag(child));
        self
    }

    /// Adds elements inside: a `Vec`, or an `Option` for one that may be missing.
    pub fn children(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        self.content.extend(children.into_iter().map(Content::Tag));
        self
    }

    /// Adds text inside.
    pub fn text(mut self, text: impl fmt::Display) -> Self {
        self.content.push(Content::Text(text.to_string()));
        self
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "<{}", self.name)?;
        for (name, value) in &self.attributes {
            write!(formatter, " {name}='{}'", escape(value))?;
        }
        if self.content.is_empty() {
            return formatter.write_str("/>");
        }
        formatter.write_str(">")?;
        for content in &self.content {
            match content {
                Content::Tag(tag) => tag.fmt(formatter)?,
                Content::Text(text) => formatter.write_str(&escape(text))?,
            }
        }
        write!(formatter, "</{}>", self.name)
    }
}

/// Text as it may stand in an element or, in either quotes, in an attribute. Line ends and tabs are
/// kept from a parser's normalization.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\'' => escaped.push_str("&apos;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            '\r' => escaped.push_str("&#13;"),
            '\t' => escaped.push_str("&#9;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::xml::Document;
    use proptest::prelude::*;

    proptest! {
        /// Whatever a user calls a thing, it is read back as it was and nothing beside it.
        #[test]
        fn what_is_built_is_read_back(value in "[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\u{fffe}\\u{ffff}]*") {
            let tag = Tag::new("a").with("b", &value).child(Tag::new("c").text(&value)).with_some("d", None::<&str>);
            let text = tag.to_string();
            let document = Document::parse(&text).unwrap();
            prop_assert_eq!(document.root().attribute("b"), Some(value.as_str()));
            prop_assert_eq!(document.text("c").unwrap_or_default(), value.as_str());
            prop_assert_eq!(document.root().attribute("d"), None);
        }
    }
}
