//! Looking for processes by what their command lines name: paths in a test's own folder.

use remotes_test_support::until;
use rustix::process::{Pid, Signal, kill_process};

/// A running process.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its number here.
    pub pid: Pid,
    /// Its command line, arguments separated by blanks.
    pub line: String,
}

impl Process {
    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap_or_else(|error| panic!("{}: {error}", self.line));
    }
}

/// The processes, but for this one, whose command line holds all of these texts.
pub fn naming(texts: &[&str]) -> Vec<Process> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        let Some(pid) = pid.filter(|pid| *pid != rustix::process::getpid()) else { continue };
        // A zombie's is empty; one that ends meanwhile cannot be read.
        let Ok(line) = std::fs::read(entry.path().join("cmdline")) else { continue };
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if !line.is_empty() && texts.iter().all(|text| line.contains(text)) {
            found.push(Process { pid, line });
        }
    }
    found
}

/// Waits until no process names this text any more.
pub fn until_none_names(text: &str) {
    let gone = until(&format!("the end of processes of {text}"), || Ok(naming(&[text]).is_empty().then_some(())));
    gone.unwrap_or_else(|error| panic!("{error}: {:?}", naming(&[text])));
}

/// Waits for one that names all of these.
pub fn until_one_names(texts: &[&str]) -> Process {
    until(&format!("a process of {texts:?}"), || Ok(naming(texts).pop())).unwrap()
}
