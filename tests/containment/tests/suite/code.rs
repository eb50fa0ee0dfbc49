//! Code that is not what was installed, or that others could have put there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use remotes_containment::guest::MEMORY_OF_CALLS;
use remotes_effect::policy::Limits;
use remotes_sandbox::cache::manifest::{self, Manifest};
use remotes_sandbox::cache::{self, CacheError, Host, digest};
use remotes_sandbox::{compile, engine};
use tempfile::TempDir;

/// A driver's folder as it is installed.
struct Installed {
    folder: TempDir,
    manifest: Manifest,
}

impl Installed {
    fn new() -> Self {
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
    fn code(&self) -> String {
        let digest = &self.manifest.precompiled[std::env::consts::ARCH];
        manifest::code_file(std::env::consts::ARCH, digest)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o644)).unwrap();
    }

    fn record(&self) {
        self.write(manifest::FILE, self.text().as_bytes());
    }

    fn text(&self) -> String {
        let precompiled: String =
            self.manifest.precompiled.iter().map(|(name, digest)| format!("{name} = {digest:?}\n")).collect();
        let Manifest { driver, contract, actions, component, .. } = &self.manifest;
        format!(
            "driver = {driver:?}\ncontract = {contract:?}\nactions = {actions:?}\ncomponent = {component:?}\n[precompiled]\n{precompiled}"
        )
    }

    /// Installs other code, recorded as such: what only the installing user can do.
    fn replace(&mut self, code: &[u8]) {
        self.write(&code_file(code), code);
        self.manifest.precompiled.insert(std::env::consts::ARCH.into(), digest(code));
        self.record();
    }

    fn load(&self) -> Result<Manifest, CacheError> {
        cache::load(self.folder.path(), &engine(&Limits::default()).unwrap()).map(|(manifest, _)| manifest)
    }

    /// Why it is not loaded; the message names the path.
    fn refusal(&self, path: &Path) -> CacheError {
        let error = self.load().expect_err("it was loaded");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        error
    }
}

fn code_file(code: &[u8]) -> String {
    manifest::code_file(std::env::consts::ARCH, &digest(code))
}

#[test]
fn what_was_installed_is_loaded() {
    let installed = Installed::new();
    assert_eq!(installed.load().unwrap(), installed.manifest);
}

#[test]
fn altered_code() {
    let installed = Installed::new();
    let path = installed.path(&installed.code());
    let whole = fs::read(&path).unwrap();
    for position in [0, 1, 100, whole.len() / 2, whole.len() - 1] {
        let mut altered = whole.clone();
        altered[position] ^= 1;
        installed.write(&installed.code(), &altered);
        assert!(matches!(installed.refusal(&path), CacheError::Altered { .. }));
    }
    for altered in [&whole[..whole.len() - 1], &whole[1..], &[], &[&whole[..], b"x"].concat()] {
        installed.write(&installed.code(), altered);
        let error = installed.refusal(&path);
        assert!(matches!(error, CacheError::Altered { .. }));
        assert!(error.to_string().contains("install the driver again"), "{error}");
    }
}

#[test]
fn an_altered_manifest() {
    let installed = Installed::new();
    let path = installed.path(manifest::FILE);
    let whole = fs::read_to_string(&path).unwrap();
    for altered in [
        String::new(),
        "[precompiled]\n".into(),
        whole.replace("driver", "drivers"),
        format!("trusted = true\n{whole}"),
        whole.replace("[precompiled]", "[[precompiled]]"),
        format!("{whole}{}", "# filler\n".repeat(10_000)),
        "\0".repeat(100),
    ] {
        installed.write(manifest::FILE, altered.as_bytes());
        let error = installed.refusal(&path);
        assert!(matches!(error, CacheError::Manifest { .. }), "{error}");
    }
    // The digest of something else.
    installed.write(
        manifest::FILE,
        whole.replace(&installed.manifest.precompiled[std::env::consts::ARCH], &"0".repeat(64)).as_bytes(),
    );
    let other = manifest::code_file(std::env::consts::ARCH, &"0".repeat(64));
    assert!(matches!(installed.refusal(&installed.path(&other)), CacheError::Gone { .. }));
    // Something else by that name, and what is no digest and would be another path.
    installed.write(&other, b"something else");
    assert!(matches!(installed.refusal(&installed.path(&other)), CacheError::Altered { .. }));
    for digest in ["", "0", "../../../../../etc/passwd", &"/".repeat(64)] {
        let text = whole.replace(&installed.manifest.precompiled[std::env::consts::ARCH], digest);
        installed.write(manifest::FILE, text.as_bytes());
        assert!(matches!(installed.refusal(&path), CacheError::Manifest { .. }), "{digest}");
    }
    fs::remove_file(&path).unwrap();
    let error = installed.refusal(&path);
    assert!(error.to_string().ends_with("not there; install the driver again"), "{error}");
}

