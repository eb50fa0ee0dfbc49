//! A tree, a datastore and a machine in a temporary folder.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use remotes_effect::policy::{Access, Pattern, Policy};
use remotes_test_support::Guest;
use tempfile::TempDir;

use crate::show;

/// The machine's id, as oned would have given it.
const VM: u32 = 7;
const HOST: &str = "localhost";

/// Everything the demonstration needs; gone when dropped.
pub struct Scene {
    folder: TempDir,
    journal: PathBuf,
    seen: usize,
    deployed: Option<String>,
    pub guest: Guest,
}

impl Scene {
    pub fn new(dist: &Path, uri: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("one").tempdir()?;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
        let (tree, journal) = (folder.path().join("remotes"), folder.path().join("journal"));
        install(dist, &tree)?;
        let datastores = folder.path().join("datastores");
        // Its own folders for a session daemon, so that no other session is disturbed.
        for name in ["run", "data", "config", "home"] {
            std::fs::create_dir(folder.path().join(name))?;
        }
        let guest = Guest::in_folder(&datastores.join("0").join(VM.to_string()), VM)?;
        configure(&tree, uri, &datastores, &journal)?;
        Ok(Self { folder, journal, seen: 0, deployed: None, guest })
    }

    /// A file in the machine's folder.
    pub fn file(&self, name: &str) -> String {
        self.guest.folder.join(name).display().to_string()
    }

    /// The document that oned sends with most actions, as far as these actions read it.
    pub fn document(&self) -> String {
        format!(
            "<VMM_DRIVER_ACTION_DATA><HOST>{HOST}</HOST><VM><ID>{VM}</ID></VM>\
             <DATASTORE><TM_MAD>qcow2</TM_MAD></DATASTORE></VMM_DRIVER_ACTION_DATA>"
        )
    }

    pub fn document_for(&self, uuid: &str) -> String {
        self.document().replace("<VM>", &format!("<DEPLOY_ID>{uuid}</DEPLOY_ID><VM>"))
    }

    /// Calls an action through its stub, as oned does, and shows what it did.
    pub fn act(&mut self, action: &str, first: &[&str], stdin: &str) -> Result<String> {
        let mut arguments: Vec<String> = first.iter().map(|argument| (*argument).to_owned()).collect();
        arguments.push(HOST.to_owned());
        if action == "restore" {
            arguments.push(self.deployed.clone().unwrap_or_default());
        }
        arguments.extend([VM.to_string(), HOST.to_owned()]);
        let started = Instant::now();
        let mut child = self
            .command(action)
            .args(&arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start the stub of {action}"))?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(stdin.as_bytes())?;
        }
        let output = child.wait_with_output()?;
        let elapsed = started.elapsed();
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        self.seen = show::action(action, &self.journal, self.seen, elapsed, &stdout, &stderr)?;
        if !output.status.success() {
            bail!("{action} failed ({}): {}", output.status, stderr.trim());
        }
        match action {
            "deploy" => self.deployed = Some(stdout.trim().to_owned()),
            "shutdown" | "cancel" => self.deployed = None,
            _ => {}
        }
        Ok(stdout)
    }

    fn command(&self, action: &str) -> Command {
        let mut command = Command::new(self.folder.path().join("remotes/vmm/kvm").join(action));
        for (variable, folder) in
            [("XDG_RUNTIME_DIR", "run"), ("XDG_DATA_HOME", "data"), ("XDG_CONFIG_HOME", "config"), ("HOME", "home")]
        {
            command.env(variable, self.folder.path().join(folder));
        }
        command
    }

    /// Ends the machine if an action left it running.
    pub fn end(&mut self) {
        if let Some(uuid) = self.deployed.take() {
            let arguments = [uuid.as_str(), HOST, "7", HOST];
            let _ = self.command("cancel").args(arguments).stdin(Stdio::null()).status();
        }
    }
}

fn install(dist: &Path, tree: &Path) -> Result<()> {
    let program = dist.join("bin/remotes");
    let status = Command::new(&program)
        .args(["tree", "install", "--driver", "vmm/kvm"])
        .arg(tree)
        .stdout(Stdio::null())
        .status()
        .with_context(|| format!("{}: run `make build` first", program.display()))?;
    if !status.success() {
        bail!("remotes tree install: {status}");
    }
    Ok(())
}

/// What an operator would edit: kvmrc and the driver's policy.
fn configure(tree: &Path, uri: &str, datastores: &Path, journal: &Path) -> Result<()> {
    let folder = tree.join("etc/vmm/kvm");
    std::fs::write(folder.join("kvmrc"), format!("export LIBVIRT_URI={uri}\nexport SYNC_TIME=no\n"))?;
    let file = folder.join("policy.toml");
    let mut policy = Policy::read(&file)?;
    policy.paths.0.insert(datastores.display().to_string(), Access::ReadWrite);
    policy.journal = Some(journal.display().to_string());
    if let Some(libvirt) = &mut policy.libvirt {
        libvirt.uris.push(Pattern(uri.to_owned()));
    }
    Ok(std::fs::write(&file, toml::to_string(&policy)?)?)
}
