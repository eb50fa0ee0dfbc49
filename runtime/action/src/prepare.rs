//! Everything an action needs before its driver is called: call, policy, component.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use remotes_effect::Call;
use remotes_effect::deadline::Deadline;
use remotes_effect::policy::{Policy, PolicyError};
use remotes_process::Process;
use remotes_sandbox::cache::manifest::Manifest;
use remotes_sandbox::cache::{self, CacheError};
use remotes_sandbox::{Component, Driver, Engine, EngineError};
use thiserror::Error;

use crate::convention::{self, ConventionError, LARGEST_STDIN};
use crate::tree::{Identity, Tree};

/// How long an action waits for the rest of a driver that is being copied to this host. `rsync` needs some hundredths
/// of a second from the first file of a driver to the last.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it looks.
const PAUSE: Duration = Duration::from_millis(25);

/// What a program that compiles needs to know: where the cache is, and what is told to whom.
const ENVIRONMENT: [&str; 4] = ["HOME", "XDG_CACHE_HOME", "REMOTES_LOG", "REMOTES_LOG_FILE"];

/// An action that cannot begin.
#[derive(Debug, Error)]
pub enum PrepareError {
    /// argv or standard input are unfit.
    #[error(transparent)]
    Convention(#[from] ConventionError),
    /// The tree has no such driver.
    #[error("no driver {driver} in {}: {present}", tree.display())]
    NoDriver {
        /// the tree's root
        tree: PathBuf,
        /// `vmm/kvm`
        driver: String,
        /// what there is instead, in words
        present: String,
    },
    /// The policy file is unfit.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The component is not loaded.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The engine cannot be set up.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Standard input cannot be read.
    #[error("standard input: {0}")]
    Stdin(std::io::Error),
    /// Standard input is too long.
    #[error("standard input is longer than {LARGEST_STDIN} bytes")]
    LongStdin,
    /// The host could not compile the component for itself.
    #[error("{}: compiling the component for this machine failed: {reason}", folder.display())]
    Compile {
        /// the driver's folder
        folder: PathBuf,
        /// what the compiling program says
        reason: String,
    },
}

/// A driver about to be called.
pub struct Prepared {
    /// The component.
    pub driver: Driver,
    /// What was recorded when it was installed.
    pub manifest: Manifest,
    /// What the operator grants it.
    pub policy: Arc<Policy>,
    /// What it is called with.
    pub call: Call,
    /// When the action must have ended.
    pub deadline: Deadline,
}

/// Reads all of standard input; nothing where it is a terminal, for whoever tries an action by hand.
pub fn standard_input() -> Result<Vec<u8>, PrepareError> {
    let stdin = std::io::stdin();
    if rustix::termios::isatty(&stdin) {
        return Ok(Vec::new());
    }
    let mut bytes = Vec::new();
    stdin.lock().take(LARGEST_STDIN + 1).read_to_end(&mut bytes).map_err(PrepareError::Stdin)?;
    match bytes.len() as u64 > LARGEST_STDIN {
        true => Err(PrepareError::LongStdin),
        false => Ok(bytes),
    }
}

/// Gets an action ready.
pub fn prepare(tree: &Tree, identity: &Identity, argv: &[String], stdin: &[u8]) -> Result<Prepared, PrepareError> {
    let Identity { subsystem, driver, action } = identity;
    let call = convention::call(subsystem, action, argv, stdin)?;
    // Looked for only where something is missing: every action pays for what is done here.
    let known = |error: PrepareError| missing(tree, subsystem, driver).unwrap_or(error);
    let user = rustix::process::geteuid().as_raw();
    let policy = Policy::read_in_force(&tree.policy(subsystem, driver), user).map_err(|error| known(error.into()))?;
    let policy = Arc::new(policy);
    let deadline = Deadline::after(policy.limits.time(action));
    let (driver, manifest) = load(tree, identity, &policy, deadline).map_err(known)?;
    Ok(Prepared { driver, manifest, policy, call, deadline })
}

/// That the driver is not there, if it is not.
pub fn missing(tree: &Tree, subsystem: &str, driver: &str) -> Option<PrepareError> {
    if tree.driver(subsystem, driver).is_dir() {
        return None;
    }
    let present: Vec<_> = tree.drivers().ok()?.iter().map(|(subsystem, name)| format!("{subsystem}/{name}")).collect();
    Some(PrepareError::NoDriver {
        tree: tree.root().to_owned(),
        driver: format!("{subsystem}/{driver}"),
        present: match present.is_empty() {
            true => "there is none at all; `remotes tree install` lays them there".to_owned(),
            false => format!("there are {}", present.join(", ")),
        },
    })
}

/// Loads a driver. Where files of it are missing or of different versions, it is looked at again for a while: its copy
/// on this host may be under way.
fn load(
    tree: &Tree,
    identity: &Identity,
    policy: &Policy,
    deadline: Deadline,
) -> Result<(Driver, Manifest), PrepareError> {
    let engine = remotes_sandbox::engine(&policy.limits)?;
    let folder = tree.driver(&identity.subsystem, &identity.driver);
    let patience = deadline.within(PATIENCE);
    loop {
        match load_now(tree, &folder, &engine, deadline) {
            Ok((manifest, component)) => return Ok((Driver::new(engine, component), manifest)),
            Err(PrepareError::Cache(error)) if error.may_pass() && folder.is_dir() && !patience.passed() => {
                tracing::debug!(%error, "not whole, looking again");
                std::thread::sleep(PAUSE);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Loads it from the tree, or else from the host's cache, which is filled where it has nothing.
fn load_now(
    tree: &Tree,
    folder: &Path,
    engine: &Engine,
    deadline: Deadline,
) -> Result<(Manifest, Component), PrepareError> {
    let reason = match cache::load(folder, engine) {
        Err(CacheError::NotCompiled { reason, .. }) => reason,
        loaded => return Ok(loaded?),
    };
    tracing::warn!(driver = %folder.display(), reason, "the tree has no code for this machine, looking in its own cache");
    let installed = || cache::TrustedFolder::open(folder)?.manifest();
    let Some(host) = cache::Host::of_user() else {
        let reason = format!("{reason}; HOME is not set, so there is no cache");
        return Err(PrepareError::Compile { folder: folder.to_owned(), reason });
    };
    let manifest = installed()?;
    if let Ok(component) = host.load(&manifest, engine) {
        return Ok((manifest, component));
    }
    compile(tree, folder, deadline)?;
    // What was compiled is what is installed now.
    let manifest = installed()?;
    let component = host.load(&manifest, engine)?;
    Ok((manifest, component))
}

/// Has the bigger program, which holds the compiler, fill the host's cache. At the deadline it is ended, and so is what
/// it has started for it.
fn compile(tree: &Tree, folder: &Path, deadline: Deadline) -> Result<(), PrepareError> {
    let failed = |reason: String| PrepareError::Compile { folder: folder.to_owned(), reason };
    let arguments = [OsStr::new("tree"), OsStr::new("compile"), folder.as_os_str()];
    let process = Process::new(tree.program("remotes")).arguments(arguments);
    let process = ENVIRONMENT.iter().fold(process, |process, name| match std::env::var_os(name) {
        Some(value) => process.variable(name, value),
        None => process,
    });
    let outcome = process.run(deadline).map_err(|failure| failed(failure.message))?;
    match outcome.status == 0 {
        true => Ok(()),
        false => Err(failed(String::from_utf8_lossy(&outcome.stderr).trim().to_owned())),
    }
}
