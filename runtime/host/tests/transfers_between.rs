//! Copies between hosts, by way of a real ssh: whole, refused, lost, and killed at every stage.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use remotes_effect::policy::{Access, PathGrants, Policy};
use remotes_effect::transfer::{Answer as A, Effect as E};
use remotes_effect::types::{Failure, FailureKind as K, Node, Place};
use remotes_effect::{Answer, Effect, Executor as _};
use remotes_host::Machine;
use serde_json::json;
use support::cloud::Cloud;
use support::{contents, done, place, refused, snapshot};

/// From here to a host, from a host to here, from host to host: source, target.
fn ways(cloud: &Cloud, from: &str, to: &str) -> [(Place, Place); 3] {
    let here = |path: &str| place(cloud.world.at(path));
    [
        (here(from), cloud.on("node1", to)),
        (cloud.on("node1", from), here(to)),
        (cloud.on("node1", from), cloud.on("node2", to)),
    ]
}

fn copy((source, target): &(Place, Place)) -> E {
    E::Copy { source: source.clone(), target: target.clone() }
}

fn bytes(machine: &mut Machine, way: &(Place, Place)) -> u64 {
    match done(machine, copy(way)) {
        Answer::Transfer(A::Copy(Ok(bytes))) => bytes,
        other => panic!("{other:?}"),
    }
}

fn failure(machine: &mut Machine, way: &(Place, Place)) -> Failure {
    let effect = Effect::Transfer(copy(way));
    machine.execute(&effect).failure().unwrap_or_else(|| panic!("{effect:?} was done")).clone()
}

/// Three mebibytes in pieces, with holes between and behind.
fn disk(path: &Path) {
    let file = std::fs::File::create(path).unwrap();
    file.set_len(64 << 20).unwrap();
    for (index, offset) in [0, 10 << 20, 63 << 20].into_iter().enumerate() {
        let piece: Vec<u8> = (0..1 << 20).map(|byte: u32| (byte % 251) as u8 ^ index as u8).collect();
        file.write_all_at(&piece, offset).unwrap();
    }
}

#[test]
fn a_disk_with_holes() {
    let Some(cloud) = Cloud::new() else { return };
    disk(&cloud.world.path.join("here/disk"));
    let mut machine = cloud.machine();
    for way in ways(&cloud, "here/disk", "there/disk") {
        for _ in 0..2 {
            assert_eq!(bytes(&mut machine, &way), 64 << 20, "{way:?}");
        }
        assert_eq!(contents(&cloud.world.path.join("here")), contents(&cloud.world.path.join("there")));
        let metadata = cloud.world.path.join("there/disk").metadata().unwrap();
        assert!(metadata.blocks() * 512 < 8 << 20, "{} blocks", metadata.blocks());
        std::fs::remove_file(cloud.world.path.join("there/disk")).unwrap();
    }
    // On the one other host it is a copy like any.
    let way = (cloud.on("node1", "here/disk"), cloud.on("node1", "there/disk"));
    assert_eq!(bytes(&mut machine, &way), 64 << 20);
    // A host may be this machine under another name.
    let way = (place(cloud.world.at("here/disk")), cloud.on("node1", "here/disk"));
    assert_eq!(bytes(&mut machine, &way), 64 << 20);
    assert_eq!(contents(&cloud.world.path.join("here")), contents(&cloud.world.path.join("there")));
}

#[test]
fn a_folder_with_all_that_is_below_it() {
    let Some(cloud) = Cloud::new() else { return };
    let world = &cloud.world;
    world.file("here/5/disk.0.snap/0", "zero").file("here/5/disk.0.snap/1", vec![b'x'; 3 << 20]).folder("here/5/empty");
    world.link("here/5/disk.0", "disk.0.snap/1").link("here/5/disk.0.snap/disk.0.snap", ".");
    world.file("here/5/-n \n\u{1b}", "odd").file("here/5/nothing", "");
    let mut machine = cloud.machine();
    for way in ways(&cloud, "here/5", "there/new/5") {
        for _ in 0..2 {
            assert_eq!(bytes(&mut machine, &way), (3 << 20) + 7, "{way:?}");
            assert_eq!(contents(&world.path.join("here/5")), contents(&world.path.join("there/new/5")));
        }
        std::fs::remove_dir_all(world.path.join("there/new")).unwrap();
    }
}

