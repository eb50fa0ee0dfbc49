//! Drivers that are replaced while actions are called: none fails, and each is of one version or the other.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use remotes_integration::scene::folder;
use remotes_integration::tree::{run, version, write};
use remotes_integration::{Outcome, Snapshot, Tree};

/// Between two files of a copy: longer than an action takes to read both.
const PAUSE: Duration = Duration::from_millis(20);

fn install(root: &Path, from: &Path) -> Tree {
    run(&["tree", "install", root.to_str().unwrap(), "--from", from.to_str().unwrap()]);
    Tree::at(root).named("vmm/dummy")
}

/// Actions without end from two sides, until what is done meanwhile is done; their number and what they answered.
fn while_acting(tree: &Tree, done: impl FnOnce(&AtomicUsize)) -> (usize, BTreeSet<String>) {
    struct Over<'a>(&'a AtomicBool);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let (over, actions, answers) = (AtomicBool::new(false), AtomicUsize::new(0), Mutex::new(BTreeSet::new()));
    let act = || {
        while !over.load(Ordering::Relaxed) {
            let outcome = Outcome::of(Command::new(tree.stub("snapshot_create")).args(["one-1", "7"]), "");
            assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
            actions.fetch_add(1, Ordering::Relaxed);
            answers.lock().unwrap().insert(outcome.stdout.trim_end().to_owned());
        }
    };
    std::thread::scope(|scope| {
        let threads = [scope.spawn(act), scope.spawn(act)];
        let over = Over(&over);
        done(&actions);
        drop(over);
        threads.into_iter().for_each(|thread| thread.join().expect("no action fails"));
    });
    (actions.into_inner(), answers.into_inner().unwrap())
}

#[test]
fn no_action_fails_while_its_driver_is_replaced() {
    let folder = folder();
    let versions = [b"snap", b"snaq", b"snar"].map(|word| version(folder.path(), word));
    let root = folder.path().join("remotes");
    let tree = install(&root, &versions[0]);
    let mut installs = 0;
    let (actions, answers) = while_acting(&tree, |actions| {
        // Forwards, and back again.
        for from in [1, 2, 1, 0].into_iter().cycle() {
            install(&root, &versions[from]);
            installs += 1;
            if installs >= 12 && actions.load(Ordering::Relaxed) >= 300 {
                break;
            }
        }
    });
    println!("{actions} actions during {installs} upgrades and roll-backs");
    assert_eq!(answers, ["snap-7", "snaq-7", "snar-7"].map(str::to_owned).into());
    assert_eq!(tree.verify().0, 0);
    // The version before, and no more of them.
    let manifest = tree.manifest();
    let parts = Snapshot::of(&tree.driver()).0.len();
    assert_eq!((manifest.previous.len(), parts), (2, 1 + 1 + 2 + 2), "{manifest:?}");
}

#[test]
fn no_action_fails_while_drivers_are_put_in_and_taken_out() {
    let folder = folder();
    let root = folder.path().join("remotes");
    write(&root.join("vmm/dummy/snapshot_create"), "#!/bin/sh\necho stock-$2\n", 0o755);
    let before = Snapshot::of(&root).with_file_times();
    let tree = Tree::at(&root).named("vmm/dummy");
    let mut rounds = 0;
    let (actions, answers) = while_acting(&tree, |actions| {
        while rounds < 8 || actions.load(Ordering::Relaxed) < 200 {
            run(&["tree", "install", "--driver", "vmm/dummy", tree.text()]);
            run(&["tree", "remove", tree.text()]);
            rounds += 1;
        }
    });
    println!("{actions} actions while the driver came and went {rounds} times");
    assert_eq!(answers, ["snap-7", "stock-7"].map(str::to_owned).into());
    before.assert_same(&Snapshot::of(&root).with_file_times());
}

/// One step of a copy.
#[derive(Clone, Debug)]
enum Step {
    Put(PathBuf),
    Remove(PathBuf),
}

/// What makes one folder like the other.
fn steps(from: &Path, to: &Path) -> Vec<Step> {
    let (before, after) = (Snapshot::of(from), Snapshot::of(to));
    let gone = before.0.keys().filter(|path| !after.0.contains_key(*path)).cloned().map(Step::Remove);
    let content = |snapshot: &Snapshot, path| snapshot.0.get(path).map(|entry| entry.content.clone());
    let new = after.0.keys().filter(|path| content(&before, *path) != content(&after, *path)).cloned().map(Step::Put);
    gone.chain(new).collect()
}

/// All orders of these, by Heap's way.
fn orders(steps: &mut Vec<Step>, length: usize, found: &mut Vec<Vec<Step>>) {
    if length <= 1 {
        return found.push(steps.clone());
    }
    for at in 0..length {
        orders(steps, length - 1, found);
        steps.swap(if length.is_multiple_of(2) { at } else { 0 }, length - 1);
    }
}

fn copy(from: &Path, to: &Path) {
    let outcome = Outcome::of(Command::new("cp").arg("-a").args([from, to]), "");
    assert_eq!(outcome.code, 0, "{outcome:?}");
}

/// What copies a tree to a host may bring its files in any order, and take away what is gone before.
#[test]
fn no_action_fails_while_its_driver_is_copied_to_the_host() {
    let folder = folder();
    let root = folder.path().join("remotes");
    let states = [b"snap", b"snaq", b"snar"].map(|word| {
        let tree = install(&root, &version(folder.path(), word));
        let state = folder.path().join(format!("state-{}", String::from_utf8_lossy(word)));
        copy(&tree.driver(), &state);
        state
    });
    let host = folder.path().join("host");
    copy(&root, &host);
    let host = Tree::at(&host).named("vmm/dummy");
    let reset = |state: &Path| {
        fs::remove_dir_all(host.driver()).unwrap();
        copy(state, &host.driver());
    };
    let mut next = Vec::new();
    orders(&mut steps(&states[1], &states[2]), 5, &mut next);
    assert_eq!(next.len(), 120);
    // A host that was left out once has nothing of what the tree still keeps.
    let late = steps(&states[0], &states[2]);
    let mut backwards = late.clone();
    backwards.reverse();
    let late = [late, backwards];
    let mut total = 0;
    for (from, word, orders) in [(&states[0], "snap-7", &late[..]), (&states[1], "snaq-7", &next[..])] {
        for order in orders {
            reset(from);
            let (actions, answers) = while_acting(&host, |_| {
                for step in order {
                    match step {
                        Step::Remove(path) => fs::remove_file(host.driver().join(path)).unwrap(),
                        Step::Put(path) => {
                            let beside = host.driver().join(".copied");
                            fs::copy(states[2].join(path), &beside).unwrap();
                            fs::rename(beside, host.driver().join(path)).unwrap();
                        }
                    }
                    std::thread::sleep(PAUSE);
                }
            });
            total += actions;
            assert!(answers.iter().all(|answer| answer == word || answer == "snar-7"), "{order:?}: {answers:?}");
        }
    }
    println!("{total} actions during {} copies", next.len() + late.len());
}
