//! Archives from anywhere.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use remotes_effect::filesystem::{Answer as A, Effect as E};
use remotes_effect::types::FailureKind as K;
use remotes_effect::{Answer, Effect, Executor as _};
use support::{RO, RW, Sandbox, done, place, refused, snapshot};
use tar::{EntryType, Header};

/// One entry: type, name as its bytes stand in the header, mode, content.
type Entry<'a> = (EntryType, &'a [u8], u32, &'a [u8]);

fn packed(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (kind, name, mode, content) in entries {
        let mut header = Header::new_ustar();
        header.set_entry_type(*kind);
        header.set_mode(*mode);
        header.set_size(content.len() as u64);
        // The library would refuse the names that matter here.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name);
        if kind.is_symlink() || kind.is_hard_link() {
            header.set_link_name_literal("/etc/passwd").unwrap();
        }
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

fn file<'a>(name: &'a str, content: &'a str) -> Entry<'a> {
    (EntryType::Regular, name.as_bytes(), 0o644, content.as_bytes())
}

fn world() -> Sandbox {
    let world = Sandbox::new();
    world.file("ds/vm/kept", "kept").file("out/secret", "secret");
    world
}

fn unpack(world: &Sandbox, archive: Vec<u8>) -> E {
    E::Unpack { at: place(world.at("ds/vm")), archive }
}

#[test]
fn files_and_folders_are_unpacked() {
    let world = world();
    let archive = packed(&[
        (EntryType::XGlobalHeader, b"pax_global_header", 0, b"19 comment=whatever\n"),
        (EntryType::Directory, b"./", 0o755, b""),
        (EntryType::Directory, b"./folder/", 0o700, b""),
        (EntryType::Regular, b"./folder/program", 0o4755, b"program"),
        file("kept", "replaced"),
        file("new/deep//file", "file"),
        (EntryType::Directory, b"folder", 0o700, b""),
    ]);
    let answer = done(&mut world.machine(&[("ds", RW)]), unpack(&world, archive));
    assert_eq!(answer, Answer::Filesystem(A::Unpack(Ok(3))));
    assert_eq!(world.text("ds/vm/kept"), "replaced");
    assert_eq!(world.text("ds/vm/new/deep/file"), "file");
    assert_eq!(world.names("ds/vm"), ["folder", "kept", "new"]);
    assert_eq!(world.path.join("ds/vm/folder/program").metadata().unwrap().mode() & 0o6000, 0);
}

#[test]
fn long_names_work() {
    let world = world();
    let name = format!("{}/{}", "d".repeat(200), "f".repeat(200));
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut header = Header::new_gnu();
    header.set_size(4);
    header.set_mode(0o600);
    builder.append_data(&mut header, &name, &b"long"[..]).unwrap();
    let archive = builder.into_inner().unwrap().finish().unwrap();
    done(&mut world.machine(&[("ds", RW)]), unpack(&world, archive));
    assert_eq!(world.text(&format!("ds/vm/{name}")), "long");
}

#[test]
fn one_bad_entry_and_nothing_is_unpacked() {
    let world = world();
    let before = snapshot(&world.path);
    let long = "d/".repeat(40) + "f";
    let bad: Vec<Entry<'_>> = vec![
        file("../out/secret", "x"),
        file("a/../../out/secret", "x"),
        file("/etc/passwd", "x"),
        file("..", "x"),
        file("//x", "x"),
        file("", "x"),
        file("folder/", "x"),
        file("good", "twice"),
        file("good/inner", "x"),
        file(&long, "x"),
        (EntryType::Directory, b"..", 0o755, b""),
        (EntryType::Directory, b"good", 0o755, b""),
        (EntryType::Symlink, b"link", 0o777, b""),
        (EntryType::Link, b"hard", 0o777, b""),
        (EntryType::Char, b"zero", 0o666, b""),
        (EntryType::Block, b"sda", 0o666, b""),
        (EntryType::Fifo, b"fifo", 0o666, b""),
        (EntryType::GNUSparse, b"sparse", 0o666, b""),
        (EntryType::new(b'Z'), b"what", 0o666, b""),
    ];
    for entry in bad {
        let archive = packed(&[file("good", "good"), entry]);
        let kind = refused(&mut world.machine(&[("ds", RW)]), unpack(&world, archive));
        assert!(matches!(kind, K::Invalid | K::Denied), "{entry:?}: {kind:?}");
        assert_eq!(before, snapshot(&world.path), "{entry:?}");
    }
}

#[test]
fn names_in_extended_headers_are_checked_too() {
    let world = world();
    let before = snapshot(&world.path);
    for path in ["../../out/secret", "/etc/x", "a\0b", "a/../.."] {
        let record = format!(" path={path}\n");
        let length = record.len() + 2;
        let record = format!("{length}{record}");
        let archive = packed(&[(EntryType::XHeader, b"pax", 0o644, record.as_bytes()), file("good", "good")]);
        let kind = refused(&mut world.machine(&[("ds", RW)]), unpack(&world, archive));
        assert!(matches!(kind, K::Invalid | K::Denied), "{path:?}: {kind:?}");
        let archive = packed(&[
            (EntryType::GNULongName, b"././@LongLink", 0o644, format!("{path}\0").as_bytes()),
            file("good", "good"),
        ]);
        let answer = world.machine(&[("ds", RW)]).execute(&Effect::Filesystem(unpack(&world, archive)));
        assert!(answer.failure().is_some(), "{path:?}: {answer:?}");
    }
    assert_eq!(before, snapshot(&world.path));
}

#[test]
fn links_in_the_folder_are_not_written_through() {
    let world = world();
    world.link("ds/vm/folder", world.at("out")).link("ds/vm/file", world.at("out/secret"));
    world.link("ds/vm/inside", "real").folder("ds/vm/real");
    for name in ["folder/secret", "folder/new", "inside/new"] {
        let kind = refused(&mut world.machine(&[("ds", RW)]), unpack(&world, packed(&[file(name, "x")])));
        assert_eq!(kind, K::Exists, "{name}");
    }
    let folder = packed(&[(EntryType::Directory, b"folder", 0o777, b"")]);
    assert_eq!(refused(&mut world.machine(&[("ds", RW)]), unpack(&world, folder)), K::Exists);
    // A link as last component is replaced, as by `write`.
    done(&mut world.machine(&[("ds", RW)]), unpack(&world, packed(&[file("file", "new")])));
    assert_eq!((world.text("ds/vm/file"), world.text("out/secret")), ("new".into(), "secret".into()));
    assert_eq!(world.names("out"), ["secret"]);
}

#[test]
fn what_is_granted_read_only_within_is_not_written() {
    let world = world();
    world.file("ds/vm/base/image", "base");
    let mut machine = world.machine(&[("ds", RW), ("ds/vm/base", RO)]);
    for name in ["base/image", "base/new", "base/new/deep", "base"] {
        let kind = refused(&mut machine, unpack(&world, packed(&[file(name, "x")])));
        assert!(matches!(kind, K::Denied), "{name}: {kind:?}");
    }
    assert_eq!(world.names("ds/vm/base"), ["image"]);
    assert_eq!(world.text("ds/vm/base/image"), "base");
}

#[test]
fn bombs_do_not_go_off() {
    let world = world();
    let before = snapshot(&world.path);
    let zeros = vec![0; 65 * 1024 * 1024];
    let big = packed(&[(EntryType::Regular, b"big", 0o644, &zeros)]);
    assert!(big.len() < 1024 * 1024);
    assert_eq!(refused(&mut world.machine(&[("ds", RW)]), unpack(&world, big)), K::Invalid);
    let names: Vec<String> = (0..1001).map(|number| format!("f{number}")).collect();
    let entries: Vec<Entry<'_>> = names.iter().map(|name| file(name, "")).collect();
    assert_eq!(refused(&mut world.machine(&[("ds", RW)]), unpack(&world, packed(&entries))), K::Invalid);
    // What is behind the last entry counts, too.
    let mut encoder = GzEncoder::new(packed(&[file("good", "good")]), Compression::fast());
    encoder.write_all(&zeros).unwrap();
    let trailing = encoder.finish().unwrap();
    assert_eq!(refused(&mut world.machine(&[("ds", RW)]), unpack(&world, trailing)), K::Invalid);
    assert_eq!(before, snapshot(&world.path));
    done(&mut world.machine(&[("ds", RW)]), unpack(&world, packed(&entries[..1000])));
}

#[test]
fn what_is_no_archive_is_refused() {
    let world = world();
    let before = snapshot(&world.path);
    let good = packed(&[file("good", "good"), file("better", "better")]);
    let mut cases = vec![b"no archive".to_vec(), vec![0; 1024], Vec::new()];
    cases.extend((1..good.len()).step_by(7).map(|length| good[..length].to_vec()));
    for archive in cases {
        let length = archive.len();
        assert_eq!(refused(&mut world.machine(&[("ds", RW)]), unpack(&world, archive)), K::Invalid, "{length} bytes");
    }
    assert_eq!(before, snapshot(&world.path));
    let nowhere = E::Unpack { at: place(world.at("ds/missing")), archive: good };
    assert_eq!(refused(&mut world.machine(&[("ds", RW)]), nowhere), K::NotFound);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// A header with any bytes in it: whatever comes of it stays in the folder.
    #[test]
    fn broken_headers_stay_in_the_folder(changes in prop::collection::vec((0usize..512, any::<u8>()), 1..6), checksum in any::<bool>()) {
        let world = world();
        let outside = snapshot(&world.path.join("out"));
        let mut header = Header::new_ustar();
        header.set_path("folder/file").unwrap();
        header.set_size(4);
        header.set_mode(0o644);
        header.set_cksum();
        for (offset, byte) in changes {
            header.as_mut_bytes()[offset] = byte;
        }
        if checksum {
            header.set_cksum();
        }
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(b"text");
        bytes.resize(4 * 512, 0);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&bytes).unwrap();
        let archive = encoder.finish().unwrap();
        let _ = world.machine(&[("ds", RW)]).execute(&Effect::Filesystem(unpack(&world, archive)));
        prop_assert_eq!(world.names(""), ["ds", "out"]);
        prop_assert_eq!(world.names("ds"), ["vm"]);
        prop_assert_eq!(outside, snapshot(&world.path.join("out")));
    }
}
