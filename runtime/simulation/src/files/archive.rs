//! Unpacking archives into a tree, under the limits of the executor of a real machine.

use std::collections::BTreeMap;
use std::io::Read;

use flate2::read::MultiGzDecoder;
use remotes_effect::policy::Access;
use remotes_effect::types::Failure;
use tar::{Archive, EntryType};

use super::change::Disk;
use super::{Entry, File, Last};

/// Bytes of an archive, unpacked, headers included.
pub const MAX_UNPACKED: u64 = 64 * 1024 * 1024;
/// Files and folders in an archive.
const MAX_ENTRIES: usize = 1000;
/// Folders within one another.
const MAX_DEPTH: usize = 32;

struct Item {
    path: Vec<String>,
    mode: u32,
    /// None: a folder.
    content: Option<Vec<u8>>,
}

/// Unpacks into the folder at `path`, or does nothing; returns the number of files.
pub(super) fn unpack(disk: &mut Disk<'_>, path: &str, archive: &[u8]) -> Result<u32, Failure> {
    let root = disk.find(path, Access::ReadWrite, Last::Follow)?;
    disk.folder(path)?;
    let items = items(archive)?;
    for item in &items {
        blocked(disk, &root, item)?;
    }
    let mut files = 0;
    for item in items {
        // Without links on the way, which were refused, these names are a path.
        let place = format!("/{}/{}", root.join("/"), item.path.join("/"));
        match item.content {
            None => disk.make_directory(&place, 0o700 | item.mode)?,
            Some(content) => {
                if let Some(at) = place.rfind('/') {
                    disk.make_directory(&place[..at], 0o755)?;
                }
                disk.put_file(&place, File { mode: 0o600 | item.mode, ..File::new(content) })?;
                files += 1;
            }
        }
    }
    Ok(files)
}

/// The names that an archive would unpack, and which of them are folders.
pub(crate) fn archive_names(archive: &[u8]) -> Result<Vec<(Vec<String>, bool)>, Failure> {
    Ok(items(archive)?.into_iter().map(|item| (item.path, item.content.is_none())).collect())
}

/// Fails where something is in the way that would be written through or must not be replaced.
fn blocked(disk: &Disk<'_>, root: &[String], item: &Item) -> Result<(), Failure> {
    let mut names = root.to_vec();
    for (index, name) in item.path.iter().enumerate() {
        names.push(name.clone());
        let last = index + 1 == item.path.len();
        match (disk.tree.at(&names), last && item.content.is_some()) {
            (None, _) => return Ok(()),
            (Some(Entry::Directory(_)), false) | (Some(Entry::File(_) | Entry::Link(_)), true) => {}
            (Some(_), false) => {
                return Err(Failure::exists(format!("/{}: is there and is no folder", names.join("/"))));
            }
            (Some(_), true) => {
                return Err(Failure::invalid(format!("/{}: is no regular file", names.join("/"))));
            }
        }
    }
    Ok(())
}

fn items(archive: &[u8]) -> Result<Vec<Item>, Failure> {
    let bounded = MultiGzDecoder::new(archive).take(MAX_UNPACKED + 1);
    let mut archive = Archive::new(bounded);
    let mut items = Vec::new();
    let mut seen: BTreeMap<Vec<String>, bool> = BTreeMap::new();
    for (count, entry) in archive.entries().map_err(|error| unreadable(&error))?.enumerate() {
        let mut entry = entry.map_err(|error| unreadable(&error))?;
        if count == MAX_ENTRIES {
            return Err(Failure::invalid(format!("archive: more than {MAX_ENTRIES} entries")));
        }
        let Some(mut item) = item(&entry)? else { continue };
        if let Some(content) = &mut item.content {
            entry.read_to_end(content).map_err(|error| unreadable(&error))?;
        }
        claim(&mut seen, &item)?;
        items.push(item);
    }
    let mut rest = archive.into_inner();
    std::io::copy(&mut rest, &mut std::io::sink()).map_err(|error| unreadable(&error))?;
    match rest.limit() {
        0 => Err(Failure::invalid(format!("archive: more than {} MiB unpacked", MAX_UNPACKED / 1024 / 1024))),
        _ => Ok(items),
    }
}

/// Refuses names that appear twice, or as file and as folder.
fn claim(seen: &mut BTreeMap<Vec<String>, bool>, item: &Item) -> Result<(), Failure> {
    let folder = item.content.is_none();
    let above = (1..item.path.len()).any(|length| seen.insert(item.path[..length].to_vec(), true) == Some(false));
    match seen.insert(item.path.clone(), folder) {
        None if !above => Ok(()),
        Some(true) if folder && !above => Ok(()),
        _ => {
            Err(Failure::invalid(format!("archive: {}: appears twice, or as file and as folder", item.path.join("/"))))
        }
    }
}

/// What an entry is; nothing for the folder itself and for comments.
fn item<R: Read>(entry: &tar::Entry<'_, R>) -> Result<Option<Item>, Failure> {
    let bytes = entry.path_bytes();
    let name = String::from_utf8_lossy(&bytes).into_owned();
    let content = match entry.header().entry_type() {
        EntryType::XGlobalHeader => return Ok(None),
        EntryType::Directory => None,
        EntryType::Regular | EntryType::Continuous if !name.ends_with('/') => Some(Vec::new()),
        other => {
            return Err(Failure::invalid(format!(
                "archive: {name}: is of type {:?}, expected regular files and folders only",
                char::from(other.as_byte())
            )));
        }
    };
    let mut path = Vec::new();
    for (index, component) in name.split('/').enumerate() {
        match component {
            "." => {}
            "" if index > 0 => {}
            "" | ".." => return Err(Failure::denied(format!("archive: {name}: leads out of the folder"))),
            component if component.len() > 255 || component.contains('\0') => {
                return Err(Failure::invalid(format!("archive: {name}: is no usable name")));
            }
            component => path.push(component.to_owned()),
        }
    }
    if path.len() > MAX_DEPTH {
        return Err(Failure::invalid(format!("archive: {name}: more than {MAX_DEPTH} folders within one another")));
    }
    let mode = entry.header().mode().map_err(|error| unreadable(&error))? & 0o777;
    match (path.is_empty(), content) {
        (true, None) => Ok(None),
        (true, Some(_)) => Err(Failure::invalid("archive: a file without a name")),
        (false, content) => Ok(Some(Item { path, mode, content })),
    }
}

fn unreadable(error: &std::io::Error) -> Failure {
    Failure::invalid(format!("archive: expected tar compressed by gzip, whole: {error}"))
}