#[test]
fn a_folder_or_file_that_others_can_write() {
    let code = Installed::new().code();
    for (name, modes) in [
        ("", [0o777, 0o775, 0o757, 0o1777]),
        (&code, [0o666, 0o664, 0o646, 0o622]),
        (manifest::FILE, [0o666, 0o664, 0o646, 0o622]),
    ] {
        for mode in modes {
            let installed = Installed::new();
            let path = if name.is_empty() { installed.folder.path().to_owned() } else { installed.path(name) };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = installed.refusal(&path);
            assert!(matches!(error, CacheError::Untrusted { .. }), "{error}");
            assert!(error.to_string().contains(&format!("its mode is {mode:o}")), "{error}");
        }
    }
}

#[test]
fn a_folder_or_file_of_somebody_else() {
    if !rustix::process::geteuid().is_root() {
        // Only root can give files away; the check is the same for everybody.
        return;
    }
    for name in ["", &Installed::new().code(), manifest::FILE] {
        let installed = Installed::new();
        let path = if name.is_empty() { installed.folder.path().to_owned() } else { installed.path(name) };
        std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
        let error = installed.refusal(&path);
        assert!(matches!(error, CacheError::Untrusted { .. }), "{error}");
        assert!(error.to_string().contains("it belongs to uid 65534"), "{error}");
    }
}

#[test]
fn something_else_in_place_of_a_file() {
    for name in [&*Installed::new().code(), manifest::FILE] {
        let installed = Installed::new();
        let elsewhere = tempfile::tempdir().unwrap();
        let (path, copy) = (installed.path(name), elsewhere.path().join("copy"));
        fs::rename(&path, &copy).unwrap();
        symlink(&copy, &path).unwrap();
        assert!(matches!(installed.refusal(&path), CacheError::Io { .. }), "a link");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        installed.refusal(&path);
        fs::remove_dir(&path).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o644),
            0,
        )
        .unwrap();
        installed.refusal(&path);
    }
}

#[test]
fn code_of_another_engine() {
    let mut installed = Installed::new();
    let component = MEMORY_OF_CALLS.component();
    let mut config = wasmtime::Config::new();
    config.consume_fuel(true);
    let other = wasmtime::Engine::new(&config).unwrap().precompile_component(&component).unwrap();
    installed.replace(&other);
    let error = installed.refusal(installed.folder.path());
    assert!(matches!(error, CacheError::NotCompiled { .. }), "{error}");
    // Without interruption by epochs: a loop in it could not be ended.
    let other = wasmtime::Engine::default().precompile_component(&component).unwrap();
    installed.replace(&other);
    assert!(matches!(installed.refusal(installed.folder.path()), CacheError::NotCompiled { .. }));
}

#[test]
fn recorded_bytes_that_are_no_code() {
    let mut installed = Installed::new();
    let code = fs::read(installed.path(&installed.code())).unwrap();
    for bytes in
        [b"".as_slice(), b"\x7fELF", &[0; 4096], &code[..64], &code[..code.len() / 2], &MEMORY_OF_CALLS.component()]
    {
        installed.replace(bytes);
        let error = installed.refusal(installed.folder.path());
        assert!(matches!(error, CacheError::NotCompiled { .. }), "{error}");
    }
}

