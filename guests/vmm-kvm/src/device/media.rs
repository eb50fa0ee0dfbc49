//! What is in a CD drive.

use remotes_sdk::Failure;
use remotes_sdk::xml::{Document, escape};

/// A drive's description without its medium; none where it has none.
pub fn ejected(drive: &str) -> Result<Option<String>, Failure> {
    let document = Document::parse(drive)?;
    // A file, a device, or storage by network, which oned does not insert, but a RAW section may.
    let names = ["file", "dev", "dir", "protocol", "pool"];
    let source = document.first("source");
    let holds = source.is_some_and(|source| names.iter().any(|name| source.attribute(name).is_some()));
    if holds { without_source(drive).map(Some) } else { Ok(None) }
}

/// libvirt leaves an empty `<source index='3'/>` in a drive that it has emptied.
fn without_source(drive: &str) -> Result<String, Failure> {
    let document = Document::parse(drive)?;
    let range = document.first("source").map_or(0..0, |source| source.range());
    Ok(format!("{}{}", &drive[..range.start], &drive[range.end..]))
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
    // Of two sources libvirt takes the first, and reports success.
    let drive = &without_source(drive)?;
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// As libvirt 9.0 describes a drive that was emptied.
    const EMPTY: &str = "<disk type='file' device='cdrom'><driver name='qemu' type='raw'/><source index='3'/>\
        <backingStore/><target dev='sda' bus='sata'/><readonly/></disk>";

    #[test]
    fn an_empty_drive_has_no_medium_and_takes_one() {
        assert_eq!(medium(EMPTY).unwrap(), None);
        assert_eq!(ejected(EMPTY).unwrap(), None);
        let by_network = EMPTY.replace("<source index='3'/>", "<source protocol='rbd' name='one/iso'/>");
        assert!(!ejected(&by_network).unwrap().unwrap().contains("<source"));
        let full = inserted(EMPTY, "/d/disk.1", false).unwrap();
        assert_eq!(full.matches("<source").count(), 1);
        assert_eq!(medium(&full).unwrap().as_deref(), Some("/d/disk.1"));
        let empty = ejected(&full).unwrap().unwrap();
        assert_eq!(empty, EMPTY.replace("<source index='3'/>", ""));
        assert_eq!(medium(&inserted(&empty, "/d/disk.1", true).unwrap()).unwrap().as_deref(), Some("/d/disk.1"));
    }
}
