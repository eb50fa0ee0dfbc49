//! Two hosts of a cloud on one machine: a daemon, a remotes tree and storage each, and ssh from the one to
//! the other.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use remotes_test_support::{Guest, Pair, PrivateLibvirt, Side};
use serde_json::Value;
use tempfile::TempDir;

use crate::scene::{folder, journal};
use crate::{Outcome, Tree};

/// The host that a machine comes from.
pub const FROM: &str = "node1";
/// The host that it goes to.
pub const TO: &str = "node2";

/// What an action finds of the machine that is this test's and not its host's: the user's configuration of
/// ssh, and the host's own storage.
const ROOM: &str = r#"mount -t tmpfs tmpfs "$1" && mkdir -m 700 "$1/.ssh" && cp "$2" "$1/.ssh/config" &&
mount --bind "$3" "$4" && shift 4 && exec "$@""#;

/// Everything is gone when it is dropped.
pub struct Hosts {
    /// Their daemons and storage.
    pub pair: Pair,
    /// The tree of the host that machines come from.
    pub tree: Tree,
    /// The tree of the host that machines go to.
    pub other: Tree,
    /// Where ssh leads.
    pub sshd: remotes_test_support::Sshd,
    folder: TempDir,
}

impl Hosts {
    /// Two hosts, the first of which may do to the other what a migration needs. libvirt's
    /// connection goes by ssh and by `bridge`, the program of this crate.
    pub fn new(bridge: &Path) -> Self {
        Self::with(bridge, Tree::install)
    }

    /// The same with a tree that is laid so.
    pub fn with(bridge: &Path, install: impl FnOnce(&Path) -> Tree) -> Self {
        let folder = folder();
        let pair = Pair::start().unwrap();
        let tree = install(&folder.path().join("remotes"));
        let other = folder.path().join("other");
        crate::scene::system("cp", &["-a", tree.text(), other.to_str().unwrap()]);
        let bin = folder.path().join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", bin.display());
        let sshd = remotes_test_support::Sshd::start(&[TO], &[("PATH", &path)]).unwrap();
        let hosts = Self { pair, tree, other: Tree::at(&other), sshd, folder };
        hosts.configure("--unsafe --migrateuri tcp://127.0.0.1");
        hosts.other.configure(&[("LIBVIRT_URI", hosts.pair.destination.uri())]);
        hosts.grant();
        hosts.reach(&bin, bridge);
        hosts
    }

    /// Writes the first host's kvmrc with these options for migrations.
    pub fn configure(&self, options: &str) {
        let uri = self.pair.source.uri();
        let options = format!("\"{options}\"");
        self.tree.configure(&[("LIBVIRT_URI", uri), ("SYNC_TIME", "no"), ("MIGRATE_OPTIONS", &options)]);
    }

    fn grant(&self) {
        for storage in [self.pair.shared(), self.pair.own()] {
            self.tree.set_policy("paths", storage.to_str().unwrap(), "rw");
        }
        self.tree.set_policy("libvirt", "uris", vec![self.pair.source.uri(), self.pair.destination.uri()]);
        let targets = vec![format!("qemu+ssh://{TO}/system"), Pair::MIGRATE_URI.to_owned()];
        self.tree.set_policy("libvirt", "migration-targets", targets);
        self.tree.set_policy("libvirt", "host-devices", vec!["pci", "mdev", "host-network"]);
        let journal = self.path("journal").display().to_string();
        let there = self.path("there").display().to_string();
        self.tree.edit_policy(|policy| {
            policy.insert("journal".to_owned(), journal.into());
            policy.insert("hosts".to_owned(), vec![TO].into());
            policy.insert("remote-directory".to_owned(), there.into());
        });
    }

    /// What ssh to the other host leads to: its tree, with its storage, and its daemon.
    fn reach(&self, bin: &Path, bridge: &Path) {
        let socket = self.pair.destination.socket();
        script(&bin.join("virt-ssh-helper"), &format!("exec '{}' '{}'\n", bridge.display(), socket.display()));
        let there = self.path("there/bin");
        std::fs::create_dir_all(&there).unwrap();
        let [own, seen] = [self.pair.own_of(Side::Destination), self.pair.own()].map(|path| path.display().to_string());
        script(
            &there.join("remotes-action"),
            &format!(
                "exec unshare --user --map-root-user --mount sh -c 'mount --bind {own} {seen} && exec \"$@\"' - \
                 '{}' \"$@\"\n",
                self.other.path("bin/remotes-action").display()
            ),
        );
    }

    /// Something in the test's folder.
    pub fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// A machine on storage that both hosts see, running on the first.
    pub fn on_shared_storage(&self, id: u32) -> Guest {
        let guest = Guest::in_folder(&self.pair.shared().join(format!("0/{id}")), id).unwrap();
        self.start(&guest, &guest);
        guest
    }

