//! A tree in a temporary folder, and a machine on a libvirtd of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use remotes_effect::policy::{Pattern, Policy};
use remotes_test_support::{Guest, PrivateLibvirt};
use tempfile::TempDir;

/// The tree.
pub struct Scene {
    folder: TempDir,
}

impl Scene {
    pub fn new(dist: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let program = dist.join("bin/remotes");
        let status = Command::new(&program)
            .args(["tree", "install"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .status()
            .with_context(|| format!("{}: run `make bench`, which builds it", program.display()))?;
        if !status.success() {
            bail!("remotes tree install: {status}");
        }
        Ok(Self { folder })
    }

    /// Something in the tree.
    pub fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// An action's stub with arguments.
    pub fn action(&self, driver: &str, action: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.folder.path().join("vmm").join(driver).join(action));
        command.args(arguments);
        command
    }
}

/// A running machine.
pub struct Machine<'a> {
    scene: &'a Scene,
    libvirt: PrivateLibvirt,
    guest: Guest,
}

impl<'a> Machine<'a> {
    pub fn new(scene: &'a Scene) -> Result<Self> {
        let libvirt = PrivateLibvirt::start()?;
        let guest = Guest::new(&libvirt, 7)?;
        let etc = scene.folder.path().join("etc/vmm/kvm");
        std::fs::write(etc.join("kvmrc"), format!("LIBVIRT_URI='{}'\n", libvirt.uri()))?;
        let file = etc.join("policy.toml");
        let mut policy = Policy::read(&file)?;
        policy.libvirt.get_or_insert_default().uris.push(Pattern(libvirt.uri().to_owned()));
        std::fs::write(&file, toml::to_string(&policy)?)?;
        let xml = guest.folder.join("domain.xml");
        std::fs::write(&xml, guest.xml())?;
        let machine = Self { scene, libvirt, guest };
        let status = machine.virsh("create").arg(&xml).stdout(Stdio::null()).status()?;
        if !status.success() {
            bail!("virsh create: {status}");
        }
        Ok(machine)
    }

    pub fn reboot(&self) -> Command {
        self.scene.action("kvm", "reboot", &[&self.guest.uuid, "localhost", "7", "localhost"])
    }

    pub fn reset(&self) -> Command {
        self.scene.action("kvm", "reset", &[&self.guest.uuid, "localhost", "7", "localhost"])
    }

    /// The same driver without WebAssembly.
    pub fn native(&self, program: &Path, action: &str) -> Command {
        let mut command = Command::new(program);
        command.arg(self.scene.folder.path());
        command.args([&format!("vmm/kvm/{action}"), &self.guest.uuid, "localhost", "7", "localhost"]);
        command
    }

    pub fn virsh(&self, command: &str) -> Command {
        let mut virsh = Command::new("virsh");
        virsh.args(["--connect", self.libvirt.uri(), command]);
        if command != "create" {
            virsh.arg(&self.guest.uuid);
        }
        virsh
    }

    /// Waits until the guest is up after what was done to it, so that the next does not meet it half-way.
    pub fn settle(&self) {
        let _ = std::fs::write(&self.guest.console, "");
        let status = self.virsh("reset").stdout(Stdio::null()).status();
        assert!(status.is_ok_and(|status| status.success()), "virsh reset failed: nothing can be measured");
        if let Err(error) = self.guest.wait_up(1) {
            panic!("the guest does not come up: {error}");
        }
    }
}
