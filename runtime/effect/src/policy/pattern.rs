//! Patterns of names: `*` stands for any run of characters but `/`, `**` also for those.

use serde::{Deserialize, Serialize};

/// A pattern, compared with a whole name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(pub String);

impl Pattern {
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
