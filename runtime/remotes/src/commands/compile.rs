//! Compiling, in a process of its own with limits: a component may be made to burst a compiler. Nothing of a
//! component is parsed outside of that process. Component and code go through pipes, so that nothing is left where
//! either process is ended.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, ExitCode, Output, Stdio};

use anyhow::{Context, Result, bail};
use remotes_effect::policy::Limits;
use remotes_sandbox::cache::manifest::{self, Manifest};
use remotes_sandbox::cache::{self, Host, digest};
use remotes_sandbox::inspect::{Inspection, inspect};
use remotes_sandbox::{Component, Driver, Engine, compile};
use rustix::process::{Resource, Rlimit, setrlimit};

use super::tree::{place, strays, unfinished};
use crate::output;

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
}

impl Compiled {
    /// Loads the code.
    pub fn load(&self, engine: &Engine) -> Result<Component> {
        cache::load_compiled(engine, &self.code).map_err(anyhow::Error::msg).context("what was compiled does not load")
    }
}

/// A driver that was compiled and loaded.
pub struct Loaded {
    pub driver: Driver,
    pub inspection: Inspection,
    pub compiled: Compiled,
}

/// Compiles and loads the component at a path, which has to be a driver of this subsystem.
pub fn driver(path: &Path, limits: &Limits, subsystem: &str) -> Result<Loaded> {
    let compiled = component(&read(path)?).with_context(|| path.display().to_string())?;
    let engine = remotes_sandbox::engine(limits)?;
    let loaded = compiled.load(&engine)?;
    let inspection = inspect(&engine, &loaded);
    if !inspection.subsystems.iter().any(|found| found == subsystem) {
        let found = match inspection.subsystems.join(", ") {
            none if none.is_empty() => "none at all".to_owned(),
            found => format!("one of {found}"),
        };
        bail!("{}: expected a driver of {subsystem}; it is {found}", path.display());
    }
    Ok(Loaded { driver: Driver::new(engine, loaded), inspection, compiled })
}

/// Reads a file that should be a component, and no more of it than a component has. The folder of a driver does as
/// well, in a tree or where drivers come from.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    if path.join(manifest::FILE).exists() {
        return Ok(cache::component(path, compile::LARGEST as u64)?.1);
    }
    let path = if path.is_dir() { path.join(manifest::COMPONENT) } else { path.to_owned() };
    let problem = || path.display().to_string();
    let mut bytes = Vec::new();
    let file = File::open(&path).with_context(problem)?;
    file.take(compile::LARGEST as u64 + 1).read_to_end(&mut bytes).with_context(problem)?;
    Ok(bytes)
}

/// Has another process compile a component or core module.
pub fn component(bytes: &[u8]) -> Result<Compiled> {
    let output = apart(bytes).context("cannot start the compiling process")?;
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
    let (component, code) = taken_apart(&output.stdout).context("the compiling process answered something else")?;
    Ok(Compiled { component: component.to_vec(), code: code.to_vec() })
}

/// Runs that other process with a component as its input.
fn apart(bytes: &[u8]) -> std::io::Result<Output> {
    // Not by its path, where another version may have been put meanwhile.
    let mut command = Command::new("/proc/self/exe");
    command.args(["tree", "precompile", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut input) = child.stdin.take() {
        match input.write_all(bytes) {
            // It has ended, and says why.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(error),
            _ => {}
        }
    }
    child.wait_with_output()
}

/// Takes an answer apart: the length of the component in eight bytes, the component, its code.
fn taken_apart(answer: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = answer.split_first_chunk::<8>()?;
    rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)
}

/// That other process: a component on standard input, what comes of it on standard output.
pub fn one() -> Result<ExitCode> {
    limit(Resource::Cpu, SECONDS)?;
    limit(Resource::As, MEMORY)?;
    let mut given = Vec::new();
    std::io::stdin().take(compile::LARGEST as u64 + 1).read_to_end(&mut given).context("standard input")?;
    let component = compile::component(&given)?;
    let engine = remotes_sandbox::engine(&Limits::default())?;
    let code = compile::precompile(&engine, &component)?;
    let length = (component.len() as u64).to_le_bytes();
    output::print([&length[..], &component, &code].concat())?;
    Ok(ExitCode::SUCCESS)
}

fn limit(resource: Resource, most: u64) -> Result<()> {
    let limit = Rlimit { current: Some(most), maximum: Some(most) };
    setrlimit(resource, limit).context("cannot set a limit on compiling")
}

/// Fills the host's own cache with a driver of a tree that has no code for this machine.
pub fn for_host(folder: &Path) -> Result<ExitCode> {
    let (own, bytes) = cache::component(folder, compile::LARGEST as u64)?;
    let Some(host) = Host::of_user() else { bail!("HOME is not set: there is no place for a cache") };
    let target = host.folder(&own.component);
    place::folder(&target)?;
    // Several actions may want it at once: one of them compiles.
    let _lock = place::lock(&target)?;
    if host.load(&own, &remotes_sandbox::engine(&Limits::default())?).is_ok() {
        return Ok(ExitCode::SUCCESS);
    }
    unfinished::sweep([target.clone()])?;
    let code = component(&bytes)?.code;
    let precompiled = [(std::env::consts::ARCH.to_owned(), digest(&code))].into();
    let manifest = Manifest { precompiled, previous: BTreeSet::new(), ..own };
    let code_file = manifest::code_file(std::env::consts::ARCH, &digest(&code));
    place::file(&target.join(code_file), &code, place::DATA)?;
    place::file(&target.join(manifest::FILE), toml::to_string_pretty(&manifest)?.as_bytes(), place::DATA)?;
    // The code of before, which did not load.
    for name in strays::parts_left(&target, &manifest)? {
        place::forget(&target.join(name))?;
    }
    host.sweep();
    Ok(ExitCode::SUCCESS)
}
