//! The operator's configuration files: kvmrc in shell syntax, `OpenNebulaNetwork.conf` in YAML.

use std::collections::BTreeMap;

use remotes_effect::types::FailureKind;
use remotes_host::configuration::{parse, parse_yaml};

/// Words of them.
pub const WORDS: &[&str] = &[
    "export ",
    "export\t",
    "LIBVIRT_URI",
    "SHUTDOWN_TIMEOUT",
    "=",
    "\"",
    "'",
    "#",
    " # ",
    "$(id)",
    "`id`",
    "${HOME}",
    "\\",
    "\\\n",
    "\n",
    "\r\n",
    "\0",
    "a=b",
    "KEY=\"a # b\"",
    "KEY='a' b",
    "=x",
    "1KEY=2",
    "KEY =",
    ":vlan_mtu: 1500",
    ": ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    "&a ",
    "*a",
    "!!str ",
    "|\n  ",
    "---\n",
    "...",
    "? ",
    "true",
    "null",
    "~",
    "0x10",
    "\u{85}",
    "\u{feff}",
];

/// Lines are read each for itself, and what is read stands in the text.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    shell(&text);
    yaml(&text);
}

fn shell(text: &str) {
    let parsed = parse(text);
    for (key, value) in &parsed {
        let name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        assert!(!key.is_empty() && key.bytes().all(name) && !key.as_bytes()[0].is_ascii_digit(), "{key:?}");
        assert!(!value.contains('\n') && text.contains(value.as_str()) && text.contains(key.as_str()), "{value:?}");
    }
    // No line swallows the next, whatever quotes it opens.
    let before = parse(&format!("PROBE=\"a # b\"\n{text}"));
    assert_eq!(before.get("PROBE").map(String::as_str), parsed.get("PROBE").map_or(Some("a # b"), |value| Some(value)));
    let after = parse(&format!("{text}\nPROBE='c'\n"));
    assert_eq!(after.get("PROBE").map(String::as_str), Some("c"));
    let lines: BTreeMap<_, _> = text.lines().flat_map(parse).collect();
    assert_eq!(lines, parsed);
}

/// Read or refused; a document that names parts of itself is no way to more than it says.
fn yaml(text: &str) {
    match parse_yaml(text) {
        Ok(values) => {
            assert!(values.len() <= text.len(), "{} values in {} bytes", values.len(), text.len());
            assert_eq!(parse_yaml(text).unwrap(), values);
        }
        Err(failure) => assert_eq!(failure.kind, FailureKind::Invalid, "{failure}"),
    }
}
