//! The archive that the kernel unpacks as its first file system: cpio in its "new ASCII" form.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;

/// An archive that grows.
#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
    made: BTreeSet<PathBuf>,
}

impl Archive {
    /// A folder and those above it.
    pub fn directory(&mut self, path: &Path) {
        if path == Path::new("/") || self.made.contains(path) {
            return;
        }
        path.parent().into_iter().for_each(|parent| self.directory(parent));
        self.entry(path, DIRECTORY | 0o755, &[]);
    }

    /// A file; the first of its name counts.
    pub fn file(&mut self, path: &Path, content: &[u8], mode: u32) {
        if !self.made.contains(path) {
            path.parent().into_iter().for_each(|parent| self.directory(parent));
            self.entry(path, FILE | mode, content);
        }
    }

    /// A symbolic link.
    pub fn link(&mut self, path: &Path, target: &str) {
        if !self.made.contains(path) {
            path.parent().into_iter().for_each(|parent| self.directory(parent));
            self.entry(path, LINK | 0o777, target.as_bytes());
        }
    }

    /// A file of this machine at another place, or at the same.
    pub fn copy(&mut self, from: &Path, to: &Path) {
        let content = std::fs::read(from).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        self.file(to, &content, std::fs::metadata(from).unwrap().permissions().mode() & 0o777);
    }

    /// A folder of this machine with all that is in it.
    pub fn copy_all(&mut self, from: &Path, to: &Path) {
        self.directory(to);
        for entry in std::fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display())) {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            match entry.path().is_dir() {
                true => self.copy_all(&entry.path(), &to),
                false => self.copy(&entry.path(), &to),
            }
        }
    }

    /// The whole archive.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry(Path::new("/TRAILER!!!"), 0, &[]);
        self.bytes
    }

    fn entry(&mut self, path: &Path, mode: u32, content: &[u8]) {
        self.made.insert(path.to_owned());
        let name = path.strip_prefix("/").unwrap().to_str().unwrap();
        let size = u32::try_from(content.len()).unwrap();
        let length = u32::try_from(name.len() + 1).unwrap();
        let number = u32::try_from(self.made.len()).unwrap();
        // inode, mode, uid, gid, links, mtime, size, device twice, device of a device twice, name, checksum
        let fields = [number, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, length, 0];
        self.bytes.extend(b"070701");
        fields.iter().for_each(|field| self.bytes.extend(format!("{field:08x}").bytes()));
        self.bytes.extend(name.bytes().chain([0]));
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}
