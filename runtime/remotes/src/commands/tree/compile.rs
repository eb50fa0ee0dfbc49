//! Compiling, in a process of its own with limits: a component may be made to burst a compiler.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use remotes_effect::policy::Limits;
use remotes_sandbox::cache::manifest::{self, Manifest};
use remotes_sandbox::cache::{Host, TrustedFolder, digest};
use remotes_sandbox::compile;
use rustix::process::{Resource, Rlimit, setrlimit};

use super::place;

/// Seconds of processor time that compiling one component may take.
const SECONDS: u64 = 300;
/// Bytes of address space that it may take.
const MEMORY: u64 = 8 << 30;

/// Has another process compile a component; returns the code.
pub fn component(bytes: &[u8]) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir().context("no folder for compiling")?;
    let (from, to) = (folder.path().join("component.wasm"), folder.path().join("component.cwasm"));
    fs::write(&from, bytes)?;
    let output = Command::new(std::env::current_exe()?)
        .args(["tree", "precompile"])
        .args([&from, &to])
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
    fs::read(&to).context("the compiled code cannot be read")
}

/// That other process.
pub fn one(component: &Path, code: &Path) -> Result<ExitCode> {
    limit(Resource::Cpu, SECONDS)?;
    limit(Resource::As, MEMORY)?;
    let bytes = fs::read(component).with_context(|| component.display().to_string())?;
    let engine = remotes_sandbox::engine(&Limits::default())?;
    fs::write(code, compile::precompile(&engine, &bytes)?).with_context(|| code.display().to_string())?;
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
    let code = component(&bytes)?;
    let manifest = Manifest { precompiled: [(std::env::consts::ARCH.to_owned(), digest(&code))].into(), ..own };
    place::folder(&target)?;
    place::file(&target.join(manifest::code_file(std::env::consts::ARCH)), &code, place::DATA)?;
    place::file(&target.join(manifest::FILE), toml::to_string_pretty(&manifest)?.as_bytes(), place::DATA)?;
    Ok(ExitCode::SUCCESS)
}
