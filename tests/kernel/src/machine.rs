//! The machine.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Kernel;

/// Longer than a slow machine with other things to do needs for all.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// The kernel's command line. Programs lie at the same addresses each time, so that QEMU translates their code
/// once: that halves the time. Tools are found by `PATH`; with `CI`, nothing is skipped.
const COMMAND_LINE: &str = "console=ttyS0 quiet panic=-1 mitigations=off norandmaps PATH=/usr/sbin:/usr/bin CI=true";

/// How many lines of a console are shown of a machine that had to be ended.
const SHOWN: usize = 40;

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

/// Runs a machine with this file system until it is off, with what it said. Words are its first process's
/// environment, `KEY=value` each.
///
/// # Errors
/// The reason and the console's last lines, when QEMU fails, when the machine says nothing for as long as
/// `patience`, or when it takes too long as a whole. It has ended then.
///
/// # Panics
/// When QEMU cannot be run.
pub fn boot(kernel: &Kernel, image: &[u8], words: &str, patience: Duration) -> Result<Console, String> {
    let folder = tempfile::tempdir().unwrap();
    let (console, initrd) = (folder.path().join("console"), folder.path().join("initrd"));
    std::fs::write(&initrd, image).unwrap();
    let read = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
    let mut machine = Running(
        Command::new("qemu-system-x86_64")
            .args(["-no-user-config", "-nodefaults", "-display", "none", "-no-reboot"])
            .args(["-machine", "pc,accel=tcg", "-cpu", "max", "-m", "768"])
            .arg("-kernel")
            .arg(&kernel.image)
            .arg("-initrd")
            .arg(&initrd)
            .arg("-append")
            .arg(format!("{COMMAND_LINE} {words}"))
            .arg("-serial")
            .arg(format!("file:{}", console.display()))
            .stdin(Stdio::null())
            .spawn()
            .expect("qemu-system-x86_64"),
    );
    let failed = |what: String| Err(format!("{what}; its last lines:\n{}", last(&read(&console))));
    let started = Instant::now();
    let mut said = (0, started);
    loop {
        if let Some(status) = machine.0.try_wait().unwrap() {
            return if status.success() { Ok(Console(read(&console))) } else { failed(format!("QEMU: {status}")) };
        }
        let length = std::fs::metadata(&console).map_or(0, |file| file.len());
        if length != said.0 {
            said = (length, Instant::now());
        }
        if said.1.elapsed() > patience {
            return failed(format!("the machine said nothing for {} s", patience.as_secs()));
        }
        if started.elapsed() > LIMIT {
            return failed(format!("the machine is not off after {} s", LIMIT.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn last(console: &str) -> String {
    let lines: Vec<&str> = console.lines().collect();
    lines[lines.len().saturating_sub(SHOWN)..].join("\n")
}
