//! The remotes tree where something is in the way: commands that were ended, limits, owners, other commands.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use remotes_integration::scene::folder;
use remotes_integration::tree::{fails, run, stock, write};
use remotes_integration::{Outcome, Snapshot, Tree, dist, remotes};
use remotes_test_support::skipped;

#[test]
fn what_an_ended_command_left_is_named_and_taken_away() {
    let folder = folder();
    let root = folder.path().join("remotes");
    stock(&root);
    let empty = Snapshot::of(&root).with_file_times();
    let tree = Tree::install(&root);
    let before = Snapshot::of(&root).with_file_times();
    let places = ["bin", "drivers", "drivers/vmm/kvm", "drivers/vmm/kvm/stock", "etc/vmm/kvm", "vmm/kvm"];
    let leave = || {
        for place in places {
            write(&root.join(place).join(".remotes-x1y2z3.new"), "half a fi", 0o600);
            // Not ours: a temporary file of somebody else.
            write(&root.join(place).join(".tmp123456"), "mine", 0o600);
        }
        write(&tree.driver().join("component.0123456789abcdef.wasm"), "of no version", 0o644);
    };
    let others = || places.iter().for_each(|place| fs::remove_file(root.join(place).join(".tmp123456")).unwrap());
    leave();
    let (code, rows) = tree.verify();
    assert_eq!(code, 3);
    let named: Vec<_> = rows.iter().filter(|row| row.1.is_some()).map(|row| row.0.clone()).collect();
    let mut expected: Vec<_> = places.iter().map(|place| format!("{place}/.remotes-x1y2z3.new")).collect();
    expected.push("drivers/vmm/kvm/component.0123456789abcdef.wasm".to_owned());
    expected.sort();
    assert_eq!(
        {
            let mut named = named;
            named.sort();
            named
        },
        expected
    );
    Tree::install(&root);
    others();
    before.assert_same(&Snapshot::of(&root).with_file_times());
    leave();
    others();
    run(&["tree", "remove", tree.text()]);
    empty.assert_same(&Snapshot::of(&root).with_file_times());
}

/// A component with so much memory from the start, in pages of 64 KiB.
fn with_memory(module: &[u8], pages: u32) -> Vec<u8> {
    let number = |bytes: &[u8]| {
        let length = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
        (bytes[..length].iter().rev().fold(0, |value, byte| value << 7 | usize::from(byte & 0x7f)), length)
    };
    let (mut at, mut out) = (8, module[..8].to_vec());
    while at < module.len() {
        let (size, length) = number(&module[at + 1..]);
        let end = at + 1 + length + size;
        match module[at] {
            // Memories: one, without a maximum, of so many pages.
            5 => {
                let encoded = [pages & 0x7f | 0x80, pages >> 7 & 0x7f | 0x80, pages >> 14].map(|byte| byte as u8);
                out.extend([5, 5, 1, 0]);
                out.extend(encoded);
            }
            _ => out.extend(&module[at..end]),
        }
        at = end;
    }
    out
}

#[test]
fn the_limits_of_a_drivers_policy_count_when_it_is_installed() {
    let folder = folder();
    let (root, from) = (folder.path().join("remotes"), folder.path().join("from"));
    let module = fs::read(dist().join("lib/remotes/drivers/vmm/dummy/component.wasm")).unwrap();
    fs::create_dir_all(from.join("vmm/big")).unwrap();
    fs::write(from.join("vmm/big/component.wasm"), with_memory(&module, 2000)).unwrap();
    let shipped = from.join("vmm/big/policy.toml");
    let (text, from) = (root.to_str().unwrap(), from.to_str().unwrap());
    let install = ["tree", "install", text, "--from", from];
    let narrow = "schema = 1\n";
    let wide = "schema = 1\n[limits]\nmemory-mib = 512\n";
    fs::write(&shipped, narrow).unwrap();
    fails(&install, &format!("by the limits of {}: the driver needs more than 64 MiB", shipped.display()));
    assert!(!root.exists());
    fs::write(&shipped, wide).unwrap();
    run(&install);
    let tree = Tree::at(&root).named("vmm/big");
    assert_eq!(tree.verify().0, 0);
    let listed = run(&["--json", "list", "--tree", text]);
    assert!(listed.stdout.contains("\"ready\": true"), "{listed:?}");
    assert_eq!(Outcome::of(Command::new(tree.stub("reboot")).args(["one-1", "h"]), "").code, 0);
    // The operator's policy is the one that its actions run under.
    fs::write(tree.policy_file(), narrow).unwrap();
    fails(&install, &format!("by the limits of {}: the driver needs more than 64 MiB", tree.policy_file().display()));
    fs::write(tree.policy_file(), wide).unwrap();
    fs::write(&shipped, narrow).unwrap();
    run(&install);
}

#[test]
fn a_stock_file_that_cannot_be_linked_is_copied_with_all_that_it_is() {
    if !rustix::process::geteuid().is_root() {
        return skipped("only root can give files away");
    }
    let folder = folder();
    let root = folder.path().join("remotes");
    let before = stock(&root);
    let mut strace = Command::new("strace");
    strace.args(["-qqo", "/dev/null", "-e", "trace=linkat", "-e", "inject=linkat:error=EPERM"]);
    strace.arg(dist().join("bin/remotes")).args(["tree", "install", "--driver", "vmm/kvm", root.to_str().unwrap()]);
    let outcome = Outcome::of(&mut strace, "");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    run(&["tree", "remove", root.to_str().unwrap()]);
    before.assert_same(&Snapshot::of(&root).with_file_times());
}

