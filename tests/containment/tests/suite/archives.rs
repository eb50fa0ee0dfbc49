//! Archives that unpack to something else than files in their folder.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use remotes_containment::guest::UNPACK;
use remotes_containment::{Grounds, Trial};
use remotes_effect::types::FailureKind;
use remotes_effect::vmm::Call;
use tar::{Builder, EntryType, Header};

/// An archive of entries with these names, kinds, targets of links and contents; names as they are.
fn archive(entries: &[(&str, EntryType, &str, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, kind, target, content) in entries {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o6777);
        header.set_size(content.len() as u64);
        let fields = header.as_old_mut();
        fields.name[..name.len()].copy_from_slice(name.as_bytes());
        fields.linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

fn unpack_into(grounds: &Grounds, archive: Vec<u8>) -> Result<(), remotes_effect::types::Failure> {
    let call = Call::Exec { vm_id: 5, host: "node1".into(), command: grounds.at("granted/10"), stdin: archive };
    let trial = Trial::of(UNPACK).granting(&grounds.paths()).calling(call);
    let ended = trial.made(|policy, deadline| grounds.machine(policy, deadline));
    assert_eq!(ended.journal.entries.len(), 1);
    match ended.journal.failures("filesystem.unpack").first() {
        Some(failure) => {
            assert_eq!(ended.failure(), *failure);
            Err((*failure).clone())
        }
        None => Ok(()),
    }
}

/// Refused as a whole: also what is harmless in it is not unpacked.
fn refused(what: &str, archive: Vec<u8>) {
    let grounds = Grounds::new();
    let before = grounds.snapshot();
    let failure = unpack_into(&grounds, archive).expect_err(what);
    assert!(matches!(failure.kind, FailureKind::Denied | FailureKind::Invalid), "{what}: {failure:?}");
    assert_eq!(grounds.snapshot(), before, "{what}");
}

#[test]
fn names_that_lead_out() {
    let long = format!("{}/x", ["d"; 33].join("/"));
    for name in ["../out", "/tmp/out", "a/../../out", "a/..", "..", "//tmp/out", "a//../../out", "./../out", &long] {
        refused(name, archive(&[("harmless", EntryType::Regular, "", b"x"), (name, EntryType::Regular, "", b"x")]));
    }
}

#[test]
fn things_that_are_no_files() {
    for kind in
        [EntryType::Symlink, EntryType::Link, EntryType::Char, EntryType::Block, EntryType::Fifo, EntryType::GNUSparse]
    {
        refused(
            &format!("{kind:?}"),
            archive(&[("harmless", EntryType::Regular, "", b"x"), ("thing", kind, "/etc/passwd", b"")]),
        );
    }
    let through = [("link", EntryType::Symlink, "../../secret", &b""[..]), ("link/key", EntryType::Regular, "", b"x")];
    refused("a file through a link of the same archive", archive(&through));
    let both = [("a", EntryType::Regular, "", &b"x"[..]), ("a/b", EntryType::Regular, "", b"x")];
    refused("a file that is a folder as well", archive(&both));
    let twice = [("a", EntryType::Regular, "", &b"x"[..]), ("a", EntryType::Regular, "", b"y")];
    refused("one name twice", archive(&twice));
}

#[test]
fn a_link_that_lies_there_already() {
    let grounds = Grounds::new();
    grounds.link("granted/10/folder", grounds.path("secret"));
    let before = grounds.snapshot();
    let failure = unpack_into(&grounds, archive(&[("folder/key", EntryType::Regular, "", b"x")])).unwrap_err();
    assert!(matches!(failure.kind, FailureKind::Exists | FailureKind::Denied), "{failure:?}");
    assert_eq!(grounds.snapshot(), before);
}

#[test]
fn bombs() {
    // A gigabyte of zeros, twice as well: compressed in the compressed.
    let mut once = GzEncoder::new(Vec::new(), Compression::best());
    let mut header = Header::new_gnu();
    header.set_path("bomb").unwrap();
    header.set_size(1 << 30);
    header.set_mode(0o644);
    header.set_cksum();
    once.write_all(header.as_bytes()).unwrap();
    for _ in 0..1024 {
        once.write_all(&[0; 1 << 20]).unwrap();
    }
    let bomb = once.finish().unwrap();
    assert!(bomb.len() < 2 << 20);
    refused("a gigabyte", bomb);
    let many: Vec<String> = (0..1500).map(|number| format!("file{number}")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), EntryType::Regular, "", &b""[..])).collect();
    refused("1500 files", archive(&many));
    let mut trailing = archive(&[("a", EntryType::Regular, "", b"x")]);
    let mut zeros = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..128 {
        zeros.write_all(&[0; 1 << 20]).unwrap();
    }
    trailing.extend(zeros.finish().unwrap());
    refused("zeros behind the end", trailing);
}

#[test]
fn broken_archives() {
    let whole = archive(&[("a", EntryType::Regular, "", &[7; 5000]), ("b", EntryType::Regular, "", &[8; 5000])]);
    for length in [0, 1, 10, 20, whole.len() / 2, whole.len() - 9, whole.len() - 1] {
        refused(&format!("{length} bytes"), whole[..length].to_vec());
    }
    let mut huge = Header::new_gnu();
    huge.set_path("huge").unwrap();
    huge.set_size(u64::MAX >> 1);
    huge.set_cksum();
    let mut lying = GzEncoder::new(Vec::new(), Compression::fast());
    lying.write_all(huge.as_bytes()).unwrap();
    refused("a size without bytes", lying.finish().unwrap());
    refused("no archive", b"#!/bin/sh\nrm -rf /\n".to_vec());
    refused("zeros", vec![0; 100_000]);
}

/// What may be unpacked is, without the bits that make it dangerous.
#[test]
pub fn unpack() {
    use std::os::unix::fs::PermissionsExt as _;
    let grounds = Grounds::new();
    unpack_into(&grounds, archive(&[("a/b", EntryType::Regular, "", b"x")])).unwrap();
    let mode = std::fs::metadata(grounds.path("granted/10/a/b")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7000, 0, "{mode:o}");
}
