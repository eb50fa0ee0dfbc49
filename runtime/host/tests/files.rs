//! What the filesystem's effects do when nothing is wrong, and how they end when something is.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::time::Duration;

use proptest::prelude::*;
use remotes_effect::deadline::Deadline;
use remotes_effect::filesystem::{Answer as A, Effect as E, Executor as _, Kind};
use remotes_effect::types::FailureKind as K;
use remotes_effect::{Answer, Effect, Executor as _};
use remotes_host::Machine;
use remotes_host::filesystem::Filesystem;
use remotes_host::jail::Jail;
use support::{RO, RW, Sandbox, done, place, refused};

fn world() -> (Sandbox, Machine) {
    let world = Sandbox::new();
    world.folder("ds");
    let machine = world.machine(&[("ds", RW)]);
    (world, machine)
}

fn mode(world: &Sandbox, path: &str) -> u32 {
    world.path.join(path).symlink_metadata().unwrap().mode() & 0o7777
}

#[test]
fn a_file_is_written_with_exactly_its_mode_and_replaced() {
    let (world, mut machine) = world();
    for (content, bits) in [("first", 0o600), ("second", 0o777), ("third", 0o000), ("fourth", 0o1644)] {
        let at = place(world.at("ds/file"));
        done(&mut machine, E::Write { at, content: content.as_bytes().to_vec(), mode: bits });
        assert_eq!(mode(&world, "ds/file"), bits);
        assert_eq!(world.names("ds"), ["file"]);
    }
    std::fs::set_permissions(world.path.join("ds/file"), std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(world.text("ds/file"), "fourth");
}

#[test]
fn replacing_leaves_other_names_of_the_file_alone() {
    let (world, mut machine) = world();
    world.file("out", "kept").file("ds/target", "kept").link("ds/link", "target");
    std::fs::hard_link(world.path.join("out"), world.path.join("ds/hard")).unwrap();
    for name in ["ds/hard", "ds/link"] {
        done(&mut machine, E::Write { at: place(world.at(name)), content: b"new".to_vec(), mode: 0o600 });
        assert_eq!(world.text(name), "new");
    }
    assert_eq!((world.text("out"), world.text("ds/target")), ("kept".into(), "kept".into()));
}

#[test]
fn bits_that_give_rights_away_are_refused() {
    let (world, mut machine) = world();
    world.file("ds/file", "");
    let at = || place(world.at("ds/file"));
    for bits in [0o4755, 0o2755, 0o6000, 0o10000, u32::MAX] {
        assert_eq!(refused(&mut machine, E::SetMode { at: at(), mode: bits }), K::Invalid);
        assert_eq!(refused(&mut machine, E::Write { at: at(), content: Vec::new(), mode: bits }), K::Invalid);
        let new = place(world.at("ds/new"));
        assert_eq!(refused(&mut machine, E::MakeDirectory { at: new, mode: bits }), K::Invalid);
    }
    assert_eq!(world.names("ds"), ["file"]);
}

#[test]
fn files_have_at_most_4_mib() {
    let (world, mut machine) = world();
    let limit = 4 * 1024 * 1024;
    let at = || place(world.at("ds/file"));
    done(&mut machine, E::Write { at: at(), content: vec![b'x'; limit], mode: 0o600 });
    match done(&mut machine, E::Read { at: at() }) {
        Answer::Filesystem(A::Read(Ok(content))) => assert_eq!(content.len(), limit),
        other => panic!("{other:?}"),
    }
    assert_eq!(refused(&mut machine, E::Write { at: at(), content: vec![b'x'; limit + 1], mode: 0o600 }), K::Invalid);
    std::fs::OpenOptions::new().append(true).open(world.path.join("ds/file")).unwrap().write_all(b"x").unwrap();
    assert_eq!(refused(&mut machine, E::Read { at: at() }), K::Invalid);
    // A terabyte that is not there.
    std::fs::File::create(world.path.join("ds/file")).unwrap().set_len(1 << 40).unwrap();
    assert_eq!(refused(&mut machine, E::Read { at: at() }), K::Invalid);
}

#[test]
fn folders_are_listed_in_order_and_within_bounds() {
    let (world, mut machine) = world();
    let list = |machine: &mut Machine| machine.execute(&Effect::Filesystem(E::Entries { at: place(world.at("ds")) }));
    for name in ["b", "ä", "a", ".hidden", "B"] {
        world.file(&format!("ds/{name}"), "");
    }
    let names = [".hidden", "B", "a", "b", "ä"].map(str::to_owned).to_vec();
    assert_eq!(list(&mut machine), Answer::Filesystem(A::Entries(Ok(names))));
    for count in 5..10_000 {
        std::fs::File::create(world.path.join(format!("ds/{count}"))).unwrap();
    }
    assert!(list(&mut machine).failure().is_none());
    world.file("ds/one-more", "");
    assert_eq!(list(&mut machine).failure().unwrap().kind, K::Invalid);
}

#[test]
fn what_a_place_is() {
    let (world, mut machine) = world();
    world.file("ds/file", "12345").link("ds/link", "file").folder("ds/folder");
    let mut stat = |name: &str| match done(&mut machine, E::Stat { at: place(world.at(name)) }) {
        Answer::Filesystem(A::Stat(Ok(metadata))) => metadata,
        other => panic!("{other:?}"),
    };
    let file = stat("ds/file");
    assert_eq!((file.kind, file.size, file.mode), (Kind::File, 5, mode(&world, "ds/file")));
    assert!(file.modified > 1_600_000_000);
    assert_eq!(stat("ds/link").kind, Kind::Symlink);
    assert_eq!(stat("ds/folder").kind, Kind::Directory);
    assert_eq!(stat("ds").kind, Kind::Directory);
    let sparse = std::fs::File::create(world.path.join("ds/sparse")).unwrap();
    sparse.set_len(1 << 30).unwrap();
    let sparse = stat("ds/sparse");
    assert_eq!((sparse.size, sparse.allocated), (1 << 30, 0));
    let link = Effect::Filesystem(E::ReadLink { at: place(world.at("ds/link")) });
    assert_eq!(machine.execute(&link), Answer::Filesystem(A::ReadLink(Ok("file".into()))));
    assert_eq!(refused(&mut machine, E::ReadLink { at: place(world.at("ds/file")) }), K::Invalid);
    assert_eq!(refused(&mut machine, E::Stat { at: place(world.at("ds/missing")) }), K::NotFound);
}

#[test]
fn folders_are_made_with_those_above() {
    let (world, mut machine) = world();
    let at = || place(world.at("ds/a/b/c"));
    done(&mut machine, E::MakeDirectory { at: at(), mode: 0o1777 });
    assert_eq!(mode(&world, "ds/a/b/c"), 0o1777);
    // There is one: nothing changes.
    done(&mut machine, E::MakeDirectory { at: at(), mode: 0o700 });
    assert_eq!(mode(&world, "ds/a/b/c"), 0o1777);
    world.link("ds/link", "a/b").file("ds/file", "").link("ds/dangling", "nowhere");
    done(&mut machine, E::MakeDirectory { at: place(world.at("ds/link/d/e")), mode: 0o700 });
    assert!(world.path.join("ds/a/b/d/e").is_dir());
    done(&mut machine, E::MakeDirectory { at: place(world.at("ds/link")), mode: 0o700 });
    for name in ["ds/file", "ds/file/x", "ds/dangling", "ds/dangling/x"] {
        assert_eq!(
            refused(&mut machine, E::MakeDirectory { at: place(world.at(name)), mode: 0o700 }),
            K::Exists,
            "{name}"
        );
    }
}

#[test]
fn a_granted_folder_itself_is_made_when_it_is_missing() {
    let world = Sandbox::new();
    let mut machine = world.machine(&[("top/ds", RW), ("top/ds/inner", RW), ("top/ds/fixed", RO), ("none", RO)]);
    done(&mut machine, E::MakeDirectory { at: place(world.at("top/ds/inner/x")), mode: 0o700 });
    assert!(world.path.join("top/ds/inner/x").is_dir());
    done(&mut machine, E::MakeDirectory { at: place(world.at("top/ds")), mode: 0o700 });
    for name in ["none", "none/x", "top/ds/fixed", "top/ds/fixed/x"] {
        assert_eq!(
            refused(&mut machine, E::MakeDirectory { at: place(world.at(name)), mode: 0o700 }),
            K::Denied,
            "{name}"
        );
    }
    assert_eq!(world.names(""), ["top"]);
    let mut machine = world.machine(&[("fresh", RW)]);
    done(&mut machine, E::MakeDirectory { at: place(world.at("fresh")), mode: 0o750 });
    assert_eq!(mode(&world, "fresh"), 0o750);
}

#[test]
fn things_move_and_go() {
    let (world, mut machine) = world();
    world.file("ds/a", "a").file("ds/b", "b").file("ds/tree/deep/file", "x").link("ds/tree/link", world.at("out"));
    world.file("out/kept", "kept");
    let at = |path: &str| place(world.at(path));
    done(&mut machine, E::Rename { source: at("ds/a"), target: at("ds/b") });
    assert_eq!(world.text("ds/b"), "a");
    assert_eq!(refused(&mut machine, E::Rename { source: at("ds/a"), target: at("ds/c") }), K::NotFound);
    assert_eq!(refused(&mut machine, E::Rename { source: at("ds/tree"), target: at("ds/tree/deep/x") }), K::Invalid);
    assert_eq!(refused(&mut machine, E::Remove { at: at("ds/tree"), recursive: false }), K::Invalid);
    done(&mut machine, E::Remove { at: at("ds/tree"), recursive: true });
    // Once more, and where even the folder is missing: nothing there is what was wanted.
    for path in ["ds/tree", "ds/tree/deep/file", "ds/b/x"] {
        done(&mut machine, E::Remove { at: at(path), recursive: true });
    }
    done(&mut machine, E::Remove { at: at("ds/b"), recursive: false });
    assert!(world.names("ds").is_empty());
    assert_eq!(world.names("out"), ["kept"]);
}

#[test]
fn a_folder_nested_too_deep_is_refused_as_a_whole() {
    let (world, mut machine) = world();
    let mut path = world.path.join("ds/deep");
    for _ in 0..300 {
        path.push("d");
    }
    std::fs::create_dir_all(&path).unwrap();
    let remove = E::Remove { at: place(world.at("ds/deep")), recursive: true };
    assert_eq!(refused(&mut machine, remove), K::Invalid);
}

#[test]
fn a_copy_keeps_holes_and_replaces_in_one_step() {
    let (world, mut machine) = world();
    let source = std::fs::File::create(world.path.join("ds/source")).unwrap();
    source.set_len(1 << 30).unwrap();
    source.write_all_at(b"begin", 0).unwrap();
    source.write_all_at(b"middle", 512 << 20).unwrap();
    world.file("ds/target", "old");
    let (from, to) = (|| place(world.at("ds/source")), || place(world.at("ds/target")));
    done(&mut machine, E::Copy { source: from(), target: to() });
    let copy = std::fs::File::open(world.path.join("ds/target")).unwrap();
    let metadata = copy.metadata().unwrap();
    assert_eq!(metadata.len(), 1 << 30);
    assert!(metadata.blocks() * 512 < 1 << 20, "{} blocks", metadata.blocks());
    let mut text = [0; 6];
    copy.read_exact_at(&mut text, 512 << 20).unwrap();
    assert_eq!(&text, b"middle");
    assert_eq!(world.names("ds"), ["source", "target"]);
}

#[test]
fn a_copy_onto_itself_leaves_the_file_alone() {
    let (world, mut machine) = world();
    world.file("ds/file", "content").link("ds/same", ".");
    std::fs::hard_link(world.path.join("ds/file"), world.path.join("ds/hard")).unwrap();
    let inode = world.path.join("ds/file").metadata().unwrap().ino();
    for target in ["ds/file", "ds/same/file", "ds/hard", "ds//file/"] {
        let copy = E::Copy { source: place(world.at("ds/file")), target: place(world.at(target)) };
        done(&mut machine, copy);
        assert_eq!(world.path.join("ds/file").metadata().unwrap().ino(), inode);
        assert_eq!(world.text("ds/file"), "content");
    }
}

#[test]
fn nothing_is_left_of_what_the_deadline_ends() {
    let world = Sandbox::new();
    world.file("ds/source", vec![b'x'; 1 << 20]).file("ds/target", "old").file("ds/tree/file", "");
    let jail = Jail::new(&world.grants(&[("ds", RW)]));
    let mut files = Filesystem::new(&jail, Deadline::after(Duration::ZERO));
    let at = |path: &str| place(world.at(path));
    assert_eq!(files.copy(&at("ds/source"), &at("ds/target")).unwrap_err().kind, K::Timeout);
    assert_eq!(files.entries(&at("ds")).unwrap_err().kind, K::Timeout);
    assert_eq!(files.read(&at("ds/source")).unwrap_err().kind, K::Timeout);
    assert_eq!(files.remove(&at("ds/tree"), true).unwrap_err().kind, K::Timeout);
    assert_eq!(world.text("ds/target"), "old");
    assert_eq!(world.names("ds"), ["source", "target", "tree"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn copies_are_equal(pieces in prop::collection::vec((0u64..5_000_000, prop::collection::vec(any::<u8>(), 1..5000)), 0..6), end in 0u64..6_000_000) {
        let (world, mut machine) = world();
        let source = std::fs::File::create(world.path.join("ds/source")).unwrap();
        for (offset, bytes) in &pieces {
            source.write_all_at(bytes, *offset).unwrap();
        }
        source.set_len(end).unwrap();
        done(&mut machine, E::Copy { source: place(world.at("ds/source")), target: place(world.at("ds/target")) });
        prop_assert!(std::fs::read(world.path.join("ds/source")).unwrap() == std::fs::read(world.path.join("ds/target")).unwrap());
    }

    #[test]
    fn what_is_written_is_read(content in prop::collection::vec(any::<u8>(), 0..100_000)) {
        let (world, mut machine) = world();
        let at = || place(world.at("ds/file"));
        done(&mut machine, E::Write { at: at(), content: content.clone(), mode: 0o600 });
        prop_assert_eq!(done(&mut machine, E::Read { at: at() }), Answer::Filesystem(A::Read(Ok(content))));
    }
}
