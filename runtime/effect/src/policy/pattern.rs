//! Patterns of names: `*` stands for any run of characters but `/`, `**` also for those.

use serde::{Deserialize, Deserializer, Serialize, de};

/// A pattern, compared with a whole name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Pattern(pub String);

/// One that cannot match, or not what was meant, is refused where it is read.
impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Err(de::Error::custom("an empty pattern matches nothing; leave it out"));
        }
        Self::new(text).map_err(de::Error::custom)
    }
}

impl Pattern {
    /// A pattern that can be understood; otherwise what is wrong with it.
    pub(super) fn new(text: String) -> Result<Self, String> {
        match fast_glob::validate(&text) {
            Ok(()) => Ok(Self(text)),
            Err(error) => Err(format!("pattern {text:?}: {error}")),
        }
    }

    /// Whether the whole of `text` matches.
    pub fn matches(&self, text: &str) -> bool {
        self.0 == text || fast_glob::glob_match(&self.0, text)
    }
}

/// Whether any of the patterns matches.
pub fn any(patterns: &[Pattern], text: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(text))
}

/// The patterns as a person reads them.
pub fn listed(patterns: &[Pattern]) -> String {
    if patterns.is_empty() {
        return "none".to_owned();
    }
    patterns.iter().map(|pattern| pattern.0.as_str()).collect::<Vec<_>>().join(", ")
}
