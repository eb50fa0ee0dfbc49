//! Links of disks. A disk `disk.N` may be a link, to the datastore's image or to the active file of a
//! snapshot folder; libvirt gets the file behind it, so that block operations on the domain name the
//! file that they change.

use remotes_sdk::filesystem::{self, Kind};
use remotes_sdk::xml::{Document, escape};
use remotes_sdk::{Failure, FailureKind, at, name, parent};

/// The description with one level of links of its file disks resolved; all else as it was.
pub fn resolved(xml: &str, domain: &Document<'_>) -> Result<String, Failure> {
    let mut text = String::with_capacity(xml.len());
    let mut done = 0;
    for disk in domain.descendants("disk") {
        if disk.attribute("type") != Some("file") || disk.attribute("device") != Some("disk") {
            continue;
        }
        let Some(source) = disk.first("source") else { continue };
        let (Some(path), Some(range)) = (source.attribute("file"), source.attribute_range("file")) else { continue };
        if let Some(target) = target(path)? {
            text.push_str(&xml[done..range.start]);
            text.push_str(&escape(&target));
            done = range.end;
        }
    }
    text.push_str(&xml[done..]);
    Ok(text)
}

/// What a disk's link leads to; none where it is no link of a disk, or leads to nothing.
pub fn target(path: &str) -> Result<Option<String>, Failure> {
    if !is_disk(path) || kind(path)? != Some(Kind::Symlink) {
        return Ok(None);
    }
    let link = filesystem::read_link(&at(path))?;
    let target = if link.starts_with('/') { link } else { format!("{}/{link}", parent(path)) };
    let target = if has_dots(&target) { plain(&target) } else { target };
    Ok(kind(&target)?.map(|_| target))
}

fn has_dots(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "." | ".."))
}

/// An absolute path without `.` and `..`, as it is written: what is at that path, and whether it may be used, is
/// the policy's to judge.
fn plain(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn kind(path: &str) -> Result<Option<Kind>, Failure> {
    match filesystem::stat(&at(path)) {
        Ok(metadata) => Ok(Some(metadata.kind)),
        Err(failure) if failure.kind == FailureKind::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// `…/disk.N`
fn is_disk(path: &str) -> bool {
    let number = name(path).strip_prefix("disk.");
    path.contains('/') && number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}
