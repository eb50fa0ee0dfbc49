//! A driver's folder in a tree, for tests that do something to it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use remotes_containment::guest::MEMORY_OF_CALLS;
use remotes_effect::policy::Limits;
use remotes_sandbox::cache::manifest::{self, Manifest};
use remotes_sandbox::cache::{self, CacheError, digest};
use remotes_sandbox::{compile, engine};
use tempfile::TempDir;

/// A driver's folder as it is installed.
pub struct Installed {
    pub folder: TempDir,
    pub manifest: Manifest,
}

impl Installed {
    pub fn new() -> Self {
        let component = MEMORY_OF_CALLS.component();
        let code = compile::precompile(&engine(&Limits::default()).unwrap(), &component).unwrap();
        let manifest = Manifest {
            driver: "vmm/hostile".into(),
            contract: "1.0.0".into(),
            actions: vec!["reboot".into()],
            component: digest(&component),
            wasi: false,
            policies: BTreeSet::new(),
            precompiled: BTreeMap::from([(std::env::consts::ARCH.into(), digest(&code))]),
            previous: BTreeSet::new(),
        };
        let installed = Self { folder: tempfile::tempdir().unwrap(), manifest };
        installed.write(&manifest::component_file(&digest(&component)), &component);
        installed.write(&code_file(&code), &code);
        installed.record();
        installed
    }

    /// The file of its code.
    pub fn code(&self) -> String {
        let digest = &self.manifest.precompiled[std::env::consts::ARCH];
        manifest::code_file(std::env::consts::ARCH, digest)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o644)).unwrap();
    }

    pub fn record(&self) {
        self.write(manifest::FILE, self.text().as_bytes());
    }

    pub fn text(&self) -> String {
        let precompiled: String =
            self.manifest.precompiled.iter().map(|(name, digest)| format!("{name} = {digest:?}\n")).collect();
        let Manifest { driver, contract, actions, component, .. } = &self.manifest;
        format!(
            "driver = {driver:?}\ncontract = {contract:?}\nactions = {actions:?}\ncomponent = {component:?}\n[precompiled]\n{precompiled}"
        )
    }

    /// Installs other code, recorded as such: what only the installing user can do.
    pub fn replace(&mut self, code: &[u8]) {
        self.write(&code_file(code), code);
        self.manifest.precompiled.insert(std::env::consts::ARCH.into(), digest(code));
        self.record();
    }

    pub fn load(&self) -> Result<Manifest, CacheError> {
        cache::load(self.folder.path(), &engine(&Limits::default()).unwrap()).map(|(manifest, _)| manifest)
    }

    /// Why it is not loaded; the message names the path.
    pub fn refusal(&self, path: &Path) -> CacheError {
        let error = self.load().expect_err("it was loaded");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        error
    }
}

pub fn code_file(code: &[u8]) -> String {
    manifest::code_file(std::env::consts::ARCH, &digest(code))
}