    /// A machine on the first host's own storage, running there: as the host sees its files.
    pub fn on_own_storage(&self, id: u32) -> Guest {
        let guest = Guest::in_folder(&self.pair.own_of(Side::Source).join(format!("0/{id}")), id).unwrap();
        std::fs::write(guest.folder.join("vm.xml"), "<VM/>").unwrap();
        self.run(guest, id)
    }

    /// The same with this guest, whose files are there.
    pub fn run(&self, guest: Guest, id: u32) -> Guest {
        let seen = guest.seen_in(&self.pair.own().join(format!("0/{id}")));
        self.start(&seen, &guest);
        seen
    }

    fn start(&self, seen: &Guest, guest: &Guest) {
        let file = seen.folder.join("deployment.0");
        let arguments = [&file.display().to_string(), FROM, &seen.name["one-".len()..], FROM].map(str::to_owned);
        let outcome = Outcome::of(&mut self.command("deploy", &arguments), &seen.xml());
        outcome.succeeded(&format!("{}\n", seen.uuid));
        guest.wait_up(1).unwrap();
    }

    /// An action of the first host's.
    pub fn command(&self, action: &str, arguments: &[String]) -> Command {
        let mut command = self.room(&self.tree.stub(action));
        command.args(arguments);
        command
    }

    /// A program that sees what the first host's actions see.
    pub fn room(&self, program: &Path) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", ROOM, "room", &home_of_root()]);
        command.arg(self.sshd.client()).arg(self.pair.own_of(Side::Source)).arg(self.pair.own()).arg(program);
        command.env("HOME", self.path("home")).env("XDG_CACHE_HOME", self.path("cache"));
        command.env("REMOTES_LOG_FILE", self.path("diagnostics"));
        for name in ["XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "LIBVIRT_DEFAULT_URI"] {
            command.env_remove(name);
        }
        command
    }

    /// What oned passes to `migrate`.
    pub fn arguments(guest: &Guest, to: &str) -> [String; 5] {
        let id = guest.name["one-".len()..].to_owned();
        [guest.uuid.clone(), to.to_owned(), FROM.to_owned(), id, FROM.to_owned()]
    }

    /// The document of a migration into this folder.
    pub fn document(guest: &Guest, shared: &str, target: &Path) -> String {
        let (id, uuid) = (&guest.name["one-".len()..], &guest.uuid);
        let base = guest.folder.parent().unwrap().display();
        format!(
            "<VMM_DRIVER_ACTION_DATA><HOST>{FROM}</HOST><MIGR_HOST>{TO}</MIGR_HOST><DEPLOY_ID>{uuid}</DEPLOY_ID>\
             <DISK_TARGET_PATH>{}</DISK_TARGET_PATH><VM><ID>{id}</ID><TEMPLATE/></VM>\
             <DATASTORE><TM_MAD>ssh</TM_MAD><BASE_PATH><![CDATA[{base}]]></BASE_PATH>\
             <TEMPLATE><SHARED>{shared}</SHARED></TEMPLATE></DATASTORE></VMM_DRIVER_ACTION_DATA>\n",
            target.display()
        )
    }

    /// Moves a machine to the other host.
    pub fn migrate(&self, guest: &Guest, shared: &str) -> Outcome {
        let document = Self::document(guest, shared, &guest.folder);
        Outcome::of(&mut self.command("migrate", &Self::arguments(guest, TO)), &document)
    }

    /// The domain's state at a daemon in virsh's words; none where there is no such domain.
    pub fn state(libvirt: &PrivateLibvirt, guest: &Guest) -> Option<String> {
        let outcome = virsh(libvirt, &["domstate", &guest.name]);
        (outcome.code == 0).then(|| outcome.stdout.trim().to_owned())
    }

    /// Where the machine runs, of the two hosts.
    pub fn runs_at(&self, guest: &Guest) -> Vec<Side> {
        let daemons = [(Side::Source, &self.pair.source), (Side::Destination, &self.pair.destination)];
        let running = daemons.into_iter().filter(|(_, it)| Self::state(it, guest).as_deref() == Some("running"));
        running.map(|(side, _)| side).collect()
    }

    /// The lines of the policy's journal.
    pub fn journal(&self) -> Vec<Value> {
        journal(&self.path("journal"))
    }
}

/// Asks a daemon itself.
pub fn virsh(libvirt: &PrivateLibvirt, arguments: &[&str]) -> Outcome {
    let mut command = Command::new("virsh");
    command.args(["-q", "-c", libvirt.uri()]).args(arguments).envs(libvirt.env());
    Outcome::of(&mut command, "")
}

/// ssh looks there, whatever HOME says, when it is run by the root of a namespace.
fn home_of_root() -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let root = users.lines().find(|line| line.split(':').nth(2) == Some("0")).unwrap();
    root.split(':').nth(5).unwrap().to_owned()
}

fn script(path: &Path, text: &str) {
    std::fs::write(path, format!("#!/bin/sh\n{text}")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
