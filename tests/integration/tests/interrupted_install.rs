//! `remotes tree install` and `remove` that are killed at any of their steps: every action is there, and is one or the
//! other; nothing stays behind that is not named, and taken away by the next.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use remotes_integration::scene::folder;
use remotes_integration::tree::version;
use remotes_integration::{Outcome, Snapshot, Tree, dist};

/// What changes something that others see; `?` before what not every architecture has.
const CALLS: [&str; 10] =
    ["?rename", "?renameat", "renameat2", "linkat", "?symlink", "symlinkat", "?unlink", "unlinkat", "?mkdir", "?rmdir"];
/// Exit code of a process that was ended by SIGKILL.
const KILLED: i32 = 128 + 9;
/// The stock driver's actions.
const STOCK: [&str; 4] = ["pre", "post", "clean", "update_nic"];

/// Runs the operator's program until it enters this call for the time of this number, counted from 1. Says whether it
/// got there.
fn killed_at(program: &Path, call: &str, number: usize, arguments: &[&str]) -> bool {
    let mut strace = Command::new("strace");
    strace.args(["-qqo", "/dev/null", "-e", &format!("trace={call}")]);
    strace.args(["-e", &format!("inject={call}:signal=KILL:when={number}")]);
    let outcome = Outcome::of(strace.arg(program).args(arguments), "");
    assert!([0, KILLED].contains(&outcome.code), "{call} {number}: {outcome:?}");
    outcome.code == KILLED
}