#[test]
fn what_either_side_refuses() {
    let Some(cloud) = Cloud::new() else { return };
    let world = &cloud.world;
    world.file("here/file", "new").file("there/folder/file", "old").link("here/tree/way-out", "/etc/passwd");
    world.file("out/secret", "s");
    let mut machine = cloud.machine();
    let before = snapshot(&world.path.join("there"));
    for (from, to, kind, named) in [
        ("here/missing", "there/x", K::NotFound, "here/missing"),
        ("out/secret", "there/x", K::Denied, "out/secret"),
        ("here/file", "out/x", K::Denied, "out/x"),
        ("here/file", "there", K::Denied, "there"),
        ("here/file", "there/folder", K::Invalid, "there/folder"),
        ("here/file", "there/missing/x", K::NotFound, "there/missing"),
        ("here/file", "there/../here/x", K::Denied, "`..`"),
        ("here/tree", "there/x", K::Denied, "way-out"),
    ] {
        for way in ways(&cloud, from, to) {
            let failure = failure(&mut machine, &way);
            assert!(failure.kind == kind && failure.message.contains(named), "{way:?}: {failure}");
            assert!(failure.message.starts_with("transfer.copy: "), "{failure}");
        }
    }
    assert_eq!(before, snapshot(&world.path.join("there")));
    assert!(!world.path.join("out/x").exists());
    cloud.settle();
}

#[test]
fn each_side_keeps_the_policy_it_is_sent() {
    let Some(cloud) = Cloud::new() else { return };
    cloud.world.file("here/file", "new");
    let PathGrants(paths) = cloud.world.grants(&[("here", Access::ReadOnly), ("there", Access::ReadOnly)]);
    let policy = Policy { paths: PathGrants(paths), ..cloud.policy() };
    let mut machine = cloud.machine_for(policy, Duration::from_secs(120));
    for way in ways(&cloud, "here/file", "there/file") {
        assert_eq!(refused(&mut machine, copy(&way)), K::Denied);
    }
    assert!(cloud.world.names("there").is_empty());
}

#[test]
fn a_host_that_cannot_be_reached_leaves_the_target() {
    let Some(cloud) = Cloud::new() else { return };
    cloud.world.file("here/file", "new").file("there/file", "old");
    let mut machine = cloud.machine();
    let nowhere = |path: &str| Place { on: Node::Host("nobody.invalid".into()), path: cloud.world.at(path) };
    for way in [
        (place(cloud.world.at("here/file")), nowhere("there/file")),
        (nowhere("here/file"), place(cloud.world.at("there/file"))),
        (nowhere("here/file"), cloud.on("node1", "there/file")),
        (cloud.on("node1", "here/file"), nowhere("there/file")),
    ] {
        let failure = failure(&mut machine, &way);
        assert!(failure.kind == K::Unavailable && failure.message.contains("nothing was transferred"), "{failure}");
    }
    // A tree that knows no transfers.
    std::fs::remove_file(cloud.world.path.join("remote/bin/remotes-action")).unwrap();
    for way in ways(&cloud, "here/file", "there/file") {
        let failure = failure(&mut machine, &way);
        assert!(failure.kind == K::Unavailable && failure.message.contains("nothing was transferred"), "{failure}");
    }
    assert_eq!(cloud.world.text("there/file"), "old");
}

/// What came of a transfer that was cut off after so many bytes.
struct Cut<'a> {
    cloud: &'a Cloud,
    way: (Place, Place),
}

impl Cut<'_> {
    /// Copies in a process of its own. The task, after so many bytes, kills its victim.
    fn at(&self, task: &str, bytes: u64, victim: &str) -> Option<Answer> {
        let remote = self.cloud.world.path.join("remote");
        for name in ["total", "killed"] {
            let _ = std::fs::remove_file(remote.join(name));
        }
        std::fs::write(remote.join("cut"), format!("{task} {bytes} {victim}")).unwrap();
        let copying = json!({
            "policy": self.cloud.policy(),
            "directory": remote,
            "ssh": self.cloud.sshd.client(),
            "effect": Effect::Transfer(copy(&self.way)),
        });
        let output = Command::new(support::example("remotes_action"))
            .args(["copy", &copying.to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        self.cloud.settle();
        let _ = std::fs::remove_file(remote.join("cut"));
        assert!(task == "none" || remote.join("killed").exists() != remote.join("total").exists());
        serde_json::from_slice(&output.stdout).ok()
    }

    /// How many bytes come by when nobody dies.
    fn total(&self, task: &str) -> u64 {
        assert!(self.at(task, u64::MAX, "itself").unwrap().failure().is_none());
        self.cloud.world.text("remote/total").parse().unwrap()
    }
}

/// The ends that run on hosts.
fn tasks((source, target): &(Place, Place)) -> Vec<&'static str> {
    let ends = [(source, "send"), (target, "receive")];
    ends.into_iter().filter(|(place, _)| place.on != Node::Here).map(|(_, task)| task).collect()
}