#[test]
fn drivers_that_are_not_there_are_told_from_those_that_are() {
    let folder = folder();
    let text = folder.path().join("t").display().to_string();
    fails(
        &["tree", "install", "--driver", "vmm/nope", &text],
        "there is no driver vmm/nope in it; there are vmm/dummy, vmm/kvm",
    );
}

/// Two at once: the second one waits, and says so.
#[test]
fn a_command_that_has_to_wait_says_so() {
    let folder = folder();
    let tree = Tree::install(&folder.path().join("remotes"));
    let held = fs::File::open(tree.root()).unwrap();
    held.lock().unwrap();
    let mut waiting = remotes();
    waiting.args(["tree", "verify", tree.text()]).stderr(std::process::Stdio::piped());
    let mut waiting = waiting.stdout(std::process::Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(waiting.stderr.take().unwrap()), &mut line).unwrap();
    assert!(line.contains("waiting for another command"), "{line}");
    drop(held);
    assert!(waiting.wait().unwrap().success());
}

/// Operators let a driver go by a second name with a link: `vmm/kvm2 -> kvm`.
#[test]
fn a_driver_of_a_linked_name_is_neither_put_there_nor_taken_away() {
    let folder = folder();
    let root = folder.path().join("remotes");
    stock(&root);
    let tree = Tree::install(&root);
    let install = ["tree", "install", "--driver", "vmm/kvm", "--as", "vmm/qemu", tree.text()];
    let before = Snapshot::of(&root);
    fails(&install, "vmm/qemu: it is a link to kvm");
    before.assert_same(&Snapshot::of(&root));
    fs::remove_file(root.join("vmm/qemu")).unwrap();
    for place in ["drivers/vmm/qemu", "etc/vmm/qemu"] {
        symlink("kvm", root.join(place)).unwrap();
        let before = Snapshot::of(&root);
        fails(&install, &format!("{place}: it is a link to kvm"));
        before.assert_same(&Snapshot::of(&root));
        if place.starts_with("drivers") {
            fails(&["tree", "remove", "--driver", "vmm/qemu", tree.text()], "drivers/vmm/qemu: it is a link to kvm");
            before.assert_same(&Snapshot::of(&root));
        }
        fs::remove_file(root.join(place)).unwrap();
    }
    // Where it was made a link afterwards.
    run(&install);
    fs::remove_dir_all(root.join("vmm/qemu")).unwrap();
    symlink("kvm", root.join("vmm/qemu")).unwrap();
    let before = Snapshot::of(&root);
    fails(&["tree", "remove", "--driver", "vmm/qemu", tree.text()], "vmm/qemu: it is a link to kvm");
    before.assert_same(&Snapshot::of(&root));
}

#[test]
fn only_stubs_of_the_driver_itself_are_taken_away() {
    let folder = folder();
    let tree = Tree::install(&folder.path().join("remotes"));
    tree.install_also("vmm/dummy");
    let dummy = tree.named("vmm/dummy");
    fs::copy(tree.stub("deploy"), dummy.stub("deploy")).unwrap();
    run(&["tree", "remove", "--driver", "vmm/dummy", tree.text()]);
    assert_eq!(fs::read(dummy.stub("deploy")).unwrap(), fs::read(tree.stub("deploy")).unwrap());
    assert!(!dummy.stub("cancel").exists());
}

#[test]
fn a_driver_may_be_named_twice() {
    let folder = folder();
    let text = folder.path().join("t").display().to_string();
    let twice = ["--driver", "vmm/dummy", "--driver", "vmm/dummy/", text.as_str()];
    for command in ["install", "remove"] {
        let outcome = run(&[&["--json", "tree", command], &twice[..]].concat());
        let rows: Vec<serde_json::Value> = serde_json::from_str(&outcome.stdout).unwrap();
        assert_eq!(rows.len(), 1, "{outcome:?}");
    }
    assert_eq!(Snapshot::of(&folder.path().join("t")).paths(), [""]);
}

/// Actions that the driver lacks have a stub, too, unless the stock driver has them.
#[test]
fn stubs_of_actions_that_a_driver_lacks_are_verified() {
    let folder = folder();
    let tree = Tree::at(&folder.path().join("remotes")).named("vnm/dummy");
    run(&["tree", "install", "--driver", "vnm/dummy", tree.text()]);
    let stub = tree.stub("remote_post");
    let ours = fs::read_to_string(&stub).unwrap();
    let found = |says: &str| {
        let (code, rows) = tree.verify();
        let problems: Vec<_> = rows.into_iter().filter_map(|(what, problem)| Some((what, problem?))).collect();
        let named = matches!(&problems[..], [(what, said)] if what == "vnm/dummy" && said.contains(says));
        assert!(code == 3 && named, "{says}: {problems:?}");
    };
    fs::remove_file(&stub).unwrap();
    found("vnm/dummy/remote_post: No such file");
    write(&stub, &format!("{ours}# more\n"), 0o755);
    found("remote_post is not the stub");
    write(&stub, &ours, 0o777);
    found("vnm/dummy/remote_post: writable by others");
    // A stock file stands for itself, also one that is a link.
    write(&stub, "#!/bin/sh\necho stock\n", 0o755);
    assert_eq!(tree.verify().0, 0);
    fs::remove_file(&stub).unwrap();
    symlink("../all", &stub).unwrap();
    assert_eq!(tree.verify().0, 0);
}
