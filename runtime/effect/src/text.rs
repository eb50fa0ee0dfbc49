//! Text from drivers and documents, made fit for one line of a log or a terminal.

use std::fmt::Write as _;

/// One line without control characters: newlines, escapes and the like are written as `\n`, `\u{1b}`.
/// Bidirectional overrides are escaped too, since they make a line read as another.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push(' '),
            c if c.is_control() || is_format(c) => {
                let _ = write!(line, "\\u{{{:x}}}", u32::from(c));
            }
            c => line.push(c),
        }
    }
    line
}

/// Line and paragraph separators, bidirectional controls, zero-width characters.
fn is_format(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// What is wrong with a text of TOML, in one line: `line 3, column 1: unknown field …`.
pub fn toml_problem(text: &str, error: &toml::de::Error) -> String {
    let Some(start) = error.span().map(|span| span.start) else {
        // Then it says itself which key it means, in lines.
        return one_line(&error.to_string().lines().collect::<Vec<_>>().join(" "));
    };
    let before = text.get(..start).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column}: {}", one_line(error.message().trim_end()))
}

/// At most `bytes` bytes of a text, cut at a character, with a mark where it was cut.
pub fn shortened(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let end = (0..=bytes).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    format!("{}… ({} bytes)", &text[..end], text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_toml_is_one_line() {
        for (text, says) in [
            ("a = 1\nbä = \"x\" y\n", "line 2, column 10: unexpected key or value, expected newline, `#`"),
            ("", "line 1, column 1: missing field `a`"),
            ("a = 1\n\n[b]\nc = 1", "line 3, column 2: unknown field `b`, expected `a`"),
            ("a = 'x'", "line 1, column 5: invalid type: string \"x\", expected u32"),
        ] {
            #[derive(Debug, serde::Deserialize)]
            #[serde(deny_unknown_fields)]
            struct Table {
                #[serde(rename = "a")]
                _a: u32,
            }
            let problem = toml::from_str::<Table>(text).map_err(|error| toml_problem(text, &error)).err();
            assert_eq!(problem.as_deref(), Some(says));
        }
    }
}
