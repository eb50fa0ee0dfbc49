//! Files that the stock scripts have a shell read, as far as they are lists of values.

use std::collections::BTreeMap;

/// As many lines are named in a remark.
const NAMED: usize = 5;

/// Keys and values of a text in shell syntax: lines `[export ]KEY=value`; everything else is skipped.
/// A value loses one pair of quotes, and what follows them; without quotes it ends at `#`. Nothing is
/// expanded. Of several lines with one key the last counts.
pub fn parse(text: &str) -> BTreeMap<String, String> {
    text.lines().filter_map(assignment).map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn assignment(line: &str) -> Option<(&str, &str)> {
    let (key, value) = written(line)?;
    Some((key, unquoted(value)))
}

/// The key, and the value as it is written.
fn written(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let line = line.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t'])).unwrap_or(line);
    let (key, value) = line.split_once('=')?;
    let key = key.trim();
    let is_name = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !key.is_empty()
        && !key.starts_with(|c: char| c.is_ascii_digit());
    is_name.then(|| (key, value.trim()))
}

fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some((inner, _)) = value.strip_prefix(quote).and_then(|rest| rest.split_once(quote)) {
            return inner;
        }
    }
    value.split('#').next().unwrap_or_default().trim_end()
}

/// What to tell the operator: the lines that mean something else here than to the shell that reads the file for the
/// stock scripts. None where there are none.
pub fn remark(text: &str) -> Option<String> {
    let others = text.lines().enumerate().filter(|(_, line)| !is_plain(line));
    let mut numbers: Vec<String> = others.map(|(index, _)| (index + 1).to_string()).collect();
    if numbers.is_empty() {
        return None;
    }
    let more = if numbers.len() > NAMED { " and more" } else { "" };
    numbers.truncate(NAMED);
    let (lines, mean) = if numbers.len() > 1 { ("lines", "mean") } else { ("line", "means") };
    Some(format!(
        "{lines} {}{more} {mean} something else to a shell than here, where only lines KEY=value count, the last one of a \
         key, and nothing is expanded",
        numbers.join(", ")
    ))
}

/// Whether a shell makes the same of a line.
fn is_plain(line: &str) -> bool {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return true;
    }
    let Some((_, value)) = written(line) else { return false };
    if is_comment(value) {
        return true;
    }
    let (inner, rest) = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => match value[1..].split_once(quote) {
            Some((inner, _)) if quote == '"' && inner.contains(['$', '`', '\\']) => return false,
            Some((_, rest)) => ("", rest),
            // It goes on in the next line.
            None => return false,
        },
        _ => value.split_at(value.find(char::is_whitespace).unwrap_or(value.len())),
    };
    let ends = rest.is_empty() || rest.starts_with(char::is_whitespace) && is_comment(rest.trim_start());
    ends && !inner.contains(['$', '`', ';', '&', '|', '<', '>', '(', ')', '\\', '"', '\'', '#'])
}

fn is_comment(text: &str) -> bool {
    text.is_empty() || text.starts_with('#')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use proptest::prelude::*;

    use super::*;

    fn value(line: &str) -> Option<String> {
        parse(line).remove("KEY")
    }

    #[test]
    fn the_forms_that_shipped_files_use() {
        assert_eq!(value("KEY=value").as_deref(), Some("value"));
        assert_eq!(value("export KEY=value").as_deref(), Some("value"));
        assert_eq!(value("  export\tKEY = value ").as_deref(), Some("value"));
        assert_eq!(value("KEY=value # why").as_deref(), Some("value"));
        assert_eq!(value("KEY=\"a # b\" # why").as_deref(), Some("a # b"));
        assert_eq!(value("KEY='a \"b\"'").as_deref(), Some("a \"b\""));
        assert_eq!(value("KEY=\"open").as_deref(), Some("\"open"));
        assert_eq!(value("KEY=").as_deref(), Some(""));
        assert_eq!(value("KEY=a=b").as_deref(), Some("a=b"));
        assert_eq!(value("KEY=$(id)").as_deref(), Some("$(id)"));
        for skipped in ["#KEY=value", "  # KEY=value", "KEY", "K EY=1", "1KEY=1", "=1", "exportKEY=1", ""] {
            assert_eq!(value(skipped), None, "{skipped:?}");
        }
        assert_eq!(value("KEY=1\nKEY=2\n").as_deref(), Some("2"));
    }

    proptest! {
        #[test]
        fn any_text_gives_usable_keys(text in "\\PC*(\n\\PC*){0,5}") {
            for (key, value) in parse(&text) {
                prop_assert!(!key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
                prop_assert!(!value.contains('\n'));
            }
        }

        #[test]
        fn quoted_values_come_back_whole(value in "[^\"\r\n]*") {
            let text = format!("A=1\nexport KEY=\"{value}\" # end\nB=2");
            let parsed = parse(&text);
            prop_assert_eq!(parsed.get("KEY"), Some(&value));
            prop_assert_eq!(parsed.len(), 3);
        }
    }

    #[test]
    fn lines_that_a_shell_reads_otherwise_are_named() {
        for plain in [
            "",
            "  # $comment; `here`",
            "KEY=value",
            "export KEY=value # why",
            "KEY=\"a # b; c\" # why",
            "KEY='$x `y` \"z\"'",
            "KEY=qemu+ssh://h:1/system?x=y",
            "KEY=",
            "KEY= # none",
            "  KEY=a-b.c/d ",
        ] {
            assert_eq!(remark(plain), None, "{plain:?}");
        }
        for other in [
            "SHUTDOWN_TIMEOUT=3 FORCE_DESTROY=no",
            "unset FORCE_DESTROY",
            "if false; then FORCE_DESTROY=no; fi",
            "fi",
            "B=$A",
            "B=\"${A:-3}\"",
            "B=$((1+2))",
            "B=`id`",
            "B=3;",
            "B=3 ; C=4",
            "B=\"3\";",
            "B=\"3\"x",
            "B=\"open",
            "B=a\\",
            "B=a#b",
            "B+=c",
            "source other",
            "[ -f x ] && B=1",
        ] {
            assert!(remark(&format!("A=1\n{other}\n")).unwrap().starts_with("line 2 means"), "{other:?}");
        }
        let many = remark(&"fi\n".repeat(9)).unwrap();
        assert!(many.starts_with("lines 1, 2, 3, 4, 5 and more mean"), "{many}");
    }
}
