//! What a stub is given, and what oned reads of the end: `SUBSYSTEM/ACTION`, the arguments, standard input, each
//! ended by a NUL as in `/proc/PID/cmdline`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remotes_action::convention::{self, Printed};
use remotes_effect::log::Level;
use remotes_effect::types::{Failure, FailureKind};
use remotes_effect::{Call, Reply, vmm, vnm};
use serde_json::Value;

/// Words of it.
pub const WORDS: &[&str] = &[
    "vmm/deploy\0",
    "vmm/attach_disk\0",
    "vmm/attach_nic\0",
    "vmm/snapshot_create\0",
    "vmm/exec\0",
    "vmm/migrate\0",
    "vmm/resize_disk\0",
    "vmm/restore\0",
    "vnm/pre\0",
    "vnm/post\0",
    "vnm/update_nic\0",
    "vnm/vnet_create\0",
    "vmm/nothing\0",
    "im/x\0",
    "\0",
    "\0\0",
    "0",
    "-1",
    "4294967296",
    "+7",
    " 7",
    "0x7",
    "PFZNLz4=",
    "PFZNLz4",
    "<VM/>",
    "====",
    "EOF_OUT",
    "EOF_",
    "ExitCode: 0 EOF_ERR",
    "\nEOF_OUT\n",
    "ERROR: 5 x",
    "LOG E 5 x",
    "  error: x",
    "\r\n",
    "\u{1b}[2K",
    "\u{85}",
    "\u{2028}",
    "\u{202e}",
    "\u{200b}ERROR:",
    "one-5",
    "\u{feff}",
    " ",
    "\t",
];

/// A call says what its arguments say, and nothing that is printed is taken for the protocol.
pub fn run(data: &[u8]) {
    let mut fields: Vec<&[u8]> = data.split(|byte| *byte == 0).collect();
    let stdin = fields.pop().unwrap_or_default();
    let mut words = fields.into_iter().map(|field| String::from_utf8_lossy(field).into_owned());
    let name = words.next().unwrap_or_default();
    let (subsystem, action) = name.split_once('/').unwrap_or((&name, ""));
    let argv: Vec<String> = words.collect();
    let text = String::from_utf8_lossy(stdin).into_owned();
    for level in [Level::Debug, Level::Info, Level::Warning, Level::Error] {
        let line = convention::log_line(level, "deploy", &text);
        assert!(line.ends_with('\n') && line.lines().count() == 1 && line.contains(": deploy: "), "{line:?}");
        assert_plain(&line);
    }
    match convention::call(subsystem, action, &argv, stdin) {
        Ok(call) => {
            assert_eq!((call.subsystem(), call.action()), (subsystem, action));
            means(&call, &argv, &text);
            printed(&call, &text);
        }
        Err(error) => well_formed(&Printed::failed(&error.to_string(), 1)),
    }
}

/// Every text of the call is an argument or the document, as it came or out of base64.
fn means(call: &Call, argv: &[String], text: &str) {
    let packed: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let decoded = |text: &str| STANDARD.decode(text).ok().map(|bytes| convention::readable(&bytes));
    let mut known: Vec<String> = argv.to_vec();
    known.extend(argv.iter().map(String::as_str).chain([packed.as_str(), text.trim()]).filter_map(decoded));
    known.extend([text.to_owned(), convention::readable(text.as_bytes()), String::new()]);
    let mut pending = vec![serde_json::to_value(call).unwrap()];
    while let Some(value) = pending.pop() {
        match value {
            Value::String(text) => assert!(known.contains(&text) || argv.contains(&text), "{text:?} is made up"),
            Value::Object(fields) => pending.extend(fields.into_iter().map(|(_, value)| value)),
            Value::Number(number) => {
                let read = |argument: &String| argument.parse() == Ok(number.as_u64().unwrap());
                // Zero stands for a place of a disk that is no number.
                assert!(number.as_u64() == Some(0) || argv.iter().any(read), "{number} is made up");
            }
            _ => {}
        }
    }
}

/// Whatever a driver replies with.
fn printed(call: &Call, text: &str) {
    let kinds =
        [FailureKind::Denied, FailureKind::Busy, FailureKind::Timeout, FailureKind::Failed, FailureKind::Exists];
    for kind in kinds {
        well_formed(&convention::print_failure(call, &Failure { kind, message: text.to_owned() }));
    }
    let replies = [
        Reply::Vmm(vmm::Reply::Deploy(Ok(text.to_owned()))),
        Reply::Vmm(vmm::Reply::SnapshotCreate(Ok(text.to_owned()))),
        Reply::Vnm(vnm::Reply::Pre(Ok(text.to_owned()))),
        Reply::Vnm(vnm::Reply::Post(Err(Failure::failed(text)))),
    ];
    for reply in replies {
        let printed = convention::print(call, &reply);
        well_formed(&printed);
        let lines = printed.stdout.lines().count();
        assert!(call.subsystem() == "vnm" || lines <= 1 && !printed.stdout.contains(' '), "{printed:?}");
    }
}

fn well_formed(printed: &Printed) {
    let Printed { stdout, stderr, code } = printed;
    assert_ne!(*code, 42, "the front-end takes it for a missing script");
    assert_eq!(*code == 0, stderr.is_empty(), "{printed:?}");
    assert!(stderr.is_empty() || stderr.ends_with('\n') && stderr.lines().count() == 1, "{printed:?}");
    assert!(stderr.trim() != "" || *code == 0, "{printed:?} says nothing");
    for mark in ["EXITCODE:", "EOF_", "LOG ", "ERROR:", "INFO:", "DEBUG:", "WARN:", "WARNING:"] {
        let marked = |line: &str| line.trim_start().to_ascii_uppercase().starts_with(mark);
        assert!(!stderr.lines().any(marked), "{printed:?} has the mark {mark}");
    }
    assert!(!stdout.contains("EOF_OUT"), "{printed:?}");
    assert_plain(stdout);
    assert_plain(stderr);
}

/// Nothing that a terminal obeys.
fn assert_plain(text: &str) {
    let unfit = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    assert!(!text.contains(unfit), "{text:?}");
}
