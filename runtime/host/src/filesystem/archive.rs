//! Unpacking archives that come from anywhere: regular files and folders, below one folder, bounded.
//! The whole archive is looked through before anything is made.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt as _;

use flate2::read::MultiGzDecoder;
use remotes_effect::deadline::Deadline;
use remotes_effect::types::Failure;
use remotes_process::report::{io_failure, shown, timeout};
use rustix::fs::Mode;
use tar::{Archive, EntryType};

use crate::beside::Beside;
use crate::jail::{Found, Jail};

/// Bytes of an archive, unpacked, headers included.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Files and folders in an archive.
const MAX_ENTRIES: usize = 1000;
/// Folders within one another.
const MAX_DEPTH: usize = 32;

/// One entry: the names that lead to it, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Item {
    path: Vec<Vec<u8>>,
    folder: bool,
    mode: u32,
}

/// Unpacks into the folder; returns the number of files. Files of the same names are replaced, each in
/// one step; links and other things are not written through, nor replaced.
pub(super) fn unpack(jail: &Jail, folder: Found, archive: &[u8], deadline: Deadline) -> Result<u32, Failure> {
    check(archive, deadline)?;
    let shown = folder.shown();
    let mut files = 0;
    each(archive, deadline, |item, content| {
        let Some((name, above)) = item.path.split_last() else { return Ok(()) };
        let mode = Mode::from_raw_mode(item.mode & 0o777);
        let folder_mode = Mode::from_raw_mode(0o755);
        let mut inner: Option<Found> = None;
        for name in above {
            inner = Some(jail.enter(inner.as_ref().unwrap_or(&folder), OsStr::from_bytes(name), Some(folder_mode))?.0);
        }
        let above = inner.as_ref().unwrap_or(&folder);
        if item.folder {
            jail.enter(above, OsStr::from_bytes(name), Some(mode | Mode::RWXU))?;
            return Ok(());
        }
        let slot = jail.slot_in(above.again()?, OsStr::from_bytes(name))?;
        slot.replaceable()?;
        let new = Beside::new(&slot, mode | Mode::RUSR | Mode::WUSR)?;
        pour(content, new.file(), deadline, &shown)?;
        new.replace()?;
        files += 1;
        Ok(())
    })?;
    Ok(files)
}

/// Looks through the whole archive.
fn check(archive: &[u8], deadline: Deadline) -> Result<(), Failure> {
    let mut seen: BTreeMap<Vec<Vec<u8>>, bool> = BTreeMap::new();
    each(archive, deadline, |item, content| {
        pour(content, std::io::sink(), deadline, "archive")?;
        for length in 1..item.path.len() {
            if seen.insert(item.path[..length].to_vec(), true) == Some(false) {
                return Err(clash(&item.path));
            }
        }
        match seen.insert(item.path.clone(), item.folder) {
            None => Ok(()),
            Some(true) if item.folder => Ok(()),
            Some(_) => Err(clash(&item.path)),
        }
    })
}

/// Hands every entry on, with its content.
fn each(
    archive: &[u8],
    deadline: Deadline,
    mut with: impl FnMut(&Item, &mut dyn Read) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut archive = Archive::new(Bounded { inner: MultiGzDecoder::new(archive), left: MAX_BYTES });
    let entries = archive.entries().map_err(|error| unreadable(&error))?;
    for (count, entry) in entries.enumerate() {
        if deadline.passed() {
            return Err(timeout("archive", "unpacking"));
        }
        let mut entry = entry.map_err(|error| unreadable(&error))?;
        if count == MAX_ENTRIES {
            return Err(Failure::invalid(format!("archive: more than {MAX_ENTRIES} entries")));
        }
        if let Some(item) = item(&entry)? {
            with(&item, &mut entry)?;
        }
    }
    // What follows the last entry belongs to the compressed stream, too: it must be whole.
    std::io::copy(&mut archive.into_inner(), &mut std::io::sink()).map_err(|error| unreadable(&error))?;
    Ok(())
}

/// What an entry is, where it is one to be unpacked; nothing for the folder itself and for comments.
fn item<R: Read>(entry: &tar::Entry<'_, R>) -> Result<Option<Item>, Failure> {
    let bytes = entry.path_bytes();
    let name = shown(OsStr::from_bytes(&bytes));
    let folder = match entry.header().entry_type() {
        EntryType::XGlobalHeader => return Ok(None),
        EntryType::Directory => true,
        EntryType::Regular | EntryType::Continuous if !bytes.ends_with(b"/") => false,
        other => {
            return Err(Failure::invalid(format!(
                "archive: {name}: is of type {:?}, expected regular files and folders only",
                char::from(other.as_byte())
            )));
        }
    };
    let mut path = Vec::new();
    let outside = || Failure::denied(format!("archive: {name}: leads out of the folder"));
    if bytes.starts_with(b"/") {
        return Err(outside());
    }
    for component in bytes.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => return Err(outside()),
            component if component.len() > 255 || component.contains(&0) => {
                return Err(Failure::invalid(format!("archive: {name}: is no usable name")));
            }
            component => path.push(component.to_vec()),
        }
    }
    if path.len() > MAX_DEPTH {
        return Err(Failure::invalid(format!("archive: {name}: more than {MAX_DEPTH} folders within one another")));
    }
    let mode = entry.header().mode().map_err(|error| unreadable(&error))?;
    match (path.is_empty(), folder) {
        (true, true) => Ok(None),
        (true, false) => Err(Failure::invalid("archive: a file without a name")),
        (false, _) => Ok(Some(Item { path, folder, mode })),
    }
}

fn pour(
    content: &mut dyn Read,
    mut into: impl std::io::Write,
    deadline: Deadline,
    subject: &str,
) -> Result<(), Failure> {
    let mut piece = vec![0; 64 * 1024];
    loop {
        if deadline.passed() {
            return Err(timeout(subject, "unpacking"));
        }
        match content.read(&mut piece).map_err(|error| unreadable(&error))? {
            0 => return Ok(()),
            count => into.write_all(&piece[..count]).map_err(|error| io_failure(subject, "unpack", &error))?,
        }
    }
}

fn unreadable(error: &std::io::Error) -> Failure {
    Failure::invalid(format!(
        "archive: expected tar compressed by gzip, whole and at most {} MiB unpacked: {}",
        MAX_BYTES / 1024 / 1024,
        remotes_effect::text::one_line(&error.to_string())
    ))
}

fn clash(path: &[Vec<u8>]) -> Failure {
    let name = path.join(&b'/');
    Failure::invalid(format!("archive: {}: appears twice, or as file and as folder", shown(OsStr::from_bytes(&name))))
}

/// A stream that fails where it is too long, rather than end.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| std::io::Error::other(format!("more than {MAX_BYTES} bytes")))?;
        Ok(count)
    }
}