#[test]
fn code_for_other_machines_only() {
    let mut installed = Installed::new();
    let code = installed.manifest.precompiled.remove(std::env::consts::ARCH).unwrap();
    installed.manifest.precompiled.insert("pdp11".into(), code);
    installed.record();
    let error = installed.refusal(installed.folder.path());
    assert!(error.to_string().contains("the tree has code for pdp11"), "{error}");
}

/// The host's own cache: another driver's code, sound in itself, under the name of this one's.
#[test]
fn the_code_of_another_driver() {
    let mut installed = Installed::new();
    let manifest = installed.manifest.clone();
    installed.manifest.component = "0".repeat(64);
    installed.record();
    let cache = tempfile::tempdir().unwrap();
    let host = Host::at(cache.path());
    fs::rename(installed.folder.path(), host.folder(&manifest.component)).unwrap();
    let engine = engine(&Limits::default()).unwrap();
    let refused = host.load(&manifest, &engine).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(refused.contains("its content is not what was recorded"), "{refused}");
    assert!(
        host.load(&Manifest { component: installed.manifest.component.clone(), ..manifest.clone() }, &engine).is_err()
    );
    fs::rename(host.folder(&manifest.component), host.folder(&installed.manifest.component)).unwrap();
    assert!(host.load(&installed.manifest, &engine).is_ok(), "under its own name it is loaded");
}

/// Somebody puts another driver's code in place while it is loaded, again and again: what is called is what
/// was recorded, or nothing is.
#[test]
fn code_that_is_replaced_while_it_is_loaded() {
    use remotes_containment::{Grounds, Trial, guest};
    use std::sync::atomic::{AtomicBool, Ordering};
    let installed = Installed::new();
    let engine = engine(&Limits::default()).unwrap();
    let other = compile::precompile(&engine, &guest::PANIC.component()).unwrap();
    let (own, code) = (fs::read(installed.path(&installed.code())).unwrap(), installed.path(&installed.code()));
    let over = AtomicBool::new(false);
    let (mut loaded, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for content in [&other, &own].into_iter().cycle().take_while(|_| !over.load(Ordering::Relaxed)) {
                installed.write("beside", content);
                fs::rename(installed.path("beside"), &code).unwrap();
            }
        });
        while loaded < 20 || refused < 20 {
            match cache::load(installed.folder.path(), &engine) {
                Err(error) => {
                    assert!(matches!(error, CacheError::Altered { .. }), "{error}");
                    refused += 1;
                }
                Ok((_, component)) => {
                    let driver = remotes_sandbox::Driver::new(engine.clone(), component);
                    let grounds = Grounds::new();
                    let trial = Trial::of(MEMORY_OF_CALLS).with("one-5", "");
                    let ended = trial.call_of(&driver, |policy, deadline| grounds.machine(policy, deadline));
                    ended.assert_done();
                    assert_eq!(ended.journal.logged(), ["seen: one-5"]);
                    loaded += 1;
                }
            }
        }
        over.store(true, Ordering::Relaxed);
    });
}

/// Code that is mapped already is not that of the file which stands in its place later.
#[test]
fn code_that_is_replaced_once_it_is_loaded() {
    let installed = Installed::new();
    let engine = engine(&Limits::default()).unwrap();
    let (_, component) = cache::load(installed.folder.path(), &engine).unwrap();
    installed.write("beside", &[0x90; 1 << 20]);
    fs::rename(installed.path("beside"), installed.path(&installed.code())).unwrap();
    let driver = remotes_sandbox::Driver::new(engine, component);
    let trial = remotes_containment::Trial::of(MEMORY_OF_CALLS).with("one-5", "");
    let ended = trial.call_of(&driver, |_, _| crate::common::host());
    assert_eq!(ended.journal.logged(), ["seen: one-5"]);
    assert!(matches!(installed.refusal(&installed.path(&installed.code())), CacheError::Altered { .. }));
}

