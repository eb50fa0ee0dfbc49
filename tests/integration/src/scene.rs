//! A tree, a private libvirtd, and machines to call actions on.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use remotes_test_support::{Guest, PrivateLibvirt, skipped, wait_for};
use serde_json::Value;
use tempfile::TempDir;

use crate::{Outcome, Tree};

pub use crate::calls::{HOST, arguments, document, equipped, file, stdin};

/// Everything is gone when it is dropped.
pub struct Scene {
    /// The daemon.
    pub libvirt: PrivateLibvirt,
    /// The tree, with vmm/kvm.
    pub tree: Tree,
    folder: TempDir,
}

impl Scene {
    /// A tree in a temporary folder, granted a private libvirtd and datastores.
    pub fn new() -> Self {
        let folder = folder();
        let tree = Tree::install(&folder.path().join("remotes"));
        Self::with(folder, tree)
    }

    /// The same where the daemon is a host's own, with bridges; none where this user cannot make a host.
    pub fn host() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            skipped("a host with bridges needs root, who may make one");
            return None;
        }
        let folder = folder();
        let tree = Tree::install(&folder.path().join("remotes"));
        Some(Self::host_with(folder, tree))
    }

    /// The same with a tree that is there, in this folder.
    pub fn host_with(folder: TempDir, tree: Tree) -> Self {
        Self::on(PrivateLibvirt::start_system().unwrap(), folder, tree)
    }

    /// The same with a tree that is there, in this folder.
    pub fn with(folder: TempDir, tree: Tree) -> Self {
        Self::on(PrivateLibvirt::start().unwrap(), folder, tree)
    }

    fn on(libvirt: PrivateLibvirt, folder: TempDir, tree: Tree) -> Self {
        let scene = Self { libvirt, tree, folder };
        std::fs::create_dir(scene.path("datastores")).unwrap();
        scene.grant(&scene.tree);
        scene
    }

    /// Configures a tree for this scene, as an operator would.
    pub fn grant(&self, tree: &Tree) {
        self.configure_tree(tree, &[]);
        tree.set_policy("paths", &self.text("datastores"), "rw");
        tree.set_policy("libvirt", "uris", vec![self.libvirt.uri()]);
        // An unprivileged daemon has no bridges; its guests' interfaces are of type user.
        tree.set_policy("libvirt", "host-devices", vec!["pci", "mdev", "host-network"]);
        tree.edit_policy(|policy| drop(policy.insert("journal".to_owned(), self.text("journal").into())));
    }

    /// Writes kvmrc with these settings beside the URI.
    pub fn configure(&self, settings: &[(&str, &str)]) {
        self.configure_tree(&self.tree, settings);
    }

    fn configure_tree(&self, tree: &Tree, settings: &[(&str, &str)]) {
        let mut lines = vec![("LIBVIRT_URI", self.libvirt.uri()), ("SYNC_TIME", "no")];
        lines.extend(settings);
        tree.configure(&lines);
    }

    /// The folder of the test.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Something in it.
    pub fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// The same as text.
    pub fn text(&self, below: &str) -> String {
        self.path(below).display().to_string()
    }

    /// A machine's files, in a folder spelt as oned spells it.
    pub fn guest(&self, id: u32) -> Guest {
        let folder = format!("{}//datastores/0/{id}", self.folder.path().display());
        Guest::in_folder(Path::new(&folder), id).unwrap()
    }

    /// A machine that does not hear its power button.
    pub fn deaf_guest(&self, id: u32) -> Guest {
        let guest = self.guest(id);
        std::fs::File::create(&guest.disk).unwrap().set_len(1 << 20).unwrap();
        guest
    }

    /// The stub of an action with its arguments as oned passes them.
    pub fn command(&self, action: &str, guest: &Guest) -> Command {
        let arguments = arguments(action, guest);
        self.called(self.tree.stub(action), arguments)
    }

    /// A stub with these arguments.
    pub fn called(&self, stub: impl AsRef<OsStr>, arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> Command {
        let mut command = self.libvirt.command(stub);
        command.args(arguments);
        self.environment(&mut command);
        command
    }

    /// The same where `/run` is a folder of the test's, with OpenNebula's own in it: commands in guests leave their
    /// process ids there.
    pub fn command_with_run(&self, action: &str, arguments: &[&str]) -> Command {
        const MOUNTED: &str = "mount --bind \"$1\" /run && shift && exec \"$@\"";
        let run = self.path("run");
        std::fs::create_dir_all(run.join("one")).unwrap();
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", MOUNTED, "run"]).arg(run);
        command.arg(self.tree.stub(action)).args(arguments);
        self.environment(&mut command);
        command
    }

    /// What an action's process finds around it: folders of the test's own.
    pub fn environment(&self, command: &mut Command) {
        command.env("HOME", self.path("home")).env("XDG_CACHE_HOME", self.path("cache"));
        command.env("REMOTES_LOG_FILE", self.path("diagnostics"));
        for name in ["XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "LIBVIRT_DEFAULT_URI"] {
            command.env_remove(name);
        }
    }

    /// Calls an action on a machine through its stub.
    pub fn act(&self, action: &str, guest: &Guest) -> Outcome {
        Outcome::of(&mut self.command(action, guest), &stdin(action, guest))
    }

    /// Calls an action that has to succeed.
    pub fn does(&self, action: &str, guest: &Guest) {
        let word = if action == "deploy" { format!("{}\n", guest.uuid) } else { String::new() };
        self.act(action, guest).succeeded(&word);
    }

    /// A new machine that runs and hears its power button.
    pub fn running(&self, id: u32) -> Guest {
        let guest = self.guest(id);
        self.does("deploy", &guest);
        guest.wait_up(1).unwrap();
        guest
    }

    /// A new machine that runs, with what [`arguments`] of hot-plugging and the like are about.
    pub fn equipped(&self, id: u32) -> Guest {
        let guest = self.guest(id).with_qcow2().unwrap();
        for name in ["disk.1", "disk.2"] {
            std::fs::write(guest.folder.join(name), vec![0; 1 << 20]).unwrap();
        }
        Outcome::of(&mut self.command("deploy", &guest), &equipped(&guest)).succeeded(&format!("{}\n", guest.uuid));
        guest.wait_up(1).unwrap();
        guest
    }

    /// What the daemon says of a machine, in a table: the first two words of each line.
    pub fn list(&self, command: &str, guest: &Guest) -> Vec<(String, String)> {
        let outcome = self.virsh(&[command, &guest.name]);
        assert_eq!(outcome.code, 0, "{outcome:?}");
        let words = |line: &str| {
            let mut words = line.split_whitespace().map(str::to_owned);
            (words.next().unwrap_or_default(), words.next().unwrap_or_default())
        };
        outcome.stdout.lines().map(words).filter(|(first, _)| !first.is_empty()).collect()
    }

    /// Asks the daemon itself.
    pub fn virsh(&self, arguments: &[&str]) -> Outcome {
        let mut command = self.libvirt.command("virsh");
        command.args(["-q", "-c", self.libvirt.uri()]).args(arguments).envs(self.libvirt.env());
        Outcome::of(&mut command, "")
    }

    /// Names of all domains, sorted.
    pub fn domains(&self) -> Vec<String> {
        let outcome = self.virsh(&["list", "--all", "--name"]);
        assert_eq!(outcome.code, 0, "{outcome:?}");
        let mut names: Vec<_> = outcome.stdout.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
        names.sort();
        names
    }

    /// The domain's state in virsh's words; none where there is no such domain.
    pub fn state(&self, guest: &Guest) -> Option<String> {
        let outcome = self.virsh(&["domstate", &guest.name]);
        (outcome.code == 0).then(|| outcome.stdout.trim().to_owned())
    }

    /// Ends a domain behind everybody's back.
    pub fn destroy(&self, guest: &Guest) {
        self.virsh(&["destroy", &guest.name]);
    }

    /// The lines of the policy's journal.
    pub fn journal(&self) -> Vec<Value> {
        journal(&self.path("journal"))
    }

    /// Empties it.
    pub fn forget_journal(&self) {
        std::fs::write(self.path("journal"), "").unwrap();
    }

    /// Waits until the journal says that an effect of this name was asked for.
    pub fn until_asked(&self, name: &str) {
        let asked = |line: &Value| line["name"] == name && !line["asked"].is_null();
        wait_for(name, || self.journal().iter().any(asked));
    }

    /// Waits until no process of the tree is left.
    pub fn until_quiet(&self) {
        crate::processes::until_none_names(self.tree.text());
    }
}

impl Default for Scene {
    fn default() -> Self {
        Self::new()
    }
}

/// A temporary folder that other users may enter.
pub fn folder() -> TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::Builder::new().prefix("one").tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// The lines of a journal.
pub fn journal(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    // The last one may be half written.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}

/// Runs a command line on a scene's host and expects it to succeed; what it prints.
pub fn system_within(scene: &Scene, line: &str) -> String {
    let outcome = Outcome::of(scene.libvirt.command("sh").args(["-c", line]), "");
    assert_eq!(outcome.code, 0, "{line}: {outcome:?}");
    outcome.stdout
}

/// Runs a program of the system and expects it to succeed.
pub fn system(program: &str, arguments: &[&str]) -> Outcome {
    let outcome = Outcome::from(Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap());
    assert_eq!(outcome.code, 0, "{program} {arguments:?}: {outcome:?}");
    outcome
}
