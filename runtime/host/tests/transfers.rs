//! Copies of files and folders on one machine.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use remotes_effect::Answer;
use remotes_effect::deadline::Deadline;
use remotes_effect::policy::Policy;
use remotes_effect::transfer::{Answer as A, Effect as E};
use remotes_effect::types::FailureKind as K;
use remotes_host::Machine;
use rustix::fs::{CWD, FileType, Mode};
use support::{RO, RW, Sandbox, contents, done, place, refused, snapshot};

fn copy(world: &Sandbox, from: &str, to: &str) -> E {
    E::Copy { source: place(world.at(from)), target: place(world.at(to)) }
}

fn bytes(machine: &mut Machine, effect: E) -> u64 {
    match done(machine, effect) {
        Answer::Transfer(A::Copy(Ok(bytes))) => bytes,
        other => panic!("{other:?}"),
    }
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_file_with_holes_and_permission_bits() {
    let world = Sandbox::new();
    world.folder("a").folder("b");
    let file = std::fs::File::create(world.path.join("a/disk")).unwrap();
    file.set_len(256 << 20).unwrap();
    file.write_all_at(b"first", 0).unwrap();
    file.write_all_at(b"middle", 100 << 20).unwrap();
    mode(&world.path.join("a/disk"), 0o666);
    let mut machine = world.machine(&[("a", RO), ("b", RW)]);
    assert_eq!(bytes(&mut machine, copy(&world, "a/disk", "b/disk")), 256 << 20);
    let metadata = world.path.join("b/disk").metadata().unwrap();
    assert_eq!((metadata.len(), metadata.mode() & 0o7777), (256 << 20, 0o666));
    assert!(metadata.blocks() * 512 < 1 << 20, "{} blocks", metadata.blocks());
    let mut piece = [0; 6];
    std::fs::File::open(world.path.join("b/disk")).unwrap().read_exact_at(&mut piece, 100 << 20).unwrap();
    assert_eq!(&piece, b"middle");
    // Again, over what is there; and onto itself.
    assert_eq!(bytes(&mut machine, copy(&world, "a/disk", "b/disk")), 256 << 20);
    assert_eq!(bytes(&mut machine, copy(&world, "b/disk", "b/disk")), 256 << 20);
    assert_eq!(world.names("b"), ["disk"]);
    assert_eq!(refused(&mut machine, copy(&world, "b/disk", "a/disk")), K::Denied);
}

#[test]
fn a_folder_with_all_that_is_below_it() {
    let world = Sandbox::new();
    world.file("a/5/disk.0.snap/0", "zero").file("a/5/disk.0.snap/1", "one").folder("a/5/empty").folder("b/5");
    world.link("a/5/disk.0", "disk.0.snap/1").link("a/5/disk.0.snap/disk.0.snap", ".");
    world.link("a/5/image", world.at("images/x")).file("images/x", "image").file("a/5/-n \n\u{1b}", "odd");
    mode(&world.path.join("a/5/empty"), 0o500);
    mode(&world.path.join("a/5/disk.0.snap/0"), 0o600);
    // What the target has beside it stays.
    world.file("b/5/disk.0.snap/0", "old").file("b/5/disk.0.snap/other", "other").link("b/5/disk.0", "disk.0.snap/0");
    world.file("b/5/image", "old");
    let mut machine = world.machine(&[("a", RO), ("b", RW), ("images", RW)]);
    for _ in 0..2 {
        assert_eq!(bytes(&mut machine, copy(&world, "a/5", "b/5")), 10);
        let mut expected = contents(&world.path.join("a/5"));
        expected.insert(
            "disk.0.snap/other".into(),
            contents(&world.path.join("b/5"))[Path::new("disk.0.snap/other")].clone(),
        );
        assert_eq!(contents(&world.path.join("b/5")), expected);
    }
    // Folders above the target are made, as `make-directory` does.
    assert_eq!(bytes(&mut machine, copy(&world, "a/5", "b/new/6")), 10);
    assert_eq!(contents(&world.path.join("b/new/6")), contents(&world.path.join("a/5")));
}

#[test]
fn a_folder_is_not_copied_into_itself() {
    let world = Sandbox::new();
    world.file("a/x/file", "content").folder("a/x/below").link("a/x/here", ".").link("a/y", world.at("a/x"));
    let before = snapshot(&world.path);
    let mut machine = world.machine(&[("a", RW)]);
    for target in ["a/x/inner", "a/x/below/inner", "a/x/here/inner", "a/y/inner", "a/x/new/inner"] {
        assert_eq!(refused(&mut machine, copy(&world, "a/x", target)), K::Invalid, "{target}");
        assert_eq!(refused(&mut machine, copy(&world, "a/y", target)), K::Invalid, "{target}");
    }
    assert_eq!(bytes(&mut machine, copy(&world, "a/x", "a/x")), 7);
    assert_eq!(before, snapshot(&world.path));
    // Beside it, under a name that begins like its own.
    assert_eq!(bytes(&mut machine, copy(&world, "a/x", "a/xx")), 7);
}

#[test]
fn other_things_are_refused_by_name_before_anything_is_copied() {
    let world = Sandbox::new();
    world.file("a/x/1", "1").folder("a/x/2").folder("b").file("out/secret", "s");
    let fifo = world.path.join("a/x/2/fifo");
    rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::RWXU, 0).unwrap();
    let mut machine = world.machine(&[("a", RW), ("b", RW)]);
    let mut attempt = |from: &str, name: &str, kind| {
        let before = snapshot(&world.path);
        let effect = remotes_effect::Effect::Transfer(copy(&world, from, "b/x"));
        let answer = remotes_effect::Executor::execute(&mut machine, &effect);
        let failure = answer.failure().unwrap();
        assert!(failure.kind == kind && failure.message.contains(name), "{failure}");
        assert_eq!(before, snapshot(&world.path));
    };
    attempt("a/x", "a/x/2/fifo", K::Invalid);
    attempt("a/x/2/fifo", "a/x/2/fifo", K::Invalid);
    std::fs::remove_file(&fifo).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(&fifo).unwrap();
    attempt("a/x", "a/x/2/fifo", K::Invalid);
    drop(socket);
    std::fs::remove_file(&fifo).unwrap();
    for target in [world.at("out/secret"), "..".into(), "../../b".into(), "/etc/passwd".into()] {
        world.link("a/x/2/link", &target);
        attempt("a/x", "a/x/2/link", K::Denied);
        std::fs::remove_file(world.path.join("a/x/2/link")).unwrap();
    }
    world.link("a/x/2/link", world.at("out"));
    attempt("a/x/2/link/secret", "out", K::Denied);
    attempt("a/x/2/link", "out", K::Denied);
    attempt("a/missing", "a/missing", K::NotFound);
}

