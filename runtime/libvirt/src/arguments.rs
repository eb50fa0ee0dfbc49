//! What comes in is checked before libvirt sees it, what goes out is bounded.

use std::ffi::CString;

use remotes_effect::policy::check_encoding;
use remotes_effect::text::{one_line, shortened};
use remotes_effect::types::Failure;

/// No document is longer than this many bytes.
pub(crate) const LONGEST_DOCUMENT: usize = 16 * 1024 * 1024;

/// No list of domains or snapshots is longer.
pub(crate) const LONGEST_LIST: usize = 10_000;

/// A string that C can take. (Crate virt panics on others.)
pub(crate) fn plain<'a>(what: &str, text: &'a str) -> Result<&'a str, Failure> {
    match text.contains('\0') {
        true => Err(Failure::invalid(format!("{what} contains a NUL character"))),
        false => Ok(text),
    }
}

/// The same as C has it.
pub(crate) fn c_string(what: &str, text: &str) -> Result<CString, Failure> {
    CString::new(plain(what, text)?).map_err(|_| Failure::invalid(format!("{what} contains a NUL character")))
}

/// A list of such.
pub(crate) fn c_strings(what: &str, texts: &[String]) -> Result<Vec<CString>, Failure> {
    texts.iter().map(|text| c_string(what, text)).collect()
}

/// A document for libvirt.
pub(crate) fn document(xml: &str) -> Result<&str, Failure> {
    plain("the document", xml)?;
    check_encoding(xml)?;
    bounded(xml)
}

/// A document of libvirt's.
pub(crate) fn bounded<T: AsRef<str>>(xml: T) -> Result<T, Failure> {
    let bytes = xml.as_ref().len();
    match bytes > LONGEST_DOCUMENT {
        true => Err(Failure::failed(format!(
            "a document of {bytes} bytes is longer than the {LONGEST_DOCUMENT} that are handed on"
        ))),
        false => Ok(xml),
    }
}

/// A list of libvirt's.
pub(crate) fn bounded_list<T>(what: &str, list: Vec<T>) -> Result<Vec<T>, Failure> {
    match list.len() > LONGEST_LIST {
        true => {
            Err(Failure::failed(format!("{} {what} are more than the {LONGEST_LIST} that are handed on", list.len())))
        }
        false => Ok(list),
    }
}

/// A name as it stands in a message.
pub(crate) fn shown(text: &str) -> String {
    shortened(&one_line(text), 256)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use remotes_effect::types::FailureKind;

    #[test]
    fn bounds_hold() {
        assert!(bounded("x".repeat(LONGEST_DOCUMENT)).is_ok());
        assert_eq!(bounded("x".repeat(LONGEST_DOCUMENT + 1)).unwrap_err().kind, FailureKind::Failed);
        assert!(bounded_list("domains", vec![(); LONGEST_LIST]).is_ok());
        assert_eq!(bounded_list("domains", vec![(); LONGEST_LIST + 1]).unwrap_err().kind, FailureKind::Failed);
    }
}
