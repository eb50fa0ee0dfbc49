//! A libvirtd with sockets, state and guests of its own.

use std::ffi::{OsStr, OsString};
use std::hash::{Hash, Hasher};
use std::io::{self, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{capabilities, until};

/// In the new user namespace: not 0, so that libvirtd keeps all its files below the folders that the
/// environment names, even where root runs it. Outside it is whoever runs the test, with that user's
/// right to `/dev/kvm`.
const USER: &str = "1000";

/// No virtlogd to start and to wait for; no security driver that would relabel files.
const QEMU_CONFIGURATION: &str = "stdio_handler = \"file\"\nsecurity_driver = \"none\"\n";

/// For the daemon of a host: as the above, guests as root, who runs it, and no control groups, which nobody has set up.
const SYSTEM_CONFIGURATION: &str = "user = \"root\"\ngroup = \"root\"\ncgroup_controllers = []\nnamespaces = []\n\
    dynamic_ownership = 0\nremember_owner = 0\n";

/// How many ports a daemon has for guests that arrive: one for memory and one for disks each.
const PORTS: u16 = 16;
/// Below these are other programs' ports, above them the kernel's own choices.
const PORT_RANGE: std::ops::Range<u16> = 12_000..32_000;

/// A folder that the daemon sees under another path than everybody else.
pub(crate) struct Mount {
    /// where it is
    pub folder: PathBuf,
    /// where the daemon, its guests and [`PrivateLibvirt::inside`] see it
    pub seen_at: PathBuf,
}

/// A private libvirtd. Everything is gone when this is dropped, and also when the process that holds
/// it is killed: the daemon and its guests live in a process namespace whose first process reads from
/// a pipe that only we hold open.
///
/// That first process reaps orphans, which not every machine's process 1 does in time: libvirtd waits
/// for the death of the processes that it probes QEMU with.
pub struct PrivateLibvirt {
    keeper: Child,
    uri: String,
    folder: TempDir,
    /// it is a host's own, with a network of its own
    system: bool,
}

impl PrivateLibvirt {
    /// Starts a daemon and waits until it accepts connections.
    ///
    /// Fails where libvirtd is missing or user namespaces are closed to this user.
    pub fn start() -> io::Result<Self> {
        Self::start_with(None)
    }

    /// The same with a folder that it sees elsewhere.
    pub(crate) fn start_with(mount: Option<&Mount>) -> io::Result<Self> {
        let folder = folders()?;
        configure(&folder.path().join("config/libvirt"), "")?;
        let keeper = in_namespaces(mount)
            .args(["--kill-child=KILL", "--mount-proc", "bash", "-c", include_str!("keeper.sh"), "keeper"])
            .arg(folder.path().join("libvirtd.log"))
            .arg(folder.path().join("libvirtd.pid"))
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .envs(environment(folder.path()))
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .spawn()?;
        let uri = format!("qemu+unix:///session?socket={}", socket(folder.path()).display());
        let mut libvirt = Self { keeper, uri, folder, system: false };
        libvirt.start_daemon()?;
        Ok(libvirt)
    }

    /// Starts the daemon of a host, `qemu:///system`, in namespaces with a network of its own: its guests have taps
    /// and bridges. All who have to do with that host are started by [`Self::command`].
    ///
    /// Fails where libvirtd is missing or this user is not root.
    pub fn start_system() -> io::Result<Self> {
        let folder = folders()?;
        std::fs::create_dir_all(folder.path().join("run/one"))?;
        configure(&folder.path().join("config/libvirt"), SYSTEM_CONFIGURATION)?;
        let keeper = Command::new("unshare")
            .args(["--mount", "--net", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "bash", "-c"])
            .args([concat!(include_str!("system.sh"), include_str!("keeper.sh")), "keeper"])
            .arg(folder.path())
            .arg(folder.path().join("libvirtd.log"))
            .arg(folder.path().join("libvirtd.pid"))
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .spawn()?;
        let mut libvirt = Self { keeper, uri: "qemu:///system".to_owned(), folder, system: true };
        libvirt.start_daemon()?;
        Ok(libvirt)
    }

    /// A program that has to do with this daemon, on its host where it has one.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let first = child(Pid::from_child(&self.keeper), "bash").ok().flatten();
        let Some(first) = first.filter(|_| self.system) else { return Command::new(program) };
        let mut command = Command::new("nsenter");
        let target = first.as_raw_nonzero().to_string();
        command.args(["--target", &target, "--mount", "--net", "--pid", "--"]).arg(program);
        command
    }

    /// The URI to connect to, good for every user that may enter the folder. (`qemu:///session` would
    /// not do: libvirt's client takes it for the system's daemon where root asks.)
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The daemon's socket.
    pub fn socket(&self) -> PathBuf {
        socket(self.folder.path())
    }

    /// The folder that holds everything; room for a test's own files below `guests`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The folder for disks, consoles and checkpoints.
    pub fn guests(&self) -> PathBuf {
        self.folder.path().join("guests")
    }

    /// What the daemon has printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("libvirtd.log")).unwrap_or_default()
    }

    /// The environment that the daemon runs in: `HOME` and the `XDG_…` folders, and the URI as
    /// `LIBVIRT_DEFAULT_URI` for a client.
    pub fn env(&self) -> Vec<(String, OsString)> {
        let mut variables = environment(self.folder.path());
        variables.push(("LIBVIRT_DEFAULT_URI".to_owned(), self.uri.clone().into()));
        variables
    }

    /// The daemon's process as seen from here.
    pub fn daemon(&self) -> io::Result<Option<Pid>> {
        let Some(first) = child(Pid::from_child(&self.keeper), "bash")? else { return Ok(None) };
        child(first, "libvirtd")
    }

    /// A program in the daemon's namespaces: it sees files as the daemon and its guests do, runs as the same
    /// user, and is gone when this is dropped. To be used while a daemon runs.
    pub fn inside(&self, program: impl AsRef<OsStr>) -> io::Result<Command> {
        let pid = self.daemon()?.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no libvirtd is running"))?;
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &pid.as_raw_nonzero().to_string(), "--user", "--mount", "--pid"])
            .args(["--preserve-credentials", "--wdns=/", "--"])
            .arg(program);
        Ok(command)
    }

    /// Sends a signal to the daemon.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        match self.daemon()? {
            Some(pid) => Ok(kill_process(pid, signal)?),
            None => Err(io::Error::new(io::ErrorKind::NotFound, "no libvirtd is running")),
        }
    }

    /// Kills the daemon, if one runs, without warning; its guests go on. Returns when it is gone.
    pub fn kill_daemon(&self) -> io::Result<()> {
        let Some(pid) = self.daemon()? else { return Ok(()) };
        kill_process(pid, Signal::KILL)?;
        // A zombie may have threads left that still listen.
        let process = PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()));
        until("the end of libvirtd", || Ok((!process.exists()).then_some(())))
    }

    /// Starts a daemon (again) and waits until it accepts connections.
    pub fn start_daemon(&mut self) -> io::Result<()> {
        if let Some(input) = &mut self.keeper.stdin {
            input.write_all(b"\n")?;
        }
        let socket = self.socket();
        until("libvirtd's socket", || {
            if let Some(status) = self.keeper.try_wait()? {
                return Err(io::Error::other(format!("libvirtd's namespace ended ({status}): {}", self.log())));
            }
            Ok(UnixStream::connect(&socket).ok())
        })
        .map(drop)
    }
}