/// Kills at many places, in each direction, on each side.
fn kills(
    cloud: &Cloud,
    (from, to): (&str, &str),
    places: impl Fn(u64) -> Vec<u64>,
    mut check: impl FnMut(&str, Option<&Failure>),
) {
    let mut kills = 0;
    for way in ways(cloud, from, to) {
        let cut = Cut { cloud, way: way.clone() };
        for task in tasks(&way) {
            check("prepare", None);
            let total = cut.total(task);
            for bytes in places(total) {
                for victim in ["itself", "client"] {
                    check("prepare", None);
                    let answer = cut.at(task, bytes, victim);
                    let failure = answer.as_ref().and_then(|answer| answer.failure());
                    check(&format!("{task} of {way:?}: {victim} killed at {bytes} of {total}"), failure);
                    kills += 1;
                }
            }
            // Repeated, it comes to its end.
            assert!(cut.at("none", 0, "itself").unwrap().failure().is_none());
        }
    }
    println!("{kills} kills");
}

#[test]
fn killed_anywhere_a_file_is_as_before_or_new() {
    let Some(cloud) = Cloud::new() else { return };
    let (new, target) = (cloud.world.path.join("here/disk"), cloud.world.path.join("there/disk"));
    disk(&new);
    let new = std::fs::read(&new).unwrap();
    // In the greeting, in the content, within and between the last records.
    let places = |total| vec![0, 100, total / 2, total - 75, total - 42, total - 1];
    kills(&cloud, ("here/disk", "there/disk"), places, |what, failure| {
        if what == "prepare" {
            return std::fs::write(&target, "old").unwrap();
        }
        assert_eq!(cloud.world.names("there"), ["disk"], "{what}");
        let there = std::fs::read(&target).unwrap();
        assert!(there == b"old" || there == new, "{what}: {} bytes", there.len());
        if let Some(failure) = failure {
            assert!(matches!(failure.kind, K::Unavailable | K::Unknown), "{what}: {failure}");
            if failure.message.contains("as before") && !failure.message.contains("not known") {
                assert!(there == b"old", "{what}: {failure}");
            }
            assert!(failure.kind == K::Unknown || there == b"old", "{what}: {failure}");
        }
    });
}

#[test]
fn killed_anywhere_the_files_of_a_folder_are_whole() {
    let Some(cloud) = Cloud::new() else { return };
    let world = &cloud.world;
    let new = |name: &str| vec![name.as_bytes()[0]; 700_000];
    for name in ["a", "b/c", "d"] {
        world.file(&format!("here/5/{name}"), new(name));
    }
    world.link("here/5/link", "a").folder("here/5/empty");
    // In the first, the second and the third file.
    let places = |total| vec![total / 5, total / 2, total * 4 / 5];
    kills(&cloud, ("here/5", "there/5"), places, |what, _| {
        if what == "prepare" {
            let _ = std::fs::remove_dir_all(world.path.join("there/5"));
            world.file("there/5/a", "old").file("there/5/kept", "kept");
            return;
        }
        for (path, _) in contents(&world.path.join("there/5")) {
            let at = world.path.join("there/5").join(&path);
            match path.to_str().unwrap() {
                "kept" => assert_eq!(std::fs::read(&at).unwrap(), b"kept", "{what}"),
                "b" | "empty" => assert!(at.is_dir(), "{what}"),
                "link" => assert_eq!(at.read_link().unwrap(), Path::new("a"), "{what}"),
                name @ ("a" | "b/c" | "d") => {
                    let there = std::fs::read(&at).unwrap();
                    assert!((name == "a" && there == b"old") || there == new(name), "{what}: {name}");
                }
                other => panic!("{what}: {other} is left behind"),
            }
        }
        assert!(world.path.join("there/5/kept").exists(), "{what}");
    });
}

#[test]
fn both_ends_keep_the_deadline() {
    let Some(cloud) = Cloud::new() else { return };
    disk(&cloud.world.path.join("here/disk"));
    cloud.world.file("there/disk", "old");
    // The receiver takes nothing more, the sender sends nothing more, and neither goes.
    let ways = ways(&cloud, "here/disk", "there/disk");
    for (way, task) in ways.iter().flat_map(|way| tasks(way).into_iter().map(move |task| (way, task))) {
        std::fs::write(cloud.world.path.join("remote/stall"), task).unwrap();
        let mut machine = cloud.machine_for(cloud.policy(), Duration::from_secs(4));
        let failure = failure(&mut machine, way);
        assert_eq!(failure.kind, K::Timeout, "{failure}");
        assert_eq!(cloud.world.text("there/disk"), "old");
        assert_eq!(cloud.world.names("there"), ["disk"]);
        drop(machine);
        std::fs::remove_file(cloud.world.path.join("remote/stall")).unwrap();
        cloud.settle();
    }
}
