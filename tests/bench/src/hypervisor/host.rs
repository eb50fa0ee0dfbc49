//! A private libvirtd with the machine that is measured.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use remotes_integration::calls::{equipped, file, stdin};
use remotes_integration::{Scene, Tree, scene};
use remotes_test_support::Guest;
use remotes_test_support::linux::LinuxGuest;

/// The daemon, the tree and the machine.
pub struct Host {
    pub scene: Scene,
    pub guest: Guest,
}

impl Host {
    /// The machine runs.
    pub fn new(bench: &crate::scene::Scene) -> Result<Self> {
        let scene = Scene::with(scene::folder(), Tree::at(bench.root()));
        let guest = scene.equipped(7);
        std::fs::write(file(&guest, "deployment"), equipped(&guest))?;
        Ok(Self { scene, guest })
    }

    /// The same on a host with a bridge, of which the daemon is the system's: taps are root's.
    pub fn bridged(bench: &crate::scene::Scene) -> Result<Self> {
        let scene = Self::system(bench);
        let guest = scene.equipped(7);
        std::fs::write(file(&guest, "deployment"), equipped(&guest))?;
        Ok(Self { scene, guest })
    }

    /// The same with a machine that runs Linux and has an agent; none where there is no kernel for it.
    pub fn answering(bench: &crate::scene::Scene) -> Result<Option<Self>> {
        let scene = Self::system(bench);
        let guest = scene.guest(8);
        let Some(linux) = LinuxGuest::in_folder(&scene.path("datastores")) else { return Ok(None) };
        std::fs::write(file(&guest, "deployment"), linux.xml(&guest))?;
        let host = Self { scene, guest };
        host.does(host.virsh_without(&["create", &file(&host.guest, "deployment")]))?;
        linux.wait_up(&host.guest, || host.scene.virsh(&["dumpxml", &host.guest.name]).stdout)?;
        Ok(Some(host))
    }

    fn system(bench: &crate::scene::Scene) -> Scene {
        let scene = Scene::host_with(scene::folder(), Tree::at(bench.root()));
        scene.configure(&[("DEFAULT_ATTACH_NIC_MODEL", "virtio")]);
        scene::system_within(&scene, "ip link add br0 type bridge && ip link set br0 up");
        scene
    }

    /// An action on the machine, by its stub.
    pub fn action(&self, action: &str) -> Command {
        self.scene.command(action, &self.guest)
    }

    /// A file with what oned has on the action's standard input.
    pub fn input(&self, action: &str) -> Result<PathBuf> {
        let text = if action == "deploy" { equipped(&self.guest) } else { stdin(action, &self.guest) };
        let path = self.scene.path(action);
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// virsh with the machine's name behind the first word.
    pub fn virsh(&self, words: &[&str]) -> Command {
        let mut command = self.virsh_without(&words[..1]);
        command.arg(&self.guest.name).args(&words[1..]);
        command
    }

    /// virsh with these words.
    pub fn virsh_without(&self, words: &[&str]) -> Command {
        let mut command = self.scene.libvirt.command("virsh");
        command.args(["--connect", self.scene.libvirt.uri()]).args(words);
        command
    }

    /// Milliseconds of several steps.
    pub fn timed(&self, steps: impl FnOnce() -> Result<()>) -> Result<f64> {
        let started = Instant::now();
        steps()?;
        Ok(started.elapsed().as_secs_f64() * 1e3)
    }

    /// Whether virsh succeeds.
    pub fn tries(&self, mut command: Command) -> Result<bool> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(command.status().context("virsh")?.success())
    }

    /// Has virsh succeed.
    pub fn does(&self, command: Command) -> Result<()> {
        let shown = format!("{command:?}");
        if self.tries(command)? { Ok(()) } else { bail!("{shown} failed: nothing can be measured") }
    }

    /// The machine, new and up.
    pub fn start(&self) -> Result<()> {
        self.stop()?;
        std::fs::write(&self.guest.console, "")?;
        self.does(self.virsh_without(&["create", &file(&self.guest, "deployment")]))?;
        Ok(self.guest.wait_up(1)?)
    }

    /// No machine.
    pub fn stop(&self) -> Result<()> {
        self.tries(self.virsh(&["destroy"]))?;
        Ok(())
    }

    /// Whether there is such a disk.
    pub fn has_disk(&self, target: &str) -> Result<bool> {
        self.tries(self.virsh(&["domblkinfo", target]))
    }

    /// Waits until the machine's QEMU is gone.
    pub fn until_gone(&self) -> Result<()> {
        let run = self.scene.libvirt.folder().join("run/libvirt/qemu/run");
        let pid = run.join(format!("{}.pid", self.guest.name));
        let patience = Instant::now() + Duration::from_secs(60);
        while pid.exists() {
            if Instant::now() > patience {
                bail!("the machine does not end");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Waits until the guest is up after what was done to it, so that the next does not meet it half-way.
    pub fn settle(&self) -> Result<()> {
        std::fs::write(&self.guest.console, "")?;
        self.does(self.virsh(&["reset"]))?;
        Ok(self.guest.wait_up(1)?)
    }
}
