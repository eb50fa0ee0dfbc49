//! The operator's configuration files: in shell syntax as far as the stock readers know it, or in YAML.

mod shell;
mod yaml;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use remotes_effect::configuration::Executor;
use remotes_effect::policy::Policy;
use remotes_effect::types::Failure;
use remotes_process::report::{failure, io_failure, shown};
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

pub use shell::parse;
pub use yaml::parse as parse_yaml;

/// No configuration file is longer than this many bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// The executor of `configuration`: the files that the policy names, read when first asked for.
#[derive(Debug)]
pub struct Configuration {
    folder: PathBuf,
    policy: Arc<Policy>,
    files: Option<Vec<ReadFile>>,
    remarks: Vec<String>,
}

/// A file that was read, or the reason why it cannot be used.
#[derive(Debug)]
struct ReadFile {
    yaml: bool,
    values: Result<Vec<(String, String)>, Failure>,
}

impl Configuration {
    /// Files below `etc` in this tree.
    pub fn new(tree: &Path, policy: Arc<Policy>) -> Self {
        Self { folder: tree.join("etc"), policy, files: None, remarks: Vec::new() }
    }

    /// The value of a key; none where no file sets it. A file that cannot be used is a failure where it could
    /// have said something.
    pub fn value(&mut self, key: &str) -> Result<Option<String>, Failure> {
        last(self.files(), key)
    }

    /// The same of files in shell syntax, which the runtime itself asks: what is wrong with the others does not
    /// concern it.
    pub fn variable(&mut self, key: &str) -> Result<Option<String>, Failure> {
        last(self.files().iter().filter(|file| !file.yaml), key)
    }

    /// What an operator should know of the files that were read, once: lines that mean something else to a shell.
    pub fn remarks(&mut self) -> Vec<String> {
        std::mem::take(&mut self.remarks)
    }

    fn files(&mut self) -> &[ReadFile] {
        let Self { folder, policy, files, remarks } = self;
        files.get_or_insert_with(|| {
            let read = |file: &String| ReadFile { yaml: yaml::is_yaml(file), values: values(folder, file, remarks) };
            policy.configuration.iter().map(read).collect()
        })
    }
}

/// Later files win.
fn last<'a>(
    files: impl IntoIterator<Item = &'a ReadFile, IntoIter: DoubleEndedIterator>,
    key: &str,
) -> Result<Option<String>, Failure> {
    for file in files.into_iter().rev() {
        let values = file.values.as_ref().map_err(Failure::clone)?;
        if let Some((_, value)) = values.iter().rev().find(|(other, _)| other == key) {
            return Ok(Some(value.clone()));
        }
    }
    Ok(None)
}

impl Executor for Configuration {
    fn get(&mut self, key: &str) -> Result<Option<String>, Failure> {
        self.value(key)
    }

    fn keys(&mut self, prefix: &str) -> Result<Vec<String>, Failure> {
        let mut keys: Vec<String> = Vec::new();
        for file in self.files() {
            let values = file.values.as_ref().map_err(Failure::clone)?;
            for (key, _) in values.iter().filter(|(key, _)| key.starts_with(prefix)) {
                if !keys.contains(key) {
                    keys.push(key.clone());
                }
            }
        }
        Ok(keys)
    }
}

/// What a file says; nothing where there is none.
fn values(folder: &Path, file: &str, remarks: &mut Vec<String>) -> Result<Vec<(String, String)>, Failure> {
    // The policy file's reader refuses these, too; a policy may also come through a pipe.
    if file.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(Failure::invalid(format!("configuration: {}: is no path below the tree's etc", shown(file))));
    }
    let path = folder.join(file);
    match read(&path)? {
        Some(text) if yaml::is_yaml(file) => {
            yaml::parse(&text).map_err(|failure| Failure::invalid(format!("{}: {}", shown(&path), failure.message)))
        }
        Some(text) => {
            remarks.extend(shell::remark(&text).map(|remark| format!("{}: {remark}", shown(&path))));
            Ok(parse(&text).into_iter().collect())
        }
        None => Ok(Vec::new()),
    }
}