#[test]
fn what_is_in_the_way_stays() {
    let world = Sandbox::new();
    world.file("a/file", "new").file("a/folder/inner", "new").link("a/links/name", "x");
    world.folder("b/file").file("b/folder", "old").folder("b/links/name");
    world.file("b/deep/inner/x", "old").folder("ro/sub");
    let before = snapshot(&world.path);
    let mut machine = world.machine(&[("a", RO), ("b", RW), ("ro", RO), ("b/deep/inner", RO)]);
    assert_eq!(refused(&mut machine, copy(&world, "a/file", "b/file")), K::Invalid);
    assert_eq!(refused(&mut machine, copy(&world, "a/folder", "b/folder")), K::Exists);
    assert_eq!(refused(&mut machine, copy(&world, "a/links", "b/links")), K::Invalid);
    assert_eq!(refused(&mut machine, copy(&world, "a/file", "b/missing/file")), K::NotFound);
    assert_eq!(refused(&mut machine, copy(&world, "a/folder", "ro/sub")), K::Denied);
    // A folder that is granted for reading only, below one that may be changed.
    assert_eq!(refused(&mut machine, copy(&world, "a/folder", "b/deep/inner")), K::Denied);
    assert_eq!(refused(&mut machine, copy(&world, "a/file", "b/deep/inner")), K::Denied);
    assert_eq!(before, snapshot(&world.path));
}

#[test]
fn links_on_the_way_do_not_lead_out() {
    let world = Sandbox::new();
    world.file("a/x/sub/file", "new").folder("b/x").folder("out").link("b/x/sub", world.at("out"));
    world.link("b/way-out", world.at("out"));
    let before = snapshot(&world.path);
    let mut machine = world.machine(&[("a", RO), ("b", RW)]);
    assert_eq!(refused(&mut machine, copy(&world, "a/x", "b/x")), K::Exists);
    assert_eq!(refused(&mut machine, copy(&world, "a/x/sub/file", "b/way-out/file")), K::Denied);
    assert_eq!(refused(&mut machine, copy(&world, "a/x", "b/way-out/x")), K::Denied);
    assert_eq!(before, snapshot(&world.path));
    // A file takes the place of a link, not of what that leads to.
    std::fs::remove_file(world.path.join("b/x/sub")).unwrap();
    world.file("b/real", "real").folder("b/x/sub").link("b/x/sub/file", "../../real");
    assert_eq!(bytes(&mut machine, copy(&world, "a/x", "b/x")), 3);
    assert_eq!((world.text("b/real"), world.text("b/x/sub/file")), ("real".into(), "new".into()));
}

#[test]
fn bounds() {
    let world = Sandbox::new();
    let deep = vec!["d"; 140].join("/");
    world.folder(&format!("a/deep/{deep}")).folder("b").file("a/file", "x");
    let mut machine = world.machine(&[("a", RO), ("b", RW)]);
    assert_eq!(refused(&mut machine, copy(&world, "a/deep", "b/deep")), K::Invalid);
    assert!(world.names("b").is_empty());
    let policy = Policy { paths: world.grants(&[("a", RO), ("b", RW)]), ..Policy::default() };
    let mut machine = world.machine_until(policy, Deadline::after(Duration::ZERO));
    assert_eq!(refused(&mut machine, copy(&world, "a/file", "b/file")), K::Timeout);
    assert!(world.names("b").is_empty());
}
