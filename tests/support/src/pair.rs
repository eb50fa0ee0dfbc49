//! Two hypervisors between which guests move, on one machine.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::PrivateLibvirt;
use crate::daemon::Mount;

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// where a guest is at first
    Source,
    /// where it goes
    Destination,
}

/// Two private daemons, as two hosts of a cloud would have them: each with guests, sockets and state of
/// its own, and with two kinds of storage.
///
/// - [`Pair::shared`] is one folder for both, at one path.
/// - [`Pair::own`] is a path at which each daemon sees a folder of its own, which is at
///   [`Pair::own_of`] for everybody else. [`Guest::seen_in`](crate::Guest::seen_in) gives XML for it, and
///   [`PrivateLibvirt::inside`] runs a program that sees what one daemon sees.
///
/// Both are on this machine: say `migrate-uri = "tcp://127.0.0.1"` ([`Pair::MIGRATE_URI`]), since what the
/// daemons take for the host's name need not lead anywhere. libvirt takes no folder of this machine for
/// shared storage, so that a migration with disks in [`Pair::shared`] has to allow what it calls unsafe.
///
/// ```no_run
/// use remotes_test_support::{Guest, Pair};
///
/// # fn main() -> std::io::Result<()> {
/// let pair = Pair::start()?;
/// let guest = Guest::in_folder(&pair.shared().join("7"), 7)?;
/// // create the domain of `guest.xml()` at `pair.source.uri()`, move it to `pair.destination.uri()` …
/// # Ok(())
/// # }
/// ```
pub struct Pair {
    /// Where guests are at first.
    pub source: PrivateLibvirt,
    /// Where they go.
    pub destination: PrivateLibvirt,
    storage: TempDir,
}

impl Pair {
    /// Where the hypervisors meet.
    pub const MIGRATE_URI: &str = "tcp://127.0.0.1";

    /// Starts both and waits until they accept connections.
    pub fn start() -> io::Result<Self> {
        let storage = tempfile::Builder::new().prefix("lvp").tempdir()?;
        for name in ["shared", "own", "source", "destination"] {
            std::fs::create_dir(storage.path().join(name))?;
        }
        let start = |side| {
            let seen_at = storage.path().join("own");
            PrivateLibvirt::start_with(Some(&Mount { folder: folder(storage.path(), side), seen_at }))
        };
        Ok(Self { source: start(Side::Source)?, destination: start(Side::Destination)?, storage })
    }

    /// Storage that both see.
    pub fn shared(&self) -> PathBuf {
        self.storage.path().join("shared")
    }

    /// The path at which each of them sees its own storage. It is empty for everybody else.
    pub fn own(&self) -> PathBuf {
        self.storage.path().join("own")
    }

    /// Where one daemon's own storage is for everybody else.
    pub fn own_of(&self, side: Side) -> PathBuf {
        folder(self.storage.path(), side)
    }

    /// A folder that holds all storage.
    pub fn storage(&self) -> &Path {
        self.storage.path()
    }
}

fn folder(storage: &Path, side: Side) -> PathBuf {
    storage.join(match side {
        Side::Source => "source",
        Side::Destination => "destination",
    })
}
