//! Somebody swaps links and folders as fast as possible while paths are used: whatever is reached lies
//! inside.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use remotes_effect::filesystem::{Answer as A, Effect as E};
use remotes_effect::{Answer, Effect, Executor};
use rustix::fs::{CWD, RenameFlags};
use support::{RW, Sandbox, place, snapshot};

const ROUNDS: usize = 4000;

/// Exchanges two names in a thread until dropped.
struct Swapper {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<usize>>,
}

impl Swapper {
    fn new(one: PathBuf, other: PathBuf) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut swaps = 0;
            while !stopped.load(Ordering::Relaxed) {
                if rustix::fs::renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).is_ok() {
                    swaps += 1;
                }
            }
            swaps
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Swapper {
    /// Ends it; returns how often it swapped.
    fn end(&mut self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().map_or(0, |thread| thread.join().unwrap())
    }
}

impl Drop for Swapper {
    fn drop(&mut self) {
        self.end();
    }
}

/// `ds/at` is swapped with `ds/other`, which leads out.
fn world() -> Sandbox {
    let world = Sandbox::new();
    world.file("out/file", "secret").file("out/deep/file", "secret").file("ds/inside/file", "fine");
    world
}

fn file(world: &Sandbox, path: &str) -> E {
    E::Read { at: place(world.at(path)) }
}

/// Asks again and again; panics where the answer holds what lies outside. Returns how often it worked.
fn watch(world: &Sandbox, effects: &[E]) -> usize {
    let mut worked = 0;
    for round in 0..ROUNDS {
        let mut machine = world.machine(&[("ds", RW)]);
        match machine.execute(&Effect::Filesystem(effects[round % effects.len()].clone())) {
            Answer::Filesystem(A::Read(Ok(content))) => {
                assert_eq!(String::from_utf8_lossy(&content), "fine");
                worked += 1;
            }
            Answer::Filesystem(A::Entries(Ok(names))) => {
                assert!(!names.contains(&"deep".to_owned()), "{names:?}");
                worked += 1;
            }
            answer => worked += usize::from(answer.failure().is_none()),
        }
    }
    worked
}

#[test]
fn a_link_swapped_for_one_that_leads_out() {
    let world = world();
    world.link("ds/at", "inside").link("ds/other", world.at("out"));
    let mut swapper = Swapper::new(world.path.join("ds/at"), world.path.join("ds/other"));
    let entries = E::Entries { at: place(world.at("ds/at")) };
    assert!(watch(&world, &[file(&world, "ds/at/file"), entries]) > 0);
    assert!(swapper.end() > 0);
}

#[test]
fn a_folder_swapped_for_a_link() {
    let world = world();
    world.file("ds/at/file", "fine").file("ds/at/deep/file", "fine").link("ds/other", world.at("out"));
    let mut swapper = Swapper::new(world.path.join("ds/at"), world.path.join("ds/other"));
    assert!(watch(&world, &[file(&world, "ds/at/file"), file(&world, "ds/at/deep/file")]) > 0);
    assert!(swapper.end() > 0);
}

#[test]
fn a_file_swapped_for_a_link() {
    let world = world();
    world.file("ds/at", "fine").link("ds/other", world.at("out/file"));
    let mut swapper = Swapper::new(world.path.join("ds/at"), world.path.join("ds/other"));
    assert!(watch(&world, &[file(&world, "ds/at")]) > 0);
    assert!(swapper.end() > 0);
}

#[test]
fn a_folder_swapped_while_it_is_changed() {
    let world = world();
    world.folder("ds/at").link("ds/other", world.at("out"));
    let before = snapshot(&world.path.join("out"));
    let mut swapper = Swapper::new(world.path.join("ds/at"), world.path.join("ds/other"));
    let at = |path: &str| place(world.at(path));
    let effects = [
        E::Write { at: at("ds/at/file"), content: b"fine".to_vec(), mode: 0o600 },
        E::MakeDirectory { at: at("ds/at/deep/er"), mode: 0o700 },
        E::SetMode { at: at("ds/at/file"), mode: 0o777 },
        E::Copy { source: at("ds/inside/file"), target: at("ds/at/deep/file") },
        E::Rename { source: at("ds/at/file"), target: at("ds/at/deep/file") },
        E::Remove { at: at("ds/at/deep"), recursive: true },
        E::Remove { at: at("ds/at/file"), recursive: true },
    ];
    assert!(watch(&world, &effects) > 0);
    assert!(swapper.end() > 0);
    assert_eq!(before, snapshot(&world.path.join("out")));
}

#[test]
fn a_folder_swapped_while_what_holds_it_is_removed() {
    let world = world();
    let before = snapshot(&world.path.join("out"));
    for _ in 0..100 {
        for folder in 0..5 {
            world.file(&format!("ds/tree/{folder}/a/b/file"), "fine");
        }
        world.folder("ds/tree/at/deep").link("ds/other", world.at("out"));
        let mut swapper = Swapper::new(world.path.join("ds/tree/at"), world.path.join("ds/other"));
        let mut machine = world.machine(&[("ds", RW)]);
        let remove = Effect::Filesystem(E::Remove { at: place(world.at("ds/tree")), recursive: true });
        while machine.execute(&remove).failure().is_some() {}
        swapper.end();
        let _ = std::fs::remove_file(world.path.join("ds/other"));
        let _ = std::fs::remove_dir_all(world.path.join("ds/other"));
        assert_eq!(before, snapshot(&world.path.join("out")));
    }
}
