//! Documents as text that an XML parser takes.

/// What a driver parses. oned puts the words of users and of programs into its documents, without a look at what XML
/// knows, and cuts them in the middle of a character. What is no text, and characters that XML has no place for,
/// become U+FFFD: nothing that an action needs is written in them.
pub fn readable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    match text.contains(is_unknown) {
        true => text.replace(is_unknown, "\u{fffd}"),
        false => text.into_owned(),
    }
}

/// Outside of `Char` of XML 1.0.
fn is_unknown(c: char) -> bool {
    matches!(c, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_none_is_marked() {
        for (bytes, text) in [
            (&b"<a>\x1b[31mred\0</a>"[..], "<a>\u{fffd}[31mred\u{fffd}</a>"),
            (b"cannot stat \xe2\x80", "cannot stat \u{fffd}"),
            (b"\xff<a/>", "\u{fffd}<a/>"),
            (b"a\t\r\n\x7f", "a\t\r\n\x7f"),
        ] {
            assert_eq!(readable(bytes), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_text_stays(text in "[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\u{fffe}\\u{ffff}]*") {
            prop_assert_eq!(readable(text.as_bytes()), text);
        }

        #[test]
        fn once_is_enough(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let text = readable(&bytes);
            prop_assert!(!text.contains(is_unknown));
            prop_assert_eq!(readable(text.as_bytes()), text);
        }
    }
}
