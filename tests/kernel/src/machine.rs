//! The machine.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Kernel;

/// Long enough for a slow machine that has other things to do; a hang is ended by it.
const LIMIT: Duration = Duration::from_secs(25 * 60);

/// What the machine said until it was off.
pub struct Console(pub String);

impl Console {
    /// Its lines, without what the terminal needs.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.0.lines().map(|line| line.trim_end_matches('\r'))
    }
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a machine with this file system until it is off, with what it said.
///
/// # Panics
/// When QEMU cannot be run, or the machine is not off in time.
pub fn boot(kernel: &Kernel, image: &[u8]) -> Console {
    let folder = tempfile::tempdir().unwrap();
    let (console, initrd) = (folder.path().join("console"), folder.path().join("initrd"));
    std::fs::write(&initrd, image).unwrap();
    let read = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
    let mut machine = Running(
        Command::new("qemu-system-x86_64")
            .args(["-no-user-config", "-nodefaults", "-display", "none", "-no-reboot"])
            .args(["-machine", "pc,accel=tcg", "-cpu", "max", "-m", "1024"])
            .arg("-kernel")
            .arg(&kernel.image)
            .arg("-initrd")
            .arg(&initrd)
            .args(["-append", "console=ttyS0 quiet panic=-1 mitigations=off"])
            .arg("-serial")
            .arg(format!("file:{}", console.display()))
            .stdin(Stdio::null())
            .spawn()
            .expect("qemu-system-x86_64"),
    );
    let started = Instant::now();
    loop {
        if let Some(status) = machine.0.try_wait().unwrap() {
            assert!(status.success(), "QEMU: {status}\n{}", read(&console));
            return Console(read(&console));
        }
        assert!(started.elapsed() < LIMIT, "the machine is not off in time\n{}", read(&console));
        std::thread::sleep(Duration::from_millis(50));
    }
}
