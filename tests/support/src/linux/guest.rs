//! The guest: it answers to what is plugged in and out, and has QEMU's agent.

use std::path::{Path, PathBuf};

use super::{Archive, Kernel, libraries, program};
use crate::{Guest, build_folder};

/// Modules for its disks, its agent's channel and a file system that can be frozen, beside those that the kernel has
/// in itself.
const MODULES: [&str; 4] = ["virtio_pci", "virtio_blk", "virtio_console", "ext4"];

/// Programs that its agent needs, or that a test may start in it.
const PROGRAMS: [&str; 5] = ["/bin/sh", "/bin/cat", "/bin/kill", "/bin/sleep", "/sbin/hwclock"];

/// Where its first process mounts the disk.
pub const MOUNTED: &str = "/mnt";

/// What its first process says on the console once it has started its agent.
const UP: &str = "AGENT UP";

/// Kernel and memory of such guests, made once.
pub struct LinuxGuest {
    kernel: PathBuf,
    initrd: PathBuf,
}

impl LinuxGuest {
    /// Writes both into a folder; none where `make setup` could not get a kernel.
    ///
    /// # Panics
    /// Where the first process of such guests is not built, or a file cannot be read or written.
    pub fn in_folder(folder: &Path) -> Option<Self> {
        let unpacked = build_folder("REMOTES_KERNEL", "kernel");
        let kernel = Kernel::below(&unpacked)?;
        let (image, initrd) = (folder.join("vmlinuz"), folder.join("initrd"));
        std::fs::copy(&kernel.image, &image).unwrap();
        std::fs::write(&initrd, memory(&kernel, &unpacked.join("usr/sbin/qemu-ga"))).unwrap();
        Some(Self { kernel: image, initrd })
    }

    /// The deployment file of a guest with this kernel. Its disk may hold a file system of kind ext4.
    pub fn xml(&self, guest: &Guest) -> String {
        let (kernel, initrd) = (self.kernel.display(), self.initrd.display());
        let boot = format!(
            "<kernel>{kernel}</kernel><initrd>{initrd}</initrd>\
             <cmdline>console=ttyS0 quiet panic=-1 mitigations=off norandmaps</cmdline></os>"
        );
        let channel = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel></devices>";
        Guest { memory: 256, ..guest.clone() }
            .xml()
            // On this board devices are plugged by ACPI.
            .replace("machine='q35'", "machine='pc'")
            .replace("<bios useserial='yes'/>", "")
            .replace("<boot order='1'/>", "")
            .replace("</os>", &boot)
            .replace("</devices>", channel)
    }

    /// Waits until the guest is up and libvirt knows its agent. `description` asks libvirt for the domain's.
    ///
    /// # Errors
    /// When that does not happen, with what the guest's console says.
    pub fn wait_up(&self, guest: &Guest, mut description: impl FnMut() -> String) -> std::io::Result<()> {
        crate::until(&format!("the agent of {}", guest.name), || {
            Ok((self.console(guest)?.contains(UP) && description().contains("state='connected'")).then_some(()))
        })
        .map_err(|error| {
            std::io::Error::other(format!("{error}; its console: {}", self.console(guest).unwrap_or_default()))
        })
    }

    /// What the guest has said.
    ///
    /// # Errors
    /// Where its console cannot be read.
    pub fn console(&self, guest: &Guest) -> std::io::Result<String> {
        Ok(String::from_utf8_lossy(&std::fs::read(&guest.console)?).into_owned())
    }
}

/// What is in the guest's memory when it starts.
fn memory(kernel: &Kernel, agent: &Path) -> Vec<u8> {
    let mut image = Archive::default();
    for folder in ["/proc", "/sys", "/dev", "/run", "/tmp", "/root", "/etc", MOUNTED] {
        image.directory(Path::new(folder));
    }
    for name in ["bin", "sbin", "lib", "lib64"] {
        image.link(&Path::new("/").join(name), &format!("usr/{name}"));
    }
    image.link(Path::new("/var/run"), "/run");
    let init = first_process();
    libraries(&mut image, &init);
    image.copy(&init, Path::new("/init"));
    for (number, path) in kernel.modules(&MODULES).iter().enumerate() {
        image.copy(path, Path::new(&format!("/modules/{number:03}")));
    }
    PROGRAMS.iter().for_each(|path| program(&mut image, Path::new(path)));
    libraries(&mut image, agent);
    image.copy(agent, Path::new("/usr/sbin/qemu-ga"));
    image.finish()
}

/// Built beside the tests.
fn first_process() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let mut found = own.ancestors().skip(1).take(2).map(|folder| folder.join("linux-guest"));
    found.find(|path| path.is_file()).unwrap_or_else(|| {
        panic!("linux-guest is not built beside {}; `cargo build -p remotes-test-support` does it", own.display())
    })
}