/// An older driver's component and code under the names of today's, and the manifest of an older one over today's: only
/// the whole of them together is an installation.
#[test]
fn parts_of_an_older_installation() {
    let older = remotes_containment::guest::ENDLESS_CALL.component();
    let engine = engine(&Limits::default()).unwrap();
    let older_code = compile::precompile(&engine, &older).unwrap();
    let mut installed = Installed::new();
    let (path, code) = (installed.path(&installed.code()), fs::read(installed.path(&installed.code())).unwrap());
    installed.write(&installed.code(), &older_code);
    assert!(matches!(installed.refusal(&path), CacheError::Altered { .. }));
    installed.write(&installed.code(), &code);
    let component = manifest::component_file(&installed.manifest.component);
    installed.write(&component, &older);
    let read = cache::component(installed.folder.path(), 1 << 20).map(|(manifest, _)| manifest);
    assert!(matches!(read, Err(CacheError::Altered { .. })), "{read:?}");
    // Beside each other they are no harm, and each manifest finds its own.
    installed.write(&code_file(&older_code), &older_code);
    installed.load().unwrap();
    installed.manifest.component = digest(&older);
    installed.manifest.precompiled.insert(std::env::consts::ARCH.into(), digest(&older_code));
    installed.record();
    assert_eq!(installed.load().unwrap(), installed.manifest);
    fs::remove_file(installed.path(&code_file(&older_code))).unwrap();
    assert!(matches!(installed.refusal(&installed.path(&installed.code())), CacheError::Gone { .. }));
}

/// Versions come and go while it is loaded: it is always one of them, whole.
#[test]
fn a_driver_that_is_replaced_while_it_is_loaded() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let engine = engine(&Limits::default()).unwrap();
    let mut installed = Installed::new();
    let own = (installed.manifest.clone(), fs::read(installed.path(&installed.code())).unwrap());
    let other = compile::precompile(&engine, &remotes_containment::guest::PANIC.component()).unwrap();
    let precompiled = BTreeMap::from([(std::env::consts::ARCH.to_owned(), digest(&other))]);
    let other = (Manifest { precompiled, ..own.0.clone() }, other);
    let folder = installed.folder.path().to_owned();
    let over = AtomicBool::new(false);
    let mut seen = BTreeSet::new();
    std::thread::scope(|scope| {
        let over = &over;
        let writer = scope.spawn(move || {
            let put =
                |installed: &Installed, name: &str| fs::rename(installed.path("beside"), installed.path(name)).unwrap();
            for (manifest, code) in [&other, &own].into_iter().cycle().take_while(|_| !over.load(Ordering::Relaxed)) {
                let gone = installed.code();
                installed.write("beside", code);
                put(&installed, &code_file(code));
                installed.manifest = manifest.clone();
                installed.write("beside", installed.text().as_bytes());
                put(&installed, manifest::FILE);
                fs::remove_file(installed.path(&gone)).unwrap();
            }
            installed
        });
        for _ in 0..200 {
            let (manifest, _) = cache::load(&folder, &engine).unwrap();
            seen.insert(manifest.precompiled[std::env::consts::ARCH].clone());
        }
        over.store(true, Ordering::Relaxed);
        // Till then its folder is needed.
        drop(writer.join().unwrap());
    });
    assert_eq!(seen.len(), 2, "both were there");
}

/// Code of another machine under this one's name, recorded as such.
#[test]
fn code_of_another_architecture() {
    let mut installed = Installed::new();
    let mut code = fs::read(installed.path(&installed.code())).unwrap();
    // The compiler's own note of what it compiled for: of the same length, and of no machine that runs this.
    let (own, other) = (std::env::consts::ARCH.as_bytes(), b"riscv64gc");
    let (own, other) = (own, &other[..own.len().min(other.len())]);
    let places: Vec<_> = (0..code.len() - own.len()).filter(|at| code[*at..].starts_with(own)).collect();
    assert!(!places.is_empty());
    for at in places {
        code[at..at + other.len()].copy_from_slice(other);
    }
    installed.replace(&code);
    let error = installed.refusal(installed.folder.path());
    assert!(matches!(error, CacheError::NotCompiled { .. }), "{error}");
}
