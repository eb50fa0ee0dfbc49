//! What is in a CD drive.

use remotes_sdk::Failure;
use remotes_sdk::xml::{Document, escape};

/// A drive's description without its medium; none where it has none.
pub fn ejected(drive: &str) -> Result<Option<String>, Failure> {
    let document = Document::parse(drive)?;
    Ok(document.first("source").map(|source| {
        let range = source.range();
        format!("{}{}", &drive[..range.start], &drive[range.end..])
    }))
}

/// The path of the medium in a drive.
pub fn medium(drive: &str) -> Result<Option<String>, Failure> {
    let document = Document::parse(drive)?;
    let source = document.first("source");
    Ok(source.and_then(|source| source.attribute("file").or_else(|| source.attribute("dev"))).map(str::to_owned))
}

/// A drive's description with another medium of the same kind.
pub fn exchanged(drive: &str, path: &str) -> Result<String, Failure> {
    let document = Document::parse(drive)?;
    let source = document.first("source");
    let range = source.and_then(|source| source.attribute_range("file").or_else(|| source.attribute_range("dev")));
    let range = range.ok_or_else(|| Failure::invalid("a drive without medium has none to exchange"))?;
    Ok(format!("{}{}{}", &drive[..range.start], escape(path), &drive[range.end..]))
}

/// An empty drive's description with a medium in it: a file, or a block device.
pub fn inserted(drive: &str, path: &str, block: bool) -> Result<String, Failure> {
    let document = Document::parse(drive)?;
    let root = document.root();
    let (kind, attribute) = if block { ("block", "dev") } else { ("file", "file") };
    let target = document.first("target").map(|target| target.range().start);
    let (Some(target), Some(range)) = (target, root.attribute_range("type")) else {
        return Err(Failure::invalid("a drive without type or target cannot hold a medium"));
    };
    let source = format!("<source {attribute}='{}'/>", escape(path));
    Ok(format!("{}{kind}{}{source}{}", &drive[..range.start], &drive[range.end..target], &drive[target..]))
}
