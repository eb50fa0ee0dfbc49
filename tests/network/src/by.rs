//! The ways by which a host's network is changed.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use remotes_host::way::Ways;
use tempfile::TempDir;

use crate::install_stand_ins;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// this process
    Own,
    /// root's effect server
    Server,
    /// a command each, as the stock sudoers rules allow
    Stock,
}

impl By {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Own, Self::Server, Self::Stock];
}

/// A `sudo` for one host, and what it may start.
#[derive(Clone)]
pub struct Sudo {
    folder: PathBuf,
    _owned: Option<Arc<TempDir>>,
}

impl Default for Sudo {
    fn default() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(program("stock-sudo"), folder.path().join("sudo")).unwrap();
        Self { folder: folder.path().to_owned(), _owned: Some(Arc::new(folder)) }
    }
}

impl Sudo {
    /// One that another process made.
    pub fn there(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), _owned: None }
    }

    /// The folder of all that belongs to it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where it lies.
    pub fn program(&self) -> PathBuf {
        self.folder.join("sudo")
    }

    /// Installs root's effect server and lets sudo start it.
    pub fn with_server(self) -> Self {
        let server = self.server();
        std::fs::copy(program("test-net"), &server).unwrap();
        std::fs::write(self.folder.join("allowed"), server.to_str().unwrap()).unwrap();
        self
    }

    /// Has the rules' tree be this one.
    pub fn serve_tree(&self, tree: &Path) {
        let known = std::fs::read_to_string(self.beside("trees")).unwrap_or_default();
        std::fs::write(self.beside("trees"), format!("{known}{}\n", tree.display())).unwrap();
    }

    /// Has root's bounds name the daemon of transparent proxies that lies beside the server.
    pub fn with_proxy_daemon(&self) {
        const BUILT_IN: &str = include_str!("../../../runtime/net/src/bounds.toml");
        install_stand_ins(&self.folder);
        // Their last table is that of proxies.
        let bounds = format!("{BUILT_IN}program = \"{}\"\n", self.beside("tproxy").display());
        std::fs::write(self.beside("remotes-net.toml"), bounds).unwrap();
    }

    /// Where the server is, or would be.
    pub fn server(&self) -> PathBuf {
        self.folder.join("remotes-net")
    }

    /// A file beside it.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The ways that it opens.
    pub fn ways(&self) -> Ways {
        Ways::by_sudo(self.program(), vec![self.server()])
    }

    /// What it was asked that the rules do not allow.
    pub fn refused(&self) -> String {
        std::fs::read_to_string(self.beside("refused")).unwrap_or_default()
    }
}

/// A program of this package, built beside the tests.
///
/// # Panics
/// When it is not there.
pub fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let folders = own.ancestors().skip(1).take(2);
    let mut found = folders.map(|folder| folder.join(name)).filter(|path: &PathBuf| Path::is_file(path));
    found.next().unwrap_or_else(|| panic!("{name} is not built beside {}", own.display()))
}

/// The action of a case in a process of its own, to be killed. Its temporary folders lie in `locks`, a folder of the
/// test's: whoever is killed removes nothing.
pub fn act(case: impl AsRef<OsStr>, by: By, locks: &Path, sudo: Option<&Sudo>) -> Command {
    let temporary = locks.join("temporary");
    std::fs::create_dir_all(&temporary).unwrap();
    let mut command = Command::new(program("act"));
    command.arg(case).arg(format!("{by:?}")).arg(locks).args(sudo.map(Sudo::folder)).env("TMPDIR", temporary);
    command
}
