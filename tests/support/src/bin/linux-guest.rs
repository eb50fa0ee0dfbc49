//! The first process of a guest that runs Linux: brings the kernel up, mounts the disk, starts QEMU's agent, says so,
//! and buries orphans.
#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount};
use nix::sys::wait::wait;

/// The channel's name, by which libvirt and the agent know it.
const CHANNEL: &str = "org.qemu.guest_agent.0";

fn main() -> io::Result<()> {
    for (kind, place) in [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/run")] {
        mount(Some(kind), place, Some(kind), MsFlags::empty(), None::<&str>)?;
    }
    let mut modules: Vec<_> = fs::read_dir("/modules")?.collect::<Result<_, _>>()?;
    modules.sort_by_key(fs::DirEntry::file_name);
    for module in modules {
        finit_module(File::open(module.path())?, c"", ModuleInitFlags::empty())?;
    }
    // A disk without a file system is none to be frozen.
    if Path::new("/dev/vda").exists() {
        let _ = mount(Some("/dev/vda"), "/mnt", Some("ext4"), MsFlags::empty(), None::<&str>);
    }
    let port = loop {
        match port()? {
            Some(port) => break port,
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    Command::new("/usr/sbin/qemu-ga")
        .args(["--method=virtio-serial", "--statedir=/run", "--pidfile=/run/qemu-ga.pid", "--path"])
        .arg(&port)
        .env("PATH", "/usr/sbin:/usr/bin")
        .spawn()?;
    println!("AGENT UP");
    loop {
        if wait().is_err() {
            std::thread::sleep(Duration::from_secs(1));
        }
    }
}

/// The device of the agent's channel, once there is one.
fn port() -> io::Result<Option<std::path::PathBuf>> {
    let Ok(ports) = fs::read_dir("/sys/class/virtio-ports") else { return Ok(None) };
    for entry in ports {
        let entry = entry?;
        if fs::read_to_string(entry.path().join("name")).is_ok_and(|name| name.trim() == CHANNEL) {
            return Ok(Some(Path::new("/dev").join(entry.file_name())));
        }
    }
    Ok(None)
}
