//! Paths as steps.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

/// One component of a path. Empty components and `.` are none, but for the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Into what has this name.
    Name(OsString),
    /// To the folder above: `..`
    Up,
    /// Stay; what was reached must be a folder: `/` or `.` at the end of a path.
    Stay,
}

/// The steps of a path, absolute or not, in order.
pub(crate) fn steps(path: &[u8]) -> impl Iterator<Item = Step> + '_ {
    let stay = matches!(path.rsplit(|byte| *byte == b'/').next(), Some(b"" | b".")).then_some(Step::Stay);
    let steps = path.split(|byte| *byte == b'/').filter_map(|component| match component {
        b"" | b"." => None,
        b".." => Some(Step::Up),
        name => Some(Step::Name(OsStr::from_bytes(name).to_owned())),
    });
    steps.chain(stay)
}

/// Names joined by slashes, without one at the beginning.
pub(crate) fn joined<'a>(names: impl IntoIterator<Item = &'a OsString>) -> OsString {
    let mut bytes = Vec::new();
    for name in names {
        if !bytes.is_empty() {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(name.as_bytes());
    }
    OsString::from_vec(bytes)
}

/// Names as an absolute path.
pub(crate) fn absolute(names: &[OsString]) -> OsString {
    let mut path = OsString::from("/");
    path.push(joined(names));
    path
}

/// The names that a canonical path consists of.
pub(crate) fn names(path: &[u8]) -> Vec<OsString> {
    steps(path)
        .filter_map(|step| match step {
            Step::Name(name) => Some(name),
            Step::Up | Step::Stay => None,
        })
        .collect()
}