impl Drop for PrivateLibvirt {
    fn drop(&mut self) {
        // Another daemon finds it out again, where that fails.
        let _ = capabilities::take(self.folder.path());
        drop(self.keeper.stdin.take());
        // Waits for the whole namespace: process 1 ends last.
        let _ = self.keeper.wait();
    }
}

/// `unshare` up to the command that it runs.
fn in_namespaces(mount: Option<&Mount>) -> Command {
    const OWN: [&str; 6] = ["--user", "--map-user", USER, "--map-group", USER, "--pid"];
    let mut command = match mount {
        None => Command::new("unshare"),
        // Whoever may mount is root there; the daemon must not be, hence namespaces within.
        Some(Mount { folder, seen_at }) => {
            let mut command = Command::new("unshare");
            command.args(["--user", "--map-root-user", "--mount", "bash", "-c"]);
            command.args([r#"mount --bind "$1" "$2" && shift 2 && exec unshare "$@""#, "mounts"]);
            command.arg(folder).arg(seen_at);
            command
        }
    };
    command.args(OWN).arg("--fork");
    command
}

/// The folders of a daemon.
fn folders() -> io::Result<TempDir> {
    // Paths of Unix sockets have at most 107 bytes: libvirt puts some deep below these folders.
    let folder = tempfile::Builder::new().prefix("lv").tempdir()?;
    for name in ["home", "run", "cache", "data", "guests", "config/libvirt"] {
        std::fs::create_dir_all(folder.path().join(name))?;
    }
    capabilities::give(folder.path())?;
    Ok(folder)
}

/// Configuration with which any two of these daemons take each other for different hosts; `more` for QEMU.
fn configure(folder: &Path, more: &str) -> io::Result<()> {
    let uuid = std::fs::read_to_string("/proc/sys/kernel/random/uuid")?;
    std::fs::write(
        folder.join("libvirtd.conf"),
        format!("host_uuid = \"{}\"\nauth_unix_rw = \"none\"\n", uuid.trim()),
    )?;
    let first = free_ports(&uuid)?;
    let ports = format!("migration_port_min = {first}\nmigration_port_max = {}\n", first + PORTS - 1);
    std::fs::write(folder.join("qemu.conf"), format!("{QEMU_CONFIGURATION}{ports}{more}"))
}

/// The first of [`PORTS`] that nobody uses. Daemons that start at once look at different places, since the
/// seed differs.
fn free_ports(seed: &str) -> io::Result<u16> {
    let mut hasher = std::hash::DefaultHasher::new();
    seed.hash(&mut hasher);
    let places = (PORT_RANGE.end - PORT_RANGE.start) / PORTS;
    let from = (hasher.finish() % u64::from(places)) as u16;
    (0..places)
        .map(|step| PORT_RANGE.start + (from + step) % places * PORTS)
        .find(|first| (*first..first + PORTS).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()))
        .ok_or_else(|| io::Error::other(format!("no {PORTS} ports in a row are free in {PORT_RANGE:?}")))
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("run/libvirt/libvirt-sock")
}

fn environment(folder: &Path) -> Vec<(String, OsString)> {
    [
        ("HOME", "home"),
        ("XDG_RUNTIME_DIR", "run"),
        ("XDG_CONFIG_HOME", "config"),
        ("XDG_CACHE_HOME", "cache"),
        ("XDG_DATA_HOME", "data"),
    ]
    .map(|(name, below)| (name.to_owned(), folder.join(below).into()))
    .to_vec()
}

/// The child of a process that runs the program of this name.
fn child(parent: Pid, program: &str) -> io::Result<Option<Pid>> {
    for entry in std::fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process may end while we look.
        let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/status")) else { continue };
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map_or("", str::trim);
        let alive = !field("State:").starts_with('Z');
        if alive && field("Name:") == program && field("PPid:") == parent.as_raw_nonzero().to_string() {
            return Ok(Pid::from_raw(pid));
        }
    }
    Ok(None)
}
