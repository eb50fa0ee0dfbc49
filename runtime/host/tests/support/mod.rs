//! What the tests share: a folder of one's own, and short ways to ask for effects.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

pub mod cloud;
pub mod qcow2;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use remotes_effect::deadline::Deadline;
use remotes_effect::policy::{Access, PathGrants, Policy};
use remotes_effect::types::{FailureKind, Node, Place};
use remotes_effect::{Answer, Effect, Executor};
use remotes_host::{Machine, Surroundings};

pub const RW: Access = Access::ReadWrite;
pub const RO: Access = Access::ReadOnly;

/// A folder of the test's own, by its real path.
pub struct Sandbox {
    _folder: tempfile::TempDir,
    pub path: PathBuf,
}

impl Sandbox {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        Self { _folder: folder, path }
    }

    pub fn at(&self, path: &str) -> String {
        self.path.join(path).to_str().unwrap().to_owned()
    }

    pub fn folder(&self, path: &str) -> &Self {
        std::fs::create_dir_all(self.path.join(path)).unwrap();
        self
    }

    pub fn file(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.path.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self
    }

    pub fn link(&self, path: &str, target: impl AsRef<Path>) -> &Self {
        let path = self.path.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
        self
    }

    pub fn text(&self, path: &str) -> String {
        std::fs::read_to_string(self.path.join(path)).unwrap()
    }

    pub fn names(&self, path: &str) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.path.join(path))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }

    pub fn grants(&self, grants: &[(&str, Access)]) -> PathGrants {
        PathGrants(grants.iter().map(|(folder, access)| (self.at(folder), *access)).collect())
    }

    pub fn machine(&self, grants: &[(&str, Access)]) -> Machine {
        self.machine_for(Policy { paths: self.grants(grants), ..Policy::default() })
    }

    pub fn machine_for(&self, policy: Policy) -> Machine {
        self.machine_until(policy, Deadline::after(Duration::from_secs(120)))
    }

    pub fn machine_until(&self, policy: Policy, deadline: Deadline) -> Machine {
        Machine::new(Surroundings {
            policy: Arc::new(policy),
            tree: self.path.clone(),
            deadline,
            libvirt_server: "/nonexistent/remotes-libvirt".into(),
            log: Box::new(|_, _| {}),
        })
    }
}

/// An example program of this crate.
pub fn example(name: &str) -> PathBuf {
    let path = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(path.exists(), "{}: `cargo build -p remotes-host --examples` makes it", path.display());
    path
}

pub fn place(path: impl Into<String>) -> Place {
    Place { on: Node::Here, path: path.into() }
}

/// The kind of failure that an effect comes to; panics where it succeeds.
pub fn refused(machine: &mut Machine, effect: impl Into<Request>) -> FailureKind {
    let effect = effect.into().0;
    let answer = machine.execute(&effect);
    let failure = answer.failure().unwrap_or_else(|| panic!("{effect:?} was done: {answer:?}"));
    assert!(!failure.message.is_empty() && !failure.message.contains(['\n', '\r', '\u{1b}']), "{}", failure.message);
    failure.kind
}

/// The answer to an effect that must succeed.
pub fn done(machine: &mut Machine, effect: impl Into<Request>) -> Answer {
    let effect = effect.into().0;
    let answer = machine.execute(&effect);
    assert!(answer.failure().is_none(), "{answer:?} to {effect:?}");
    answer
}

/// An effect of any capability.
pub struct Request(pub Effect);

macro_rules! requests {
    ($($module:ident $variant:ident),*) => {
        $(impl From<remotes_effect::$module::Effect> for Request {
            fn from(effect: remotes_effect::$module::Effect) -> Self {
                Self(Effect::$variant(effect))
            }
        })*
    };
}

requests!(
    filesystem Filesystem, image Image, tools Tools, libvirt Libvirt, configuration Configuration, transfer Transfer
);

/// Every file, folder and link below a folder, with contents and modes.
pub fn snapshot(folder: &Path) -> BTreeMap<PathBuf, String> {
    use std::os::unix::fs::MetadataExt as _;
    let mut seen = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            let content = if metadata.is_symlink() {
                format!("→ {}", path.read_link().unwrap().display())
            } else if metadata.is_dir() {
                folders.push(path.clone());
                "folder".to_owned()
            } else if metadata.is_file() {
                String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned()
            } else {
                "other".to_owned()
            };
            seen.insert(path, format!("{:o} {} {content}", metadata.mode(), metadata.ino()));
        }
    }
    seen
}

/// The same by paths below the folder, and without what two copies differ in.
pub fn contents(folder: &Path) -> BTreeMap<PathBuf, String> {
    let below = |path: &Path| path.strip_prefix(folder).unwrap().to_owned();
    let text = |seen: String| {
        let (mode, rest) = seen.split_once(' ').unwrap();
        format!("{mode} {}", rest.split_once(' ').unwrap().1)
    };
    snapshot(folder).into_iter().map(|(path, seen)| (below(&path), text(seen))).collect()
}
