//! A small host in a folder of its own, for trials on the real executors.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use remotes_effect::deadline::Deadline;
use remotes_effect::log::Level;
use remotes_effect::policy::Policy;
use remotes_host::{Machine, Surroundings};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// The folders of a host:
///
/// ```text
/// granted/    read and written by the driver (10/ in it: VM 10's)
/// granted2/   not granted, and a name that begins like a granted one
/// shown/      granted read-only
/// secret/     not granted
/// tree/       the remotes tree
/// ```
pub struct Grounds {
    folder: TempDir,
    log: Arc<Mutex<Vec<(Level, String)>>>,
}

/// What every file below a folder was.
pub type Snapshot = BTreeMap<PathBuf, String>;

impl Grounds {
    /// Makes them.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("containment-").tempdir().unwrap();
        let grounds = Self { folder, log: Arc::default() };
        for name in ["granted/10", "granted2", "shown", "secret", "tree/bin", "tree/etc/vmm/kvm"] {
            fs::create_dir_all(grounds.path(name)).unwrap();
        }
        for name in ["granted/10/disk.0", "granted2/disk.0", "shown/base", "secret/key"] {
            fs::write(grounds.path(name), format!("content of {name}\n")).unwrap();
        }
        fs::set_permissions(grounds.path("secret/key"), fs::Permissions::from_mode(0o600)).unwrap();
        grounds
    }

    /// Something in them.
    pub fn path(&self, below: &str) -> PathBuf {
        self.root().join(below)
    }

    /// The same as text.
    pub fn at(&self, below: &str) -> String {
        self.path(below).to_str().unwrap().to_owned()
    }

    /// The folder that holds all.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Makes a symbolic link.
    pub fn link(&self, below: &str, target: impl AsRef<Path>) -> &Self {
        symlink(target, self.path(below)).unwrap();
        self
    }

    /// Writes an executable file.
    pub fn program(&self, below: &str, text: &str) -> &Self {
        fs::write(self.path(below), text).unwrap();
        fs::set_permissions(self.path(below), fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    /// The table `[paths]` of a policy for these grounds.
    pub fn paths(&self) -> String {
        format!("[paths]\n{:?} = \"rw\"\n{:?} = \"ro\"\n", self.path("granted"), self.path("shown"))
    }

    /// The real executors, on these grounds.
    pub fn machine(&self, policy: Arc<Policy>, deadline: Deadline) -> Machine {
        let log = self.log.clone();
        Machine::new(Surroundings {
            policy,
            tree: self.path("tree"),
            deadline,
            libvirt_server: self.path("tree/bin/remotes-libvirt"),
            log: Box::new(move |level, text| log.lock().unwrap().push((level, text.to_owned()))),
        })
    }

    /// What came out of the real executors as log lines.
    pub fn logged(&self) -> Vec<(Level, String)> {
        self.log.lock().unwrap().clone()
    }

    /// What every file is now: kind, permission bits, owner, size, time of change, content.
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::new();
        look(self.root(), &mut snapshot);
        snapshot
    }
}

impl Default for Grounds {
    fn default() -> Self {
        Self::new()
    }
}

fn look(path: &Path, snapshot: &mut Snapshot) {
    let stat = fs::symlink_metadata(path).unwrap();
    let kind = stat.file_type();
    let content = match () {
        () if kind.is_symlink() => fs::read_link(path).unwrap().display().to_string(),
        () if kind.is_file() => format!("{:x?}", Sha256::digest(fs::read(path).unwrap())),
        () => String::new(),
    };
    // Reading a folder or link may change its time of access, nothing else.
    let line =
        format!("{:o} {} {} {}.{} {content}", stat.mode(), stat.uid(), stat.len(), stat.mtime(), stat.mtime_nsec());
    snapshot.insert(path.to_owned(), line);
    if kind.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            look(&entry.unwrap().path(), snapshot);
        }
    }
}
