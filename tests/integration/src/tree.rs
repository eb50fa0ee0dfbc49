//! Remotes trees, laid by the staged program.

use std::path::{Path, PathBuf};
use std::process::Command;

use remotes_test_support::dist;

use crate::Outcome;

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

    /// The driver's policy file.
    pub fn policy_file(&self) -> PathBuf {
        self.root.join("etc").join(&self.name).join("policy.toml")
    }

    /// Changes the policy file, as an operator would.
    pub fn edit_policy(&self, edit: impl FnOnce(&mut toml::Table)) {
        let file = self.policy_file();
        let mut policy = std::fs::read_to_string(&file).unwrap().parse().unwrap();
        edit(&mut policy);
        std::fs::write(&file, policy.to_string()).unwrap();
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
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("kvmrc"), lines).unwrap();
    }

    /// `remotes tree verify`: its exit code, and what it lists as (what, problem).
    pub fn verify(&self) -> (i32, Vec<(String, Option<String>)>) {
        let outcome = Outcome::of(remotes().args(["--json", "tree", "verify", self.text()]), "");
        let rows: Vec<serde_json::Value> = serde_json::from_str(&outcome.stdout).unwrap_or_default();
        let text = |row: &serde_json::Value, key: &str| row[key].as_str().map(str::to_owned);
        (outcome.code, rows.iter().map(|row| (text(row, "what").unwrap(), text(row, "problem"))).collect())
    }
}
