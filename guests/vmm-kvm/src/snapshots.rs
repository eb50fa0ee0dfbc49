//! System snapshots. libvirt forgets them with a transient domain, the images do not: their
//! descriptions lie in the virtual machine's folder as `snap-ID.xml`.

use remotes_sdk::{Explain, Failure, FailureKind, Node, Place, at, filesystem, here, libvirt};

use crate::domain::while_busy;

/// Tells libvirt of the snapshots that the virtual machine's images hold. One that it does not take is
/// logged: the virtual machine runs all the same.
pub fn redefine(id: &str, directory: &str, uuid: impl FnOnce() -> Result<String, Failure>) {
    redefine_others(&here(), id, &at(directory), &[], uuid);
}

/// The same on any machine, of those that libvirt does not know there yet.
pub fn redefine_others(
    on: &Node,
    id: &str,
    directory: &Place,
    known: &[String],
    uuid: impl FnOnce() -> Result<String, Failure>,
) {
    let all = || {
        let mut files = descriptions(directory)?;
        files.retain(|file| known.iter().all(|name| *file != format!("{name}.xml")));
        if files.is_empty() {
            return Ok(());
        }
        let uuid = uuid()?;
        for file in files {
            let place = Place { path: format!("{}/{file}", directory.path), ..directory.clone() };
            one(on, id, &place, &uuid).or_warn(&format!("{file} is not redefined"));
        }
        Ok(())
    };
    all().or_warn("snapshots are not redefined");
}

fn one(on: &Node, id: &str, file: &Place, uuid: &str) -> Result<(), Failure> {
    let content = filesystem::read(file)?;
    let text = String::from_utf8(content).map_err(|_| Failure::invalid(format!("{} is not UTF-8", file.path)))?;
    let current = with_uuid(&text, uuid);
    if current != text {
        filesystem::write(file, current.as_bytes(), 0o644)?;
    }
    libvirt::snapshot_redefine(on, id, &current, false)
}

/// Writes a snapshot's description beside the disks.
pub fn keep(id: &str, name: &str, directory: &str) -> Result<(), Failure> {
    let xml = while_busy(|| libvirt::snapshot_xml(&here(), id, name))?;
    filesystem::write(&at(format!("{directory}/{name}.xml")), xml.as_bytes(), 0o644)
}

/// Names of the files, parents before their children: a child has the greater number.
pub fn descriptions(directory: &Place) -> Result<Vec<String>, Failure> {
    let entries = match filesystem::entries(directory) {
        Err(failure) if failure.kind == FailureKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let number = |name: &str| name.strip_prefix("snap-")?.strip_suffix(".xml").map(|id| id.parse::<u64>().ok());
    let mut files: Vec<_> = entries.into_iter().filter_map(|name| Some((number(&name)?, name))).collect();
    files.sort();
    Ok(files.into_iter().map(|(_, name)| name).collect())
}

/// The text with every `<uuid>` set to the domain's.
fn with_uuid(text: &str, uuid: &str) -> String {
    const OPEN: &str = "<uuid>";
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(OPEN).map(|start| start + OPEN.len()) {
        let end =
            rest[start..].find(|c: char| !c.is_ascii_alphanumeric() && c != '-').map_or(rest.len(), |end| start + end);
        result.push_str(&rest[..start]);
        result.push_str(if rest[end..].starts_with("</uuid>") { uuid } else { &rest[start..end] });
        rest = &rest[end..];
    }
    result.push_str(rest);
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn only_uuids_are_set(text in "(<uuid>|</uuid>|[a-f0-9]{1,4}-|é|\n|<name>)*") {
            let new = with_uuid(&text, "new-1");
            prop_assert_eq!(with_uuid(&new, "new-1"), new.clone());
            prop_assert_eq!(new.matches("<uuid>").count(), text.matches("<uuid>").count());
            if !text.contains("</uuid>") {
                prop_assert_eq!(new, text);
            }
        }
    }
}
