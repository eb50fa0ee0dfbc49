//! An sshd of the test's own on loopback, with its own host key, and a client's configuration for it.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::until;

/// What its key is known by.
const ALIAS: &str = "sshd-of-a-test";

/// Runs until it is dropped. `ssh -F CONFIG HOST` reaches it.
pub struct Sshd {
    folder: TempDir,
    daemon: Child,
}

impl Sshd {
    /// Starts it. The client knows it by each of these names; sessions find these variables in their
    /// environment.
    ///
    /// Fails where sshd is missing (package openssh-server).
    pub fn start(names: &[&str], environment: &[(&str, &str)]) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("sshd").tempdir()?;
        for key in ["host_key", "user_key"] {
            let path = folder.path().join(key);
            let status = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-C", key, "-f"])
                .arg(&path)
                .stdin(Stdio::null())
                .status()?;
            if !status.success() {
                return Err(io::Error::other(format!("ssh-keygen: {status}")));
            }
        }
        std::fs::copy(folder.path().join("user_key.pub"), folder.path().join("authorized_keys"))?;
        let host_key = std::fs::read_to_string(folder.path().join("host_key.pub"))?;
        std::fs::write(folder.path().join("known_hosts"), format!("{ALIAS} {host_key}"))?;
        // Another process may take the port between the search and the start.
        for _ in 0..5 {
            if let Some(daemon) = start(folder.path(), names, environment)? {
                return Ok(Self { folder, daemon });
            }
        }
        let log = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        Err(io::Error::other(format!("sshd (package openssh-server) does not start: {log}")))
    }

    /// The client's configuration file.
    pub fn client(&self) -> PathBuf {
        self.folder.path().join("client")
    }

    /// A client that knows the host.
    pub fn ssh(&self) -> Command {
        let mut command = Command::new("ssh");
        command.arg("-F").arg(self.client());
        command
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.daemon.id()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

fn start(folder: &Path, names: &[&str], environment: &[(&str, &str)]) -> io::Result<Option<Child>> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let at = |name: &str| folder.join(name).display().to_string();
    let variables: String = environment.iter().map(|(name, value)| format!(" \"{name}={value}\"")).collect();
    let variables = if variables.is_empty() { String::new() } else { format!("SetEnv{variables}\n") };
    let server = format!(
        "ListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\n\
         StrictModes no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n\
         KbdInteractiveAuthentication no\nUseDNS no\nPrintMotd no\nPrintLastLog no\nMaxStartups 100\n\
         Subsystem sftp internal-sftp\n{variables}",
        at("host_key"),
        at("authorized_keys"),
    );
    std::fs::write(folder.join("server"), server)?;
    let client = format!(
        "Host {}\nHostName 127.0.0.1\nPort {port}\nHostKeyAlias {ALIAS}\nIdentityFile {}\nIdentitiesOnly yes\n\
         UserKnownHostsFile {}\nGlobalKnownHostsFile /dev/null\nStrictHostKeyChecking yes\nBatchMode yes\n\
         LogLevel ERROR\nControlMaster no\nControlPath none\n",
        names.join(" "),
        at("user_key"),
        at("known_hosts"),
    );
    std::fs::write(folder.join("client"), client)?;
    let log = std::fs::File::create(folder.join("log"))?;
    let mut daemon = command()
        .args(["-D", "-e", "-f", &at("server")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()?;
    let accepts = until("sshd", || {
        let ended = daemon.try_wait()?.is_some();
        Ok((ended || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()).then_some(!ended))
    });
    match accepts {
        Ok(true) => Ok(Some(daemon)),
        _ => {
            let _ = daemon.kill();
            let _ = daemon.wait();
            Ok(None)
        }
    }
}

/// sshd insists on being started by its full path, and as root on a folder that the system's service
/// makes: where there is none, it gets one in a mount namespace of its own.
fn command() -> Command {
    const PROGRAM: &str = "/usr/sbin/sshd";
    if !rustix::process::geteuid().is_root() || Path::new("/run/sshd").is_dir() {
        return Command::new(PROGRAM);
    }
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c"]);
    command.args(["mount -t tmpfs -o mode=755 run /run && mkdir -m 755 /run/sshd && exec \"$@\"", "sshd", PROGRAM]);
    command
}
