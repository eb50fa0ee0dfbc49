//! The effect server that changes the host's network as root, for a runtime that has no rights itself.
//!
//! It is started by `sudo` and speaks frames on standard input and output. Its client is not trusted: what the
//! client's policy grants is done only as far as root's own bounds grant it as well.
#![forbid(unsafe_code)]

mod bounds;
mod server;
mod trust;
mod watch;

use std::fs::{DirBuilder, Permissions};
use std::io::{BufRead, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use remotes_effect::deadline::Deadline;
use remotes_effect::frame::{self, FrameError};
use remotes_effect::policy::PolicyError;
use remotes_network::privileged::Privileged;
use thiserror::Error;

pub use bounds::Bounds;
pub use server::Server;
pub use trust::TrustError;

/// Where root says what the server may do; built-in bounds hold where there is no such file.
pub const BOUNDS: &str = "/etc/one/remotes-net.toml";

/// No client may keep a server for longer.
const LONGEST: Duration = Duration::from_secs(3600);

/// How long a client has to greet, and what it gets beyond its deadline, by which every effect has ended.
const GRACE: Duration = Duration::from_secs(5);

/// Makes a folder that nobody but root gets into, in one where nobody else can make any.
///
/// # Errors
/// What the system says.
pub fn private(folder: &Path) -> Result<(), ServeError> {
    let system = |source| ServeError::System { what: "the folder of the locks", source };
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        made => return made.map_err(system),
    }
    // Of another version, or made by hand.
    let found = std::fs::symlink_metadata(folder).map_err(system)?;
    match found.is_dir() {
        true => std::fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(system),
        false => Err(system(ErrorKind::NotADirectory.into())),
    }
}

/// Why the server does not serve.
#[derive(Debug, Error)]
pub enum ServeError {
    /// Others could have written the program or root's bounds.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// Root's bounds are none: what they say, they say as policies do.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// Root's bounds cannot be used.
    #[error("{}: {message}", file.display())]
    Bounds {
        /// the file
        file: PathBuf,
        /// what is wrong
        message: String,
    },
    /// The client and the server do not understand each other.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The system does not do what is needed.
    #[error("{what}: {source}")]
    System {
        /// what was wanted
        what: &'static str,
        /// what the system says
        source: std::io::Error,
    },
}

/// Serves until the client goes. `bounds` is root's file, `turns` the folder of the lock between changes of the
/// packet filter.
pub fn serve(bounds: &Path, turns: &Path, input: &mut impl BufRead, output: &mut impl Write) -> Result<(), ServeError> {
    let watch =
        watch::Watch::start(GRACE).map_err(|source| ServeError::System { what: "starting a thread", source })?;
    let program = std::env::current_exe()
        .map_err(|source| ServeError::System { what: "looking for the running program", source })?;
    trust::check_program(&program)?;
    let bounds = Bounds::read(bounds)?;
    let turns = turns.to_owned();
    frame::serve(input, output, |hello| {
        let time = Duration::from_millis(hello.deadline_ms).min(LONGEST);
        watch.extend(time + GRACE);
        let deadline = Deadline::after(time);
        Server::new(bounds, Privileged::own(deadline), turns)
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn locks_lie_where_nobody_else_gets() {
        let folder = tempfile::tempdir().unwrap();
        let turns = folder.path().join("turns");
        let mode = || std::fs::metadata(&turns).unwrap().permissions().mode() & 0o7777;
        private(&turns).unwrap();
        assert_eq!(mode(), 0o700);
        std::fs::set_permissions(&turns, Permissions::from_mode(0o755)).unwrap();
        private(&turns).unwrap();
        assert_eq!(mode(), 0o700);
        std::os::unix::fs::symlink("/tmp", folder.path().join("link")).unwrap();
        private(&folder.path().join("link")).unwrap_err();
    }
}
