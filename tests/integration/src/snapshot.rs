//! What a folder holds, to compare before and after.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// One entry: all that can be seen of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Type and permission bits.
    pub mode: u32,
    /// Owner.
    pub owner: u32,
    /// A link's target, a file's digest.
    pub content: String,
    /// Time of the last change of the content, in nanoseconds.
    pub modified: i128,
}

/// Entries by path relative to the folder, which is itself the empty path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot(pub BTreeMap<PathBuf, Entry>);

impl Snapshot {
    /// Looks at a folder and all below it.
    pub fn of(folder: &Path) -> Self {
        let mut entries = BTreeMap::new();
        look(folder, Path::new(""), &mut entries);
        Self(entries)
    }

    /// The same with the times of files only: a folder's come from what is done in it, and a link made
    /// anew is as good as the old one.
    pub fn with_file_times(mut self) -> Self {
        for entry in self.0.values_mut().filter(|entry| entry.mode & 0o170_000 != 0o100_000) {
            entry.modified = 0;
        }
        self
    }

    /// The same without any times, as a copy may have it.
    pub fn without_times(mut self) -> Self {
        self.0.values_mut().for_each(|entry| entry.modified = 0);
        self
    }

    /// The paths.
    pub fn paths(&self) -> Vec<&str> {
        self.0.keys().filter_map(|path| path.to_str()).collect()
    }

    /// Expects both to be the same; names what differs.
    pub fn assert_same(&self, after: &Self) {
        let mut differences = Vec::new();
        for (path, entry) in &self.0 {
            match after.0.get(path) {
                None => differences.push(format!("- {}", path.display())),
                Some(other) if other != entry => {
                    differences.push(format!("~ {}: {entry:?} -> {other:?}", path.display()));
                }
                Some(_) => {}
            }
        }
        differences.extend(
            after.0.keys().filter(|path| !self.0.contains_key(*path)).map(|path| format!("+ {}", path.display())),
        );
        assert!(differences.is_empty(), "changed:\n{}", differences.join("\n"));
    }
}

fn look(path: &Path, name: &Path, entries: &mut BTreeMap<PathBuf, Entry>) {
    let metadata = fs::symlink_metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let content = match () {
        () if metadata.is_symlink() => fs::read_link(path).unwrap().display().to_string(),
        () if metadata.is_file() => digest(&fs::read(path).unwrap()),
        () => String::new(),
    };
    let modified = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
    entries.insert(name.to_owned(), Entry { mode: metadata.mode(), owner: metadata.uid(), content, modified });
    if metadata.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            look(&entry.path(), &name.join(entry.file_name()), entries);
        }
    }
}

/// SHA-256, hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
