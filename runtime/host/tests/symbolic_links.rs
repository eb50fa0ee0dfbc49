//! Symbolic links that a driver makes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::sync::Barrier;

use remotes_effect::filesystem::Effect as E;
use remotes_effect::types::FailureKind as K;
use remotes_effect::{Effect, Executor};
use support::{RO, RW, Sandbox, done, place, refused, snapshot};

fn link(world: &Sandbox, name: &str, target: impl Into<String>) -> E {
    E::Link { at: place(world.at(name)), target: target.into() }
}

fn target(world: &Sandbox, name: &str) -> String {
    world.path.join(name).read_link().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn links_are_made_where_nothing_is() {
    let world = Sandbox::new();
    world.folder("ds/0/5/disk.0.snap").file("ds/1/image", "x");
    let mut machine = world.machine(&[("ds/0", RW), ("ds/1", RW)]);
    for (name, to) in [
        ("ds/0/5/disk.0", world.at("ds/1/image")),
        ("ds/0/5/disk.1", "disk.0.snap/0".to_owned()),
        ("ds/0/5/disk.0.snap/disk.0.snap", ".".to_owned()),
        // There is no such folder yet.
        ("ds/0/5/disk.2", world.at("ds/1/later/image")),
        ("ds/0/5/images", world.at("ds/1/folder")),
        ("ds/0/5/itself", "itself".to_owned()),
    ] {
        done(&mut machine, link(&world, name, &to));
        assert_eq!(target(&world, name), to);
        if name != "ds/0/5/itself" {
            done(&mut machine, link(&world, name, &to));
        }
    }
}

#[test]
fn what_is_there_stays() {
    let world = Sandbox::new();
    world.folder("ds/folder").file("ds/file", "x").link("ds/link", "file");
    let before = snapshot(&world.path);
    let mut machine = world.machine(&[("ds", RW)]);
    for name in ["ds/folder", "ds/file", "ds/link"] {
        assert_eq!(refused(&mut machine, link(&world, name, "other")), K::Exists, "{name}");
    }
    assert_eq!(refused(&mut machine, link(&world, "ds/missing/link", "x")), K::NotFound);
    assert_eq!(refused(&mut machine, link(&world, "ds/file/link", "x")), K::NotFound);
    assert_eq!(before, snapshot(&world.path));
}

#[test]
fn the_target_must_be_granted() {
    let world = Sandbox::new();
    world.folder("ds/0").folder("out").folder("read-only").link("ds/0/way-out", world.at("out"));
    world.file("ds/10x/file", "x").folder("ds/1");
    let before = snapshot(&world.path);
    let mut machine = world.machine(&[("ds/0", RW), ("ds/1", RW), ("read-only", RO)]);
    for to in [
        "/".to_owned(),
        "/etc/passwd".into(),
        world.at("out/x"),
        // The hypervisor would write to what is behind it.
        world.at("read-only/image"),
        world.at("ds/10x/file"),
        world.at("ds"),
        "way-out/x".into(),
        world.at("ds/0/way-out/missing"),
        "..".into(),
        "../1/x".into(),
        "missing/../../../etc".into(),
        world.at("ds/0/missing/../x"),
        "/proc/self/fd/3".into(),
    ] {
        assert_eq!(refused(&mut machine, link(&world, "ds/0/new", &to)), K::Denied, "{to}");
    }
    for to in [String::new(), "a\0b".to_owned(), "x".repeat(4096)] {
        assert_eq!(refused(&mut machine, link(&world, "ds/0/new", &to)), K::Invalid, "{to:?}");
    }
    assert_eq!(refused(&mut machine, link(&world, "read-only/new", "x")), K::Denied);
    assert_eq!(refused(&mut machine, link(&world, "ds/0", "x")), K::Denied);
    assert_eq!(refused(&mut machine, link(&world, "ds/0/../new", "x")), K::Denied);
    assert_eq!(before, snapshot(&world.path));
    // What somebody else put there may be named, as the device-mapper's links are; it is not followed.
    done(&mut machine, link(&world, "ds/0/new", world.at("ds/0/way-out")));
    // Through a folder that is a link, what counts is where the link really lies.
    world.link("ds/0/other", world.at("ds/1"));
    done(&mut machine, link(&world, "ds/0/other/new", "x"));
    assert_eq!(target(&world, "ds/1/new"), "x");
}

#[test]
fn of_two_at_once_one_makes_it() {
    let world = Sandbox::new();
    world.folder("ds");
    for round in 0..20 {
        let barrier = Barrier::new(2);
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = ["a", "b"]
                .into_iter()
                .map(|to| {
                    let (world, barrier) = (&world, &barrier);
                    scope.spawn(move || {
                        let mut machine = world.machine(&[("ds", RW)]);
                        barrier.wait();
                        machine.execute(&Effect::Filesystem(link(world, &format!("ds/{round}"), to)))
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let failures: Vec<_> = outcomes.iter().filter_map(|answer| answer.failure()).collect();
        assert!(failures.len() == 1 && failures[0].kind == K::Exists, "{outcomes:?}");
    }
}