/// The text of a file, if there is one.
fn read(path: &Path) -> Result<Option<String>, Failure> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(CWD, path, flags, Mode::empty()) {
        Ok(fd) => fd,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(failure(path, "read the configuration", errno)),
    };
    let stat = rustix::fs::fstat(&file).map_err(|errno| failure(path, "read the configuration", errno))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Failure::invalid(format!("{}: a configuration file must be a regular file", shown(path))));
    }
    let mut bytes = Vec::new();
    File::from(file)
        .take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| io_failure(path, "read the configuration", &error))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(Failure::invalid(format!("{}: a configuration file has at most {MAX_FILE} bytes", shown(path))));
    }
    // Comments may be in any encoding.
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn configuration(tree: &Path, files: &[&str]) -> Configuration {
        let policy =
            Policy { configuration: files.iter().map(|file| (*file).to_owned()).collect(), ..Policy::default() };
        Configuration::new(tree, Arc::new(policy))
    }

    #[test]
    fn later_files_win_and_missing_ones_are_fine() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir(tree.path().join("etc")).unwrap();
        std::fs::write(tree.path().join("etc/a"), "KEY=a\nA=1\n").unwrap();
        std::fs::write(tree.path().join("etc/b"), b"# \xff\nKEY=b\n").unwrap();
        let mut read = configuration(tree.path(), &["a", "missing", "b"]);
        assert_eq!(read.value("KEY").unwrap().as_deref(), Some("b"));
        assert_eq!(read.value("A").unwrap().as_deref(), Some("1"));
        assert_eq!(read.value("B").unwrap(), None);
    }

    #[test]
    fn what_a_shell_reads_otherwise_is_told_once() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir(tree.path().join("etc")).unwrap();
        std::fs::write(tree.path().join("etc/kvmrc"), "FORCE_DESTROY=yes\n\nunset FORCE_DESTROY\n").unwrap();
        let mut read = configuration(tree.path(), &["kvmrc"]);
        assert_eq!(read.remarks(), [""; 0]);
        assert_eq!(read.value("FORCE_DESTROY").unwrap().as_deref(), Some("yes"));
        let remarks = read.remarks();
        assert!(remarks.len() == 1 && remarks[0].contains("etc/kvmrc: line 3 "), "{remarks:?}");
        read.value("OTHER").unwrap();
        assert_eq!(read.remarks(), [""; 0]);
    }

    #[test]
    fn files_in_yaml_are_read_beside_the_others() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(tree.path().join("etc/vnm")).unwrap();
        std::fs::write(tree.path().join("etc/vnm/OpenNebulaNetwork.conf"), ":b: 1\n:a:\n  :y: 2\n  :x: 3\n").unwrap();
        std::fs::write(tree.path().join("etc/kvmrc"), "b=4\n").unwrap();
        let mut read = configuration(tree.path(), &["vnm/OpenNebulaNetwork.conf", "kvmrc"]);
        assert_eq!(read.keys("").unwrap(), ["b", "a.y", "a.x"]);
        assert_eq!(read.keys("a.").unwrap(), ["a.y", "a.x"]);
        assert_eq!(read.value("b").unwrap().as_deref(), Some("4"));
        std::fs::write(tree.path().join("etc/vnm/OpenNebulaNetwork.conf"), "[").unwrap();
        let mut read = configuration(tree.path(), &["vnm/OpenNebulaNetwork.conf"]);
        assert_eq!(read.keys("").unwrap_err().kind, remotes_effect::types::FailureKind::Invalid);
        // What the runtime needs is in the other.
        let mut read = configuration(tree.path(), &["kvmrc", "vnm/OpenNebulaNetwork.conf"]);
        assert_eq!(read.variable("b").unwrap().as_deref(), Some("4"));
        assert_eq!(read.variable("absent").unwrap(), None);
        assert!(read.value("b").is_err());
    }

    #[test]
    fn what_cannot_be_read_is_a_failure() {
        let tree = tempfile::tempdir().unwrap();
        let etc = tree.path().join("etc");
        std::fs::create_dir_all(etc.join("folder")).unwrap();
        rustix::fs::mknodat(CWD, etc.join("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        std::os::unix::fs::symlink("loop", etc.join("loop")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", etc.join("zero")).unwrap();
        std::fs::write(etc.join("long"), vec![b'#'; 1024 * 1024 + 1]).unwrap();
        std::fs::write(etc.join("file"), "").unwrap();
        for file in ["folder", "fifo", "loop", "zero", "long", "file/inner", "../etc/file", "/etc/passwd"] {
            assert!(configuration(tree.path(), &[file]).value("KEY").is_err(), "{file}");
        }
    }
}
