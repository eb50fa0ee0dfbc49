//! Remotes trees, laid by the staged program.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use remotes_sandbox::cache::manifest::{Manifest, code_file, component_file};
use remotes_test_support::dist;

use crate::{Outcome, Snapshot};

/// The operator's program.
pub fn remotes() -> Command {
    Command::new(dist().join("bin/remotes"))
}

/// Runs the operator's program and expects it to succeed.
pub fn run(arguments: &[&str]) -> Outcome {
    let outcome = Outcome::of(remotes().args(arguments), "");
    assert_eq!(outcome.code, 0, "remotes {arguments:?}: {outcome:?}");
    outcome
}

/// Runs the operator's program and expects it to fail with this in what it says.
pub fn fails(arguments: &[&str], says: &str) {
    let outcome = Outcome::of(remotes().args(arguments), "");
    assert!(outcome.code == 1 && outcome.says(says), "{arguments:?}: {outcome:?}");
}

/// Writes a file with this mode, and the folders above it.
pub fn write(path: &Path, content: &str, mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A stock tree in small: scripts with their modes, a driver that is linked, one that is not installed.
pub fn stock(root: &Path) -> Snapshot {
    let script = |name: &str| format!("#!/bin/bash\necho stock {name} \"$@\"\nexit 3\n");
    for name in ["deploy", "cancel", "save", "migrate", "poll", "save.ceph"] {
        write(&root.join("vmm/kvm").join(name), &script(name), 0o755);
    }
    // Odd, and an operator's right.
    write(&root.join("vmm/kvm/reset"), &script("reset"), 0o700);
    write(&root.join("vmm/lib/reboot.rb"), "puts 'stock'\n", 0o644);
    symlink("../lib/reboot.rb", root.join("vmm/kvm/reboot")).unwrap();
    symlink("nowhere", root.join("vmm/kvm/restore")).unwrap();
    write(&root.join("vmm/lib/command.rb"), "# shared\n", 0o644);
    write(&root.join("etc/vmm/kvm/kvmrc"), "export LIBVIRT_URI=qemu:///system\n", 0o640);
    write(&root.join("tm/qcow2/clone"), &script("clone"), 0o755);
    write(&root.join("bin/other"), "#!/bin/sh\n", 0o755);
    symlink("kvm", root.join("vmm/qemu")).unwrap();
    Snapshot::of(root).with_file_times()
}

/// A folder with a version of vmm/dummy, which is known by what it calls snapshots.
pub fn version(below: &Path, word: &[u8; 4]) -> PathBuf {
    let (staged, from) =
        (dist().join("lib/remotes/drivers/vmm/dummy"), below.join(String::from_utf8_lossy(word).as_ref()));
    let driver = from.join("vmm/dummy");
    fs::create_dir_all(&driver).unwrap();
    fs::copy(staged.join("policy.toml"), driver.join("policy.toml")).unwrap();
    let mut module = fs::read(staged.join("component.wasm")).unwrap();
    let places: Vec<_> = (0..module.len() - 5).filter(|at| module[*at..].starts_with(b"snap-")).collect();
    assert!(!places.is_empty());
    places.into_iter().for_each(|at| module[at..at + 4].copy_from_slice(word));
    fs::write(driver.join("component.wasm"), module).unwrap();
    from
}

/// A remotes tree.
#[derive(Debug, Clone)]
pub struct Tree {
    root: PathBuf,
    name: String,
}

impl Tree {
    /// Lays a tree with the driver vmm/kvm.
    pub fn install(root: &Path) -> Self {
        run(&["tree", "install", "--driver", "vmm/kvm", root.to_str().unwrap()]);
        Self::at(root)
    }

    /// Lays a tree with another driver, `SUBSYSTEM/DRIVER` below `from`, as vmm/kvm.
    pub fn install_from(root: &Path, from: &Path, driver: &str) -> Self {
        let (root_text, from) = (root.to_str().unwrap(), from.to_str().unwrap());
        run(&["tree", "install", "--from", from, "--driver", driver, "--as", "vmm/kvm", root_text]);
        Self::at(root)
    }

    /// Installs another driver by its own name.
    pub fn install_also(&self, driver: &str) {
        run(&["tree", "install", "--driver", driver, self.text()]);
    }

    /// A tree that is there.
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned(), name: "vmm/kvm".to_owned() }
    }

    /// The same tree, for its driver of this name.
    pub fn named(&self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self.clone() }
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Its folder as text.
    pub fn text(&self) -> &str {
        self.root.to_str().unwrap()
    }

    /// Something in it.
    pub fn path(&self, below: &str) -> PathBuf {
        self.root.join(below)
    }

    /// What oned executes.
    pub fn stub(&self, action: &str) -> PathBuf {
        self.root.join(&self.name).join(action)
    }

    /// The driver's folder with component, code and manifest.
    pub fn driver(&self) -> PathBuf {
        self.root.join("drivers").join(&self.name)
    }

    /// The file that the driver's manifest names as its component.
    pub fn component(&self) -> PathBuf {
        self.driver().join(component_file(&self.manifest().component))
    }

    /// The file that it names as the code for this machine.
    pub fn code(&self) -> PathBuf {
        let digest = &self.manifest().precompiled[std::env::consts::ARCH];
        self.driver().join(code_file(std::env::consts::ARCH, digest))
    }

    /// The driver's manifest.
    pub fn manifest(&self) -> Manifest {
        Manifest::parse(&fs::read(self.driver().join("driver.toml")).unwrap()).unwrap()
    }

    /// The driver's policy file.
    pub fn policy_file(&self) -> PathBuf {
        self.root.join("etc").join(&self.name).join("policy.toml")
    }

    /// Changes the policy file, as an operator would.
    pub fn edit_policy(&self, edit: impl FnOnce(&mut toml::Table)) {
        let file = self.policy_file();
        let mut policy = fs::read_to_string(&file).unwrap().parse().unwrap();
        edit(&mut policy);
        fs::write(&file, policy.to_string()).unwrap();
    }

    /// Sets one key of a table of the policy, which is made where it is missing.
    pub fn set_policy(&self, table: &str, key: &str, value: impl Into<toml::Value>) {
        self.edit_policy(|policy| {
            let table = policy.entry(table).or_insert_with(|| toml::Table::new().into());
            table.as_table_mut().unwrap().insert(key.to_owned(), value.into());
        });
    }

    /// Writes kvmrc.
    pub fn configure(&self, settings: &[(&str, &str)]) {
        let lines: String = settings.iter().map(|(key, value)| format!("export {key}={value}\n")).collect();
        let folder = self.root.join("etc").join(&self.name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("kvmrc"), lines).unwrap();
    }

    /// `remotes tree verify`: its exit code, and what it lists as (what, problem).
    pub fn verify(&self) -> (i32, Vec<(String, Option<String>)>) {
        let outcome = Outcome::of(remotes().args(["--json", "tree", "verify", self.text()]), "");
        let rows: Vec<serde_json::Value> = serde_json::from_str(&outcome.stdout).unwrap_or_default();
        let text = |row: &serde_json::Value, key: &str| row[key].as_str().map(str::to_owned);
        (outcome.code, rows.iter().map(|row| (text(row, "what").unwrap(), text(row, "problem"))).collect())
    }
}