/// A stock driver in small.
fn stock(root: &Path) -> Snapshot {
    let folder = root.join("vnm/dummy");
    fs::create_dir_all(&folder).unwrap();
    for action in &STOCK[..3] {
        fs::write(folder.join(action), "#!/bin/sh\necho stock\n").unwrap();
        fs::set_permissions(folder.join(action), fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::write(root.join("vnm/all"), "#!/bin/sh\necho stock\n").unwrap();
    fs::set_permissions(root.join("vnm/all"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("../all", folder.join("update_nic")).unwrap();
    Snapshot::of(root).with_file_times()
}

/// Calls every action. Each has to be the stock one or the driver's; how many are the driver's.
fn all_act(tree: &Tree, place: &str) -> usize {
    let mut ours = 0;
    for action in STOCK {
        let outcome = Outcome::of(Command::new(tree.stub(action)).args(["one-1", "0"]), "<VM><ID>1</ID></VM>");
        assert_eq!(outcome.code, 0, "{place}: {action}: {outcome:?}");
        ours += usize::from(!outcome.stdout.contains("stock"));
    }
    ours
}

/// What nothing has put in its place.
fn left(root: &Path) -> Vec<String> {
    let whole = Snapshot::of(root);
    let paths = whole.paths().into_iter().map(str::to_owned);
    paths.filter(|path| path.rsplit('/').next().is_some_and(|name| name.starts_with('.'))).collect()
}

/// The programs without what a debugger wants, since they are looked through at every step. Returns the operator's.
fn programs(below: &Path) -> PathBuf {
    let bin = below.join("dist/bin");
    fs::create_dir_all(&bin).unwrap();
    for entry in fs::read_dir(dist().join("bin")).unwrap() {
        let (from, to) = (entry.as_ref().unwrap().path(), bin.join(entry.unwrap().file_name()));
        fs::copy(from, &to).unwrap();
        // Where that cannot be done it only takes longer.
        let _ = Command::new("strip").arg(to).status();
    }
    symlink(dist().join("lib"), below.join("dist/lib")).unwrap();
    bin.join("remotes")
}

/// A tree with the stock driver, and what the commands are called with.
struct Grounds {
    folder: tempfile::TempDir,
    program: PathBuf,
    tree: Tree,
    before: Snapshot,
}

impl Grounds {
    fn new() -> Self {
        let folder = folder();
        let program = programs(folder.path());
        let root = folder.path().join("remotes");
        // The programs are there, with a driver that is not meant.
        let driver = ["tree", "install", "--driver", "vmm/dummy", root.to_str().unwrap()];
        assert_eq!(Outcome::of(Command::new(&program).args(driver), "").code, 0);
        let before = stock(&root);
        Self { folder, program, tree: Tree::at(&root).named("vnm/dummy"), before }
    }

    /// Has a command succeed.
    fn does(&self, arguments: &[&str]) {
        let outcome = Outcome::of(Command::new(&self.program).args(arguments), "");
        assert_eq!(outcome.code, 0, "{arguments:?}: {outcome:?}");
    }

    fn command(&self, word: &'static str) -> [&str; 5] {
        ["tree", word, "--driver", "vnm/dummy", self.tree.text()]
    }

    /// Nothing is left of the driver.
    fn as_before(&self) {
        self.before.assert_same(&Snapshot::of(self.tree.root()).with_file_times());
    }

    /// All is in place.
    fn installed(&self, place: &str) {
        assert_eq!((self.tree.verify(), left(self.tree.root())), (self.sound(), Vec::new()), "{place}");
        assert_eq!(all_act(&self.tree, place), STOCK.len());
    }

    fn sound(&self) -> (i32, Vec<(String, Option<String>)>) {
        let (_, rows) = self.tree.verify();
        (0, rows.into_iter().map(|(what, _)| (what, None)).collect())
    }

    /// Takes the driver out, also where it is none yet or none any more.
    fn out(&self, place: &str) {
        let outcome = Outcome::of(Command::new(&self.program).args(self.command("remove")), "");
        if outcome.code != 0 {
            assert!(outcome.says("there is no such driver"), "{place}: {outcome:?}");
            self.does(&self.command("install"));
            self.does(&self.command("remove"));
        }
        self.as_before();
    }
}

#[test]
fn killed_while_a_stock_driver_is_adopted() {
    let grounds = Grounds::new();
    let (mut kills, mut adopted) = (0, BTreeSet::new());
    for call in CALLS {
        for number in 1.. {
            let place = format!("install, killed at {call} {number}");
            let killed = killed_at(&grounds.program, call, number, &grounds.command("install"));
            adopted.insert(all_act(&grounds.tree, &place));
            if killed {
                kills += 1;
                // What is left is named, and gone with the next, in which direction that may be.
                let (_, rows) = grounds.tree.verify();
                for path in left(grounds.tree.root()) {
                    let named = |(what, problem): &(String, Option<String>)| *what == path && problem.is_some();
                    assert!(rows.iter().any(named), "{place}: {path}: {rows:?}");
                }
                if kills % 2 == 0 {
                    grounds.does(&grounds.command("install"));
                    grounds.installed(&place);
                }
            }
            grounds.out(&place);
            if !killed {
                break;
            }
        }
    }
    println!("tree install: {kills} kills");
    assert!(kills > 20, "{kills}");
    assert_eq!(adopted, (0..=STOCK.len()).collect(), "none, all, and each number between them");
}

#[test]
fn killed_while_it_is_given_back() {
    let grounds = Grounds::new();
    grounds.does(&grounds.command("install"));
    let mut kills = 0;
    for call in CALLS {
        for number in 1.. {
            let place = format!("remove, killed at {call} {number}");
            let killed = killed_at(&grounds.program, call, number, &grounds.command("remove"));
            all_act(&grounds.tree, &place);
            if killed {
                kills += 1;
                grounds.out(&place);
            } else {
                grounds.as_before();
            }
            grounds.does(&grounds.command("install"));
            if !killed {
                grounds.installed(&place);
                break;
            }
        }
    }
    println!("tree remove: {kills} kills");
    assert!(kills > 15, "{kills}");
}

#[test]
fn killed_while_a_driver_is_replaced_by_another_version() {
    let grounds = Grounds::new();
    let tree = grounds.tree.named("vmm/dummy");
    // Each is a new one: nothing of it is there yet.
    let mut words = (0..1000).map(|number| format!("v{number:03}"));
    let next = |word: &str| version(grounds.folder.path(), word.as_bytes().try_into().unwrap()).display().to_string();
    let answer = |place: &str| {
        let outcome = Outcome::of(Command::new(tree.stub("snapshot_create")).args(["one-1", "7"]), "");
        assert_eq!(outcome.code, 0, "{place}: {outcome:?}");
        outcome.stdout.trim_end().trim_end_matches("-7").to_owned()
    };
    let (mut kills, mut seen) = (0, BTreeSet::new());
    for call in CALLS {
        for number in 1.. {
            let (place, word) = (format!("upgrade, killed at {call} {number}"), words.next().unwrap());
            let (before, from) = (answer(&place), next(&word));
            let install = ["tree", "install", "--from", &from, grounds.tree.text()];
            let killed = killed_at(&grounds.program, call, number, &install);
            let now = answer(&place);
            assert!(now == before || now == word, "{place}: {before}, {now}");
            if killed {
                kills += 1;
                seen.insert(now == word);
                grounds.does(&install);
            }
            assert_eq!((answer(&place), tree.verify().0, left(tree.root())), (word, 0, Vec::new()), "{place}");
            if !killed {
                break;
            }
        }
    }
    println!("upgrade of a driver: {kills} kills");
    assert!(kills > 3 && seen.len() == 2, "{kills}: the old one and the new one");
}
