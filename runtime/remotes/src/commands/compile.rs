//! Compiling, in a process of its own with limits: a component may be made to burst a compiler. Nothing of a
//! component is parsed outside of that process.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use remotes_effect::policy::Limits;
use remotes_sandbox::cache::manifest::{self, Manifest};
use remotes_sandbox::cache::{Host, TrustedFolder, digest};
use remotes_sandbox::{Component, Engine, compile};
use rustix::process::{Resource, Rlimit, setrlimit};
use tempfile::TempDir;

use super::tree::place;

/// Seconds of processor time that compiling one component may take.
const SECONDS: u64 = 300;
/// Bytes of address space that it may take.
const MEMORY: u64 = 8 << 30;

/// A component on its way in.
pub struct Compiled {
    /// As a component, also where it came as a core module.
    pub component: Vec<u8>,
    /// Its code for this architecture.
    pub code: Vec<u8>,
    folder: TempDir,
}

impl Compiled {
    /// Loads the code.
    pub fn load(&self, engine: &Engine) -> Result<Component> {
        let name = manifest::code_file(std::env::consts::ARCH);
        Ok(TrustedFolder::open(self.folder.path())?.load(engine, &name, &digest(&self.code))?)
    }
}

/// Reads a file that should be a component, and no more of it than a component has.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let problem = || path.display().to_string();
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(problem)?;
    file.take(compile::LARGEST as u64 + 1).read_to_end(&mut bytes).with_context(problem)?;
    Ok(bytes)
}

/// Has another process compile a component or core module.
pub fn component(bytes: &[u8]) -> Result<Compiled> {
    let folder = tempfile::tempdir().context("no folder for compiling")?;
    let given = folder.path().join("given.wasm");
    fs::write(&given, bytes).context("the folder for compiling")?;
    let output = Command::new(std::env::current_exe()?)
        .args(["tree", "precompile"])
        .args([&given, folder.path()])
        .stdin(Stdio::null())
        .output()
        .context("cannot start the compiling process")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().trim_start_matches("remotes: ").to_owned();
        match said.is_empty() {
            true => bail!(
                "compiling the component was ended ({}): it needs more than {SECONDS} s or {} GiB",
                output.status,
                MEMORY >> 30
            ),
            false => bail!("{said}"),
        }
    }
    let read = |name: &str| fs::read(folder.path().join(name)).context("what was compiled cannot be read");
    let (component, code) = (read(manifest::COMPONENT)?, read(&manifest::code_file(std::env::consts::ARCH))?);
    Ok(Compiled { component, code, folder })
}

/// That other process: lays component and code into a folder.
pub fn one(given: &Path, folder: &Path) -> Result<ExitCode> {
    limit(Resource::Cpu, SECONDS)?;
    limit(Resource::As, MEMORY)?;
    let component = compile::component(&read(given)?)?;
    let engine = remotes_sandbox::engine(&Limits::default())?;
    let code = compile::precompile(&engine, &component)?;
    let write = |name: &str, content: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, content).with_context(|| path.display().to_string())
    };
    write(manifest::COMPONENT, &component)?;
    write(&manifest::code_file(std::env::consts::ARCH), &code)?;
    Ok(ExitCode::SUCCESS)
}

fn limit(resource: Resource, most: u64) -> Result<()> {
    let limit = Rlimit { current: Some(most), maximum: Some(most) };
    setrlimit(resource, limit).context("cannot set a limit on compiling")
}

/// Fills the host's own cache with a driver of a tree that has no code for this machine.
pub fn for_host(folder: &Path) -> Result<ExitCode> {
    let trusted = TrustedFolder::open(folder)?;
    let own = trusted.manifest()?;
    let bytes = trusted.read(manifest::COMPONENT, compile::LARGEST as u64)?;
    let found = digest(&bytes);
    if found != own.component {
        bail!(
            "{}: its component is not what was installed (recorded {}, found {found})",
            folder.display(),
            own.component
        );
    }
    let Some(host) = Host::of_user() else { bail!("HOME is not set: there is no place for a cache") };
    let target = host.folder(&own.component);
    let code = component(&bytes)?.code;
    let manifest = Manifest { precompiled: [(std::env::consts::ARCH.to_owned(), digest(&code))].into(), ..own };
    place::folder(&target)?;
    place::file(&target.join(manifest::code_file(std::env::consts::ARCH)), &code, place::DATA)?;
    place::file(&target.join(manifest::FILE), toml::to_string_pretty(&manifest)?.as_bytes(), place::DATA)?;
    Ok(ExitCode::SUCCESS)
}
