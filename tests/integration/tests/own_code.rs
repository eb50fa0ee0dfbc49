//! Hosts for which the tree has no code: they compile for themselves, into a cache of their own.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use remotes_integration::scene::folder;
use remotes_integration::snapshot::digest;
use remotes_integration::tree::{run, write};
use remotes_integration::{Outcome, Snapshot, Tree, remotes};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Makes it the tree of a front-end of another kind: it holds code for other machines only.
fn for_others(tree: &Tree) {
    let manifest = tree.driver().join("driver.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::remove_file(tree.code()).unwrap();
    fs::write(&manifest, text.replace(&format!("{} = ", std::env::consts::ARCH), "other = ")).unwrap();
}

/// A tree of vmm/dummy for other machines.
fn dummy(root: &Path) -> Tree {
    run(&["tree", "install", "--driver", "vmm/dummy", root.to_str().unwrap()]);
    let tree = Tree::at(root).named("vmm/dummy");
    for_others(&tree);
    tree
}

/// An action of that, with this cache.
fn reboot(tree: &Tree, cache: &Path) -> Outcome {
    let mut command = Command::new(tree.stub("reboot"));
    Outcome::of(command.args(["one-1", "node1"]).env("XDG_CACHE_HOME", cache), "")
}

#[test]
fn a_host_of_another_kind_compiles_for_itself_once() {
    let folder = folder();
    let tree = Tree::install(&folder.path().join("remotes"));
    for_others(&tree);
    let before = Snapshot::of(tree.root());
    let cache = folder.path().join("cache");
    let log = folder.path().join("log");
    let call = || {
        let mut command = Command::new(tree.stub("migrate"));
        command.args(["one-7", "node2", "node1", "7", "node1"]).env("XDG_CACHE_HOME", &cache);
        command.env("REMOTES_LOG_FILE", &log).env("REMOTES_LOG", "warn");
        Outcome::of(&mut command, "")
    };
    let first = call();
    first.failed(1);
    assert!(first.says("Error migrating VM one-7"), "{first:?}");
    let compiled = Snapshot::of(&cache);
    let code = compiled.0.iter().find(|(path, _)| path.extension().is_some_and(|extension| extension == "cwasm"));
    assert!(code.is_some(), "{:?}", compiled.paths());
    assert!(compiled.0.values().all(|entry| entry.mode & 0o022 == 0));

    // The second call finds it. The tree is as it was: the next copy would delete what is added to it.
    assert_eq!(call(), first);
    compiled.assert_same(&Snapshot::of(&cache));
    before.assert_same(&Snapshot::of(tree.root()));
    assert!(fs::read_to_string(&log).unwrap().contains("no code for this machine"));

    // Code that somebody else may have put there is not run, nor is another component compiled.
    let (path, _) = code.unwrap();
    let mut altered = fs::read(cache.join(path)).unwrap();
    *altered.last_mut().unwrap() ^= 1;
    fs::write(cache.join(path), &altered).unwrap();
    assert_eq!(call(), first);
    assert_ne!(digest(&fs::read(cache.join(path)).unwrap()), digest(&altered), "it was compiled anew");
    let component = tree.component();
    fs::write(&component, [fs::read(&component).unwrap(), vec![0]].concat()).unwrap();
    fs::remove_dir_all(&cache).unwrap();
    let refused = call();
    refused.failed(1);
    assert!(refused.says("not what was recorded"), "{refused:?}");
}

#[test]
fn what_a_host_has_to_compile_is_said_by_those_that_look() {
    let folder = folder();
    let tree = dummy(&folder.path().join("remotes"));
    let cache = folder.path().join("cache");
    let asked = |arguments: &[&str], cache: Option<&Path>| {
        let mut command = remotes();
        command.env_remove("HOME").env_remove("XDG_CACHE_HOME").arg("--json").args(arguments).arg(tree.text());
        Outcome::of(command.envs(cache.map(|cache| ("XDG_CACHE_HOME", cache))), "")
    };
    let says = |cache: Option<&Path>, ready: bool, words: &str| {
        let (listed, verified) = (asked(&["list"], cache), asked(&["tree", "verify"], cache));
        assert!(listed.stdout.contains(&format!("\"ready\": {ready}")) && listed.stdout.contains(words), "{listed:?}");
        assert_eq!(verified.code, if ready { 0 } else { 3 }, "{verified:?}");
        assert!(verified.stdout.contains(words), "{verified:?}");
    };
    says(None, false, "HOME is not set");
    says(Some(&cache), true, "compiled for this machine when it is first used");
    assert!(!cache.exists());
    assert_eq!(reboot(&tree, &cache).code, 0);
    says(Some(&cache), true, "from this host's own cache");
    // What would not be compiled is not ready.
    fs::remove_dir_all(&cache).unwrap();
    fs::write(tree.component(), "another").unwrap();
    says(Some(&cache), false, "not what was recorded");
}

fn age(path: &Path, age: Duration) {
    File::open(path).unwrap().set_modified(SystemTime::now() - age).unwrap();
}

#[test]
fn what_nobody_uses_any_more_leaves_a_hosts_cache() {
    let folder = folder();
    let tree = dummy(&folder.path().join("remotes"));
    let cache = folder.path().join("cache");
    let own = cache.join("remotes");
    let (other, arch, version) = ("ab".repeat(32), std::env::consts::ARCH, env!("CARGO_PKG_VERSION"));
    let entry = |name: &str, days: u32| -> PathBuf {
        let path = own.join(name);
        write(&path.join("component.0123456789abcdef.x.cwasm"), "code", 0o644);
        age(&path, DAY * days);
        path
    };
    let goes = [
        entry(&format!("{other}-0.0.1-{arch}"), 8),
        entry(&format!("{other}-0.0.2-rc.1-{arch}"), 8),
        entry(&format!("{other}-{version}-{arch}"), 91),
        entry(&format!("{other}-{version}-other"), 91),
    ];
    let stays = [
        // A host with the same home may not have the new version yet.
        entry(&format!("{other}-0.0.3-{arch}"), 6),
        entry(&format!("{}-{version}-{arch}", "cd".repeat(32)), 89),
        entry("mine-0.0.1-x", 91),
        entry(&other, 91),
    ];
    let precious = entry("../precious", 91);
    let link = own.join(format!("{}-0.0.1-{arch}", "ef".repeat(32)));
    symlink(&precious, &link).unwrap();
    assert_eq!(reboot(&tree, &cache).code, 0);
    goes.iter().for_each(|path| assert!(!path.exists(), "{}", path.display()));
    stays.iter().for_each(|path| assert!(path.exists(), "{}", path.display()));
    assert!(link.is_symlink() && precious.join("component.0123456789abcdef.x.cwasm").exists());
    // What is used is young, and holds one version of its code.
    let used = own.join(format!("{}-{version}-{arch}", tree.manifest().component));
    let left = used.join("component.0123456789abcdef.x.cwasm");
    fs::write(&left, "code of before").unwrap();
    age(&used, DAY * 80);
    assert_eq!(reboot(&tree, &cache).code, 0);
    assert!(fs::metadata(&used).unwrap().modified().unwrap().elapsed().unwrap() < DAY);
    assert!(left.exists());
    fs::write(used.join("driver.toml"), "").unwrap();
    assert_eq!(reboot(&tree, &cache).code, 0);
    assert!(!left.exists());
}

#[test]
fn compiling_takes_no_longer_than_the_action_may() {
    let folder = folder();
    let tree = dummy(&folder.path().join("remotes"));
    write(&tree.path("bin/remotes"), "#!/bin/sh\nsleep 100\necho late >&2\nexit 1\n", 0o755);
    tree.set_policy("limits", "start-seconds", 1);
    tree.set_policy("limits", "time-seconds", 1);
    let outcome = reboot(&tree, &folder.path().join("cache"));
    assert!(outcome.failed(1).says("limits.time-seconds"), "{outcome:?}");
    assert!(outcome.says("compiling the component for this machine failed"), "{outcome:?}");
}
