//! Root at work where others may write: in another's tree, and on ways that lead through another's folders.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::process::Command;

use remotes_integration::scene::folder;
use remotes_integration::tree::{fails, run, stock};
use remotes_integration::{Outcome, Snapshot, Tree, remotes};
use remotes_test_support::skipped;

/// Somebody else than root.
const OTHER: u32 = 65_534;

fn give(path: &Path) {
    let outcome = Outcome::of(Command::new("chown").args(["-hR", "65534:65534"]).arg(path), "");
    assert_eq!(outcome.code, 0, "{outcome:?}");
}

#[test]
fn root_in_anothers_tree_works_as_that_other() {
    if !rustix::process::geteuid().is_root() {
        return skipped("only root can give files away");
    }
    let folder = folder();
    let root = folder.path().join("remotes");
    stock(&root);
    let tree = Tree::install(&root);
    give(&root);
    assert_eq!(tree.verify(), {
        let (_, rows) = tree.verify();
        (0, rows.into_iter().map(|row| (row.0, None)).collect())
    });
    let listed = run(&["--json", "list", "--tree", tree.text()]);
    assert!(listed.stdout.contains("\"ready\": true"), "{listed:?}");
    // What root installs there, the owner can replace and remove.
    run(&["tree", "install", "--driver", "vmm/dummy", tree.text()]);
    assert!(Snapshot::of(&root).0.values().all(|entry| entry.owner == OTHER));
    // An action is not run as somebody else: it says as whom.
    let outcome = Outcome::of(remotes().args(["exec", "--tree", tree.text(), "vmm/dummy/reboot", "one-1", "h"]), "");
    assert!(outcome.code == 1 && outcome.says("sudo -u '#65534'"), "{outcome:?}");
    // A folder of somebody else's is seen before anything is begun.
    chown(root.join("vmm/kvm"), Some(0), Some(0)).unwrap();
    let before = Snapshot::of(&root);
    for arguments in [
        &["tree", "remove", tree.text()][..],
        &["tree", "install", "--driver", "vmm/dummy", "--driver", "vmm/kvm", tree.text()],
    ] {
        fails(arguments, "cannot write into");
        before.assert_same(&Snapshot::of(&root));
    }
    give(&root.join("vmm/kvm"));
    run(&["tree", "remove", tree.text()]);
    assert!(Snapshot::of(&root).0.values().all(|entry| entry.owner == OTHER));
}

/// A tree that is installed there, with whoever it belongs to.
fn installed(tree: &Path) -> u32 {
    run(&["tree", "install", "--driver", "vmm/dummy", tree.to_str().unwrap()]);
    let owners: Vec<u32> = Snapshot::of(tree).0.values().map(|entry| entry.owner).collect();
    assert!(owners.iter().all(|owner| *owner == owners[0]), "{owners:?}");
    owners[0]
}

/// Whoever owns a link, or a folder above the tree, can have it lead elsewhere at any moment.
#[test]
fn root_follows_nobodys_way_as_root() {
    if !rustix::process::geteuid().is_root() {
        return skipped("only root can give files away");
    }
    let folder = folder();
    let (home, roots) = (folder.path().join("home"), folder.path().join("roots"));
    for folder in [&home, &roots, &home.join("inside")] {
        fs::create_dir(folder).unwrap();
    }
    symlink(&roots, home.join("remotes")).unwrap();
    give(&home);
    symlink("home/remotes", folder.path().join("linked")).unwrap();
    chown(home.join("inside"), Some(0), Some(0)).unwrap();
    for way in [home.join("remotes"), folder.path().join("linked"), roots.join("../home/remotes"), home.join("inside")]
    {
        fails(&["tree", "install", "--driver", "vmm/dummy", way.to_str().unwrap()], "cannot write into");
    }
    assert_eq!(Snapshot::of(&roots).paths(), [""]);
    // What is yet to be made will be that of whoever could make it first.
    assert_eq!(installed(&home.join("new/tree")), OTHER);
    assert_eq!(installed(&roots), 0);
    assert_eq!(installed(&roots.join("new/tree")), 0);
    symlink("roots", folder.path().join("own")).unwrap();
    assert_eq!(installed(&folder.path().join("own/linked")), 0);
    fails(&["tree", "remove", home.join("remotes").to_str().unwrap()], "cannot write into");
    run(&["tree", "remove", folder.path().join("own").to_str().unwrap()]);
}

#[test]
fn root_lays_nothing_where_others_may_write() {
    if !rustix::process::geteuid().is_root() {
        return skipped("only root is led anywhere by others");
    }
    let folder = folder();
    let shared = folder.path().join("shared");
    fs::create_dir(&shared).unwrap();
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let refused = |command: &str, tree: &Path, which: &Path| {
        fails(&["tree", command, tree.to_str().unwrap()], &format!("{}: others may write", which.display()));
    };
    mode(&shared, 0o777);
    refused("install", &shared, &shared);
    refused("install", &shared.join("tree"), &shared);
    // As in /tmp, what is root's there can be replaced by nobody else.
    mode(&shared, 0o1777);
    refused("install", &shared, &shared);
    assert_eq!(Snapshot::of(&shared).paths(), [""]);
    let tree = shared.join("tree");
    assert_eq!(installed(&tree), 0);
    // A group of others is others.
    chown(&tree, None, Some(OTHER)).unwrap();
    for open in [0o775, 0o777] {
        mode(&tree, open);
        let before = Snapshot::of(&tree);
        refused("remove", &tree, &tree);
        refused("install", &tree, &tree);
        before.assert_same(&Snapshot::of(&tree));
        // Seen it can be.
        assert_eq!(Tree::at(&tree).verify().0, 3);
    }
    mode(&tree, 0o755);
    run(&["tree", "remove", tree.to_str().unwrap()]);
}
