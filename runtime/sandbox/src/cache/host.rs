//! The host's own cache, outside the tree.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use wasmtime::Engine;
use wasmtime::component::Component;

use super::manifest::Manifest;
use super::{CacheError, TrustedFolder};

/// The runtime's.
const VERSION: &str = env!("CARGO_PKG_VERSION");
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long code is kept that nobody uses.
const UNUSED: Duration = DAY.saturating_mul(90);
/// The same for other versions of the runtime: hosts with one home are not upgraded at the same moment.
const UNUSED_BY_OTHERS: Duration = DAY.saturating_mul(7);

/// The host's own cache, outside the tree, which the next synchronization would empty: code that this
/// host compiled for itself, since it has another architecture or runtime than the front-end.
pub struct Host {
    folder: PathBuf,
}

impl Host {
    /// A cache in this folder.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// `$XDG_CACHE_HOME/remotes`, or `~/.cache/remotes`.
    pub fn of_user() -> Option<Self> {
        let base = match std::env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()) {
            Some(base) => PathBuf::from(base),
            None => PathBuf::from(std::env::var_os("HOME")?).join(".cache"),
        };
        base.is_absolute().then(|| Self::at(base.join("remotes")))
    }

    /// The folder of one component's code: by digest, runtime and architecture.
    pub fn folder(&self, component: &str) -> PathBuf {
        self.folder.join(format!("{component}-{VERSION}-{}", std::env::consts::ARCH))
    }

    /// Loads the code of a component from the cache.
    pub fn load(&self, manifest: &Manifest, engine: &Engine) -> Result<Component, CacheError> {
        let folder = TrustedFolder::open(&self.folder(&manifest.component)).map_err(CacheError::gone)?;
        let own = folder.manifest()?;
        // Under this name another component's folder may have been put.
        if own.component != manifest.component {
            let (recorded, found) = (manifest.component.clone(), own.component);
            return Err(CacheError::Altered { path: folder.path, recorded, found });
        }
        let component = folder.code(&own, engine)?;
        // What it is for is done where that fails.
        let _ = mark_used(&folder);
        Ok(component)
    }

    /// Removes what nobody has used for long, for other versions of the runtime as well: for code that is not there is
    /// compiled again. Done where something is added, so that what an upgrade of a driver or of the runtime leaves does
    /// not stay for ever.
    ///
    /// What cannot be removed stays, and another process may be removing the same.
    pub fn sweep(&self) {
        // By way of the open folder, which nobody else can write: what is removed is in it, whatever its name leads to.
        let Ok(folder) = TrustedFolder::open(&self.folder) else { return };
        let opened = format!("/proc/self/fd/{}", folder.descriptor.as_raw_fd());
        for entry in fs::read_dir(opened).into_iter().flatten().flatten() {
            let name = entry.file_name();
            // Other things that people keep there are theirs.
            let Some(version) = name.to_str().and_then(version) else { continue };
            let kept = if version == VERSION { UNUSED } else { UNUSED_BY_OTHERS };
            // Of a link itself, which is nothing of ours.
            let is_old =
                entry.metadata().is_ok_and(|found| found.is_dir() && age(&found).is_some_and(|age| age > kept));
            if is_old {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

/// Says by the folder's time that it is in use, at most once a day: loading is no reason to write.
fn mark_used(folder: &TrustedFolder) -> io::Result<()> {
    let folder = File::from(folder.descriptor.try_clone()?);
    match age(&folder.metadata()?) {
        Some(age) if age > DAY => folder.set_modified(SystemTime::now()),
        _ => Ok(()),
    }
}

/// How long ago it was changed; nothing where that is yet to come.
fn age(metadata: &Metadata) -> Option<Duration> {
    SystemTime::now().duration_since(metadata.modified().ok()?).ok()
}

/// The version of the runtime whose code is in a folder of this name, if [`Host::folder`] has made the name.
fn version(name: &str) -> Option<&str> {
    let (component, rest) = name.split_once('-')?;
    let (version, architecture) = rest.rsplit_once('-')?;
    let is_digest = component.len() == 64 && component.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_digest && !version.is_empty() && !architecture.is_empty()).then_some(version)
}
