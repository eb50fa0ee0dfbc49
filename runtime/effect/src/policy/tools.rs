//! Programs that a driver may run: by name, with the permitted arguments, never through a shell.

use serde::{Deserialize, Deserializer, Serialize, de};

use super::pattern::Pattern;
use crate::types::Failure;

/// One program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ToolGrant {
    /// Absolute path; `$REMOTES` at its start is the remotes tree.
    pub path: String,
    /// Run it as root through `sudo -n`.
    #[serde(default)]
    pub sudo: bool,
    /// Permitted argument lists.
    #[serde(default)]
    pub arguments: Vec<ArgumentPattern>,
}

/// One permitted argument list: a pattern an argument; `...` as the last one permits any that follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ArgumentPattern(pub Vec<Pattern>);

impl<'de> Deserialize<'de> for ArgumentPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let last = texts.len().saturating_sub(1);
        if texts[..last].iter().any(|text| text == OPEN) {
            return Err(de::Error::custom(
                "`...` permits any arguments that follow: it can only stand in the last place",
            ));
        }
        // An argument may be empty, other than a name.
        let patterns: Result<_, String> = texts.into_iter().map(Pattern::new).collect();
        patterns.map(Self).map_err(de::Error::custom)
    }
}

/// Permits any arguments that follow.
const OPEN: &str = "...";

impl ArgumentPattern {
    /// The one list that it permits; none where it has wildcards.
    pub fn literal(&self) -> Option<Vec<String>> {
        let plain = |text: &str| text != OPEN && !text.contains(['*', '?', '[', ']', '{', '}', '!', '\\']);
        self.0.iter().map(|pattern| Some(pattern.0.clone()).filter(|text| plain(text))).collect()
    }

    fn permits(&self, arguments: &[String]) -> bool {
        let (patterns, open) = match self.0.split_last() {
            Some((last, rest)) if last.0 == OPEN => (rest, true),
            _ => (&self.0[..], false),
        };
        (open || arguments.len() == patterns.len())
            && arguments.len() >= patterns.len()
            && patterns.iter().zip(arguments).all(|(pattern, argument)| {
                // A pattern must not be walked out of by `..`.
                pattern.0 == *argument || (pattern.matches(argument) && !argument.split('/').any(|part| part == ".."))
            })
    }
}

impl ToolGrant {
    /// Whether the tool may be run with these arguments.
    pub fn check(&self, tool: &str, arguments: &[String]) -> Result<(), Failure> {
        if self.arguments.iter().any(|pattern| pattern.permits(arguments)) {
            return Ok(());
        }
        let shown = arguments.iter().map(|a| format!("{a:?}")).collect::<Vec<_>>().join(", ");
        Err(Failure::denied(format!(
            "{tool}: these arguments are not granted; `[{}]` among `arguments` under [tools.{tool}] in the driver's policy would allow them",
            crate::text::shortened(&shown, 400)
        )))
    }
}
