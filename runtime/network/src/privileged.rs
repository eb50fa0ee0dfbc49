//! Programs that change the network: run as they are by who has the rights, otherwise as far as sudoers
//! lets them.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use remotes_effect::deadline::Deadline;
use remotes_effect::tools::Outcome;
use remotes_effect::types::Failure;
use remotes_process::report::{io_failure, shown};
use remotes_process::{Process, last_line, system_program};

/// Bytes that a listing may have: ten thousand rules, or links with all their attributes.
const LISTING: usize = 64 * 1024 * 1024;

/// The program in the remotes tree that sudoers has for commands in a namespace, which is named by a variable.
const ENTER: &str = "ip_netns_exec";
const NAMESPACE: &str = "NETNS";

/// What sudo is and runs.
#[derive(Debug, Clone)]
struct Sudo {
    program: PathBuf,
    /// OpenNebula's own programs for networks, as sudoers names them: `vnm` in the remotes tree
    scripts: PathBuf,
}

/// Runs a program of the system and reads what it says.
#[derive(Debug, Clone)]
pub struct Privileged {
    deadline: Deadline,
    /// what gives the rights; none where this process has them
    sudo: Option<Sudo>,
    /// what programs hold on to while they run
    held: Option<Arc<OwnedFd>>,
}

impl Privileged {
    /// By the rights that this process has.
    pub fn own(deadline: Deadline) -> Self {
        Self { deadline, sudo: None, held: None }
    }

    /// By this `sudo`, as far as the stock sudoers rules go; `scripts` is the folder `vnm` of the remotes tree.
    pub fn by_sudo(sudo: PathBuf, scripts: PathBuf, deadline: Deadline) -> Self {
        Self { deadline, sudo: Some(Sudo { program: sudo, scripts }), held: None }
    }

    /// Whether this process has the rights itself.
    pub fn is_own(&self) -> bool {
        self.sudo.is_none()
    }

    /// When changes must have ended.
    pub fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// The same; programs hold this descriptor as long as they run, also when this process ends before
    /// them. Those that sudo runs do not: it closes what it does not know.
    pub(super) fn holding(&self, descriptor: Arc<OwnedFd>) -> Self {
        Self { held: Some(descriptor), ..self.clone() }
    }

    /// Runs it as root, to its end.
    pub fn run(&self, program: &str, arguments: &[&str], input: &[u8]) -> Result<Outcome, Failure> {
        match &self.sudo {
            None => {
                let path = system_program(program).ok_or_else(|| {
                    Failure::unavailable(format!("{program}: is not installed; install it on this host"))
                })?;
                self.start(Process::new(path).arguments(arguments.iter().copied()), input)
            }
            Some(sudo) => {
                let words = ["-n", program].into_iter().chain(arguments.iter().copied());
                self.start(Process::new(&sudo.program).arguments(words), input)
            }
        }
    }

    /// Whether nothing is missing to run programs in other namespaces.
    pub(super) fn can_enter_namespaces(&self) -> Result<(), Failure> {
        let Some(sudo) = &self.sudo else { return Ok(()) };
        let program = sudo.scripts.join(ENTER);
        match program.is_file() {
            true => Ok(()),
            false => Err(Failure::unavailable(format!(
                "{}: is not there; it comes with OpenNebula, and sudoers allows commands in network namespaces by it \
                 alone: install it, or root's effect server (share/doc/remotes/adoption.md)",
                shown(&program)
            ))),
        }
    }

    /// Runs `ip` or `sysctl` in a network namespace.
    pub(super) fn run_inside(&self, namespace: &str, words: &[&str]) -> Result<Outcome, Failure> {
        match &self.sudo {
            None => self.run("ip", &[&["netns", "exec", namespace], words].concat(), &[]),
            Some(sudo) => {
                let program = sudo.scripts.join(ENTER);
                let before = ["-n".into(), format!("--preserve-env={NAMESPACE}").into(), program.into_os_string()];
                let words = before.into_iter().chain(words.iter().map(OsString::from));
                self.start(Process::new(&sudo.program).variable(NAMESPACE, namespace).arguments(words), &[])
            }
        }
    }

    /// Runs a program by its path, which may leave others behind that go on.
    pub(super) fn run_daemon(&self, program: &Path, word: &str) -> Result<Outcome, Failure> {
        let process = match &self.sudo {
            None => Process::new(program),
            Some(sudo) => Process::new(&sudo.program).arguments(["-n".into(), program.as_os_str().to_owned()]),
        };
        // It must not hold the lock for as long as it runs.
        Self { held: None, ..self.clone() }.start(process.arguments([word]).leaving_others(), &[])
    }

    fn start(&self, mut process: Process, input: &[u8]) -> Result<Outcome, Failure> {
        if let Some(held) = &self.held {
            let copy = held.try_clone().map_err(|error| io_failure("the lock", "hand it on", &error))?;
            process.inherit(copy);
        }
        process.input(input).limit(LISTING).run(self.deadline)
    }

    /// Runs it as root; whatever is not success is the failure to do `what`.
    pub fn must(&self, program: &str, arguments: &[&str], what: &str) -> Result<Vec<u8>, Failure> {
        let outcome = self.run(program, arguments, &[])?;
        if outcome.status == 0 { Ok(outcome.stdout) } else { Err(failure(what, &outcome)) }
    }
}

/// The line that says what was wrong: around it these tools say where, what else they know, and how they are called.
fn telling_line(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let is_error = |line: &&str| line.starts_with("Error") && !line.starts_with("Error occurred at line");
    let is_beside =
        |line: &str| ["Error occurred at line", "Try `", "Usage:", "Warning"].iter().any(|it| line.starts_with(it));
    match lines().find(is_error).or_else(|| lines().find(|line| !is_beside(line))) {
        Some(line) => last_line(line.as_bytes()),
        None => last_line(stderr),
    }
}

/// Why `what` could not be done, by what the program says.
pub(super) fn failure(what: &str, outcome: &Outcome) -> Failure {
    let said = telling_line(&outcome.stderr);
    let said = if said.is_empty() { format!("exit status {}", outcome.status) } else { said };
    let message = format!("cannot {what}: {said}");
    let says = |texts: &[&str]| texts.iter().any(|text| said.contains(text));
    if says(&["Cannot find device", "does not exist", "No such", "doesn't exist"]) {
        Failure::not_found(message)
    } else if says(&["File exists", "already exists"]) {
        Failure::exists(message)
    } else if says(&["in use", "busy", "Another app is currently holding"]) {
        Failure::busy(message)
    } else if says(&["Operation not supported", "Unknown device type", "not supported"]) {
        Failure::unsupported(message)
    } else if says(&["Operation not permitted", "Permission denied", "a password is required", "not allowed"]) {
        Failure::failed(format!("{message}; the runtime's user needs root, or a rule in sudoers, for this"))
    } else {
        Failure::failed(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_tells_most_is_shown() {
        for (stderr, line) in [
            (
                "iptables-restore v1.8.9 (nf_tables): unknown protocol \"x\"\nError occurred at line: 3\nTry `iptables-restore -h'\n",
                "iptables-restore v1.8.9 (nf_tables): unknown protocol \"x\"",
            ),
            (
                "Warning: odd\nError: argument \"x\" is wrong: a\nLABEL := 0-1048575\n",
                "Error: argument \"x\" is wrong: a",
            ),
            ("RTNETLINK answers: File exists\n", "RTNETLINK answers: File exists"),
            ("Usage: ip link\n", "Usage: ip link"),
            ("", ""),
        ] {
            assert_eq!(telling_line(stderr.as_bytes()), line);
        }
    }
}
