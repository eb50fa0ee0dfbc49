//! The file tree behaves as a filesystem, and as the executor of a real machine does.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::fs::*;
use common::*;
use remotes_effect::filesystem::Kind;
use remotes_effect::policy::{Access, Policy};
use remotes_effect::types::FailureKind::{self, *};
use remotes_simulation::{Entry, Image, Simulation};

fn world() -> Simulation {
    Simulation::new()
        .file("/ds/0/5/disk.0", "data")
        .directory("/ds/0/empty")
        .link("/ds/0/link", "5/disk.0")
        .link("/ds/0/up", "../0/5")
        .link("/ds/0/absolute", "/ds/0/5")
        .link("/ds/0/dangling", "nothing")
        .link("/ds/0/loop", "loop")
        .link("/ds/0/slash", "5/disk.0/")
        .link("/ds/0/slashed", "5/")
}

fn kind<T: std::fmt::Debug>(result: Result<T, remotes_effect::types::Failure>) -> FailureKind {
    refused(result).0
}

#[test]
fn follows_links_but_the_last_one() {
    let mut world = world();
    for path in ["/ds/0/5/disk.0", "/ds//0/./5/disk.0/", "/ds/0/up/disk.0", "/ds/0/absolute/disk.0", "/ds/0/link"] {
        assert_eq!(read(&mut world, path).unwrap(), b"data", "{path}");
    }
    assert_eq!(stat(&mut world, "/ds/0/link").unwrap().kind, Kind::Symlink);
    assert_eq!(read_link(&mut world, "/ds/0/link").unwrap(), "5/disk.0");
    assert_eq!(stat(&mut world, "/ds/0/up/disk.0").unwrap().size, 4);
    assert_eq!(stat(&mut world, "/").unwrap().kind, Kind::Directory);
    assert_eq!(entries(&mut world, "/ds/0/absolute").unwrap(), ["disk.0"]);
    assert_eq!(kind(read(&mut world, "/ds/0/dangling")), NotFound);
    assert_eq!(kind(read(&mut world, "/ds/0/slash")), NotFound);
    assert_eq!(entries(&mut world, "/ds/0/slashed").unwrap(), ["disk.0"]);
    assert_eq!(kind(read(&mut world, "/ds/0/loop")), Invalid);
    assert_eq!(kind(read(&mut world, "/ds/0/5/disk.0/x")), NotFound);
    assert_eq!(kind(read(&mut world, "/ds/0/5")), Invalid);
    assert_eq!(kind(entries(&mut world, "/ds/0/link")), NotFound);
    assert_eq!(kind(read_link(&mut world, "/ds/0/5")), Invalid);
    assert_eq!(kind(stat(&mut world, "relative")), Invalid);
    assert_eq!(kind(stat(&mut world, "/ds/../ds")), Denied);
    assert_eq!(kind(stat(&mut world, &format!("/{}", "x".repeat(256)))), Invalid);
    assert_eq!(kind(stat(&mut world, &format!("/{}", "x/".repeat(2100)))), Invalid);
}

#[test]
fn writes_replace() {
    let mut world = world();
    write(&mut world, "/ds/0/link", b"new", 0o600).unwrap();
    let seen = stat(&mut world, "/ds/0/link").unwrap();
    assert_eq!((seen.kind, seen.mode, seen.size), (Kind::File, 0o600, 3));
    assert_eq!(read(&mut world, "/ds/0/5/disk.0").unwrap(), b"data");
    assert_eq!(kind(write(&mut world, "/ds/0/5", b"", 0o600)), Invalid);
    assert_eq!(kind(write(&mut world, "/nowhere/x", b"", 0o600)), NotFound);
    assert_eq!(kind(write(&mut world, "/ds/x", b"", 0o4755)), Invalid);
    assert_eq!(kind(write(&mut world, "/ds/x", &vec![0; 4 * 1024 * 1024 + 1], 0o644)), Invalid);
    assert_eq!(kind(write(&mut world, "/", b"", 0o600)), Invalid);
}

#[test]
fn makes_folders() {
    let mut world = world();
    make_directory(&mut world, "/a/b/c", 0o700).unwrap();
    make_directory(&mut world, "/a/b/c", 0o755).unwrap();
    assert_eq!(stat(&mut world, "/a/b/c").unwrap().mode, 0o700);
    assert_eq!(stat(&mut world, "/a/b").unwrap().mode, 0o755);
    make_directory(&mut world, "/ds/0/absolute", 0o700).unwrap();
    make_directory(&mut world, "/ds/0/absolute/in", 0o700).unwrap();
    assert!(world.here.exists("/ds/0/5/in"));
    for path in ["/ds/0/5/disk.0", "/ds/0/link", "/ds/0/dangling", "/ds/0/dangling/x"] {
        assert_eq!(kind(make_directory(&mut world, path, 0o755)), Exists, "{path}");
    }
    assert_eq!(kind(make_directory(&mut world, "/ds/0/5/disk.0/x", 0o755)), NotFound);
    assert_eq!(kind(make_directory(&mut world, &"/d".repeat(300), 0o755)), Invalid);
}

#[test]
fn renames() {
    let mut world = world();
    rename(&mut world, "/ds/0/5/disk.0", "/ds/0/5/disk.1").unwrap();
    assert!(!world.here.exists("/ds/0/5/disk.0"));
    rename(&mut world, "/ds/0/5", "/ds/0/empty").unwrap();
    assert_eq!(read(&mut world, "/ds/0/empty/disk.1").unwrap(), b"data");
    rename(&mut world, "/ds/0/loop", "/ds/0/dangling").unwrap();
    assert_eq!(read_link(&mut world, "/ds/0/dangling").unwrap(), "loop");
    make_directory(&mut world, "/ds/0/7", 0o755).unwrap();
    write(&mut world, "/ds/0/f", b"", 0o644).unwrap();
    assert_eq!(kind(rename(&mut world, "/ds/0/7", "/ds/0/empty")), Exists);
    assert_eq!(kind(rename(&mut world, "/ds/0/7", "/ds/0/f")), NotFound);
    assert_eq!(kind(rename(&mut world, "/ds/0/f", "/ds/0/7")), Invalid);
    assert_eq!(kind(rename(&mut world, "/ds/0", "/ds/0/7/in")), Invalid);
    assert_eq!(kind(rename(&mut world, "/ds/0/nothing", "/ds/0/x")), NotFound);
    assert_eq!(kind(rename(&mut world, "/ds/0/f", "/nowhere/x")), NotFound);
    rename(&mut world, "/ds/0/f", "/ds/0/f").unwrap();
}

#[test]
fn copies() {
    let mut world = world();
    set_mode(&mut world, "/ds/0/link", 0o640).unwrap();
    assert_eq!(stat(&mut world, "/ds/0/5/disk.0").unwrap().mode, 0o640);
    copy(&mut world, "/ds/0/link", "/ds/0/copy").unwrap();
    assert_eq!(stat(&mut world, "/ds/0/copy").unwrap().mode, 0o640);
    copy(&mut world, "/ds/0/up/disk.0", "/ds/0/5/disk.0").unwrap();
    assert_eq!(read(&mut world, "/ds/0/5/disk.0").unwrap(), b"data");
    assert_eq!(kind(copy(&mut world, "/ds/0/5", "/ds/0/copy")), Invalid);
    assert_eq!(kind(copy(&mut world, "/ds/0/link", "/ds/0/5")), Invalid);
    assert_eq!(kind(set_mode(&mut world, "/ds/0/dangling", 0o600)), NotFound);
}

#[test]
fn removes() {
    let mut world = world();
    remove(&mut world, "/ds/0/link", false).unwrap();
    remove(&mut world, "/ds/0/absolute", true).unwrap();
    assert!(world.here.exists("/ds/0/5/disk.0"));
    assert_eq!(kind(remove(&mut world, "/ds/0/empty", false)), Invalid);
    remove(&mut world, "/ds/0", true).unwrap();
    remove(&mut world, "/ds/0", true).unwrap();
    remove(&mut world, "/ds/0/5/disk.0/x", false).unwrap();
    assert_eq!(entries(&mut world, "/ds").unwrap(), [""; 0]);
}

#[test]
fn unpacks() {
    let mut world = world();
    let good = archive(&[("./", None), ("./tpm/", None), ("tpm/a", Some(b"1")), ("b/c/d", Some(b"2"))]);
    assert_eq!(unpack(&mut world, "/ds/0/up", &good).unwrap(), 2);
    assert_eq!(read(&mut world, "/ds/0/5/tpm/a").unwrap(), b"1");
    assert_eq!(read(&mut world, "/ds/0/5/b/c/d").unwrap(), b"2");
    let before = world.here.clone();
    for (bad, expected) in [
        (archive(&[("a", Some(b"")), ("../x", Some(b""))]), Denied),
        (archive(&[("/x", Some(b""))]), Denied),
        (archive(&[("a", Some(b"")), ("a/b", Some(b""))]), Invalid),
        (archive(&[("a", Some(b"")), ("a", Some(b""))]), Invalid),
        (archive(&[("loop/x", Some(b""))]), Exists),
        (archive(&[("empty", Some(b""))]), Invalid),
        (b"no archive".to_vec(), Invalid),
        (good[..good.len() / 2].to_vec(), Invalid),
    ] {
        assert_eq!(kind(unpack(&mut world, "/ds/0", &bad)), expected);
        assert_eq!(world.here, before);
    }
}

#[test]
fn images_have_headers() {
    let mut world = Simulation::new().directory("/ds").here(|machine| {
        let backing_file = Some("/ds/base".into());
        machine.image("/ds/layer", Image { backing_file, ..Image::new("qcow2", 1 << 30) })
    });
    create(&mut world, "/ds/a", "qcow2", Some(10 << 30), None).unwrap();
    assert_eq!(kind(create(&mut world, "/ds/a", "raw", Some(1), None)), Exists);
    assert_eq!(kind(create(&mut world, "/ds/b", "nope", Some(1), None)), Invalid);
    let info = inspect(&mut world, "/ds/a").unwrap();
    assert_eq!((info.format.as_str(), info.virtual_size), ("qcow2", 10 << 30));
    // The header is in the file: it survives a copy by content.
    let bytes = read(&mut world, "/ds/a").unwrap();
    write(&mut world, "/ds/b", &bytes, 0o644).unwrap();
    assert_eq!(inspect(&mut world, "/ds/b").unwrap().virtual_size, 10 << 30);
    convert(&mut world, "/ds/a", "qcow2", "/ds/raw", "raw").unwrap();
    let seen = stat(&mut world, "/ds/raw").unwrap();
    assert_eq!((seen.size, seen.allocated), (10 << 30, 0));
    // Named raw, a qcow2 is so many bytes.
    convert(&mut world, "/ds/a", "raw", "/ds/bytes", "raw").unwrap();
    assert_eq!(stat(&mut world, "/ds/bytes").unwrap().size, bytes.len() as u64);
    assert_eq!(kind(convert(&mut world, "/ds/raw", "qcow2", "/ds/x", "raw")), Failed);
    assert_eq!(inspect(&mut world, "/ds/layer").unwrap().backing_file.as_deref(), Some("/ds/base"));
    assert_eq!(kind(inspect(&mut world, "/ds")), Invalid);
    assert_eq!(kind(read(&mut world, "/ds/raw")), Invalid);
    let device = Simulation::new().here(|machine| machine.entry("/dev/x", Entry::BlockDevice(512)));
    assert_eq!(inspect(&mut { device }, "/dev/x").unwrap().virtual_size, 512);
}

fn granted(world: Simulation) -> Simulation {
    let mut policy = Policy::default();
    policy.paths.0.insert("/ds/0".into(), Access::ReadWrite);
    policy.paths.0.insert("/ds/images".into(), Access::ReadOnly);
    policy.paths.0.insert("/ds/new".into(), Access::ReadWrite);
    world.policy(policy)
}

#[test]
fn a_policy_holds_on_the_way_through_links() {
    let world = world()
        .file("/ds/images/base", "base")
        .file("/etc/secret", "secret")
        .link("/ds/0/5/base", "/ds/images/base")
        .link("/ds/0/5/near", "../../images/base")
        .link("/ds/0/5/out", "/etc/secret")
        .link("/ds/0/5/far", "../../../etc/secret")
        .link("/ds/0/5/folder", "/etc")
        .link("/ds/0/5/there-and-back", "../../../etc/../ds/images/base");
    let mut world = granted(world);
    assert_eq!(read(&mut world, "/ds/0/5/base").unwrap(), b"base");
    assert_eq!(read(&mut world, "/ds/0/5/near").unwrap(), b"base");
    for path in ["/ds/0/5/out", "/ds/0/5/far", "/ds/0/5/folder/secret", "/ds/0/5/there-and-back", "/etc/secret"] {
        assert_eq!(kind(read(&mut world, path)), Denied, "{path}");
    }
    assert_eq!(read_link(&mut world, "/ds/0/5/out").unwrap(), "/etc/secret");
    assert_eq!(kind(set_mode(&mut world, "/ds/0/5/base", 0o777)), Denied);
    assert_eq!(kind(write(&mut world, "/ds/0/5/folder/x", b"", 0o644)), Denied);
    write(&mut world, "/ds/0/5/out", b"mine", 0o644).unwrap();
    assert_eq!(world.here.text("/etc/secret"), Some("secret"));
    assert_eq!(kind(remove(&mut world, "/ds/0", true)), Denied);
    make_directory(&mut world, "/ds/new/x", 0o700).unwrap();
    assert_eq!(kind(make_directory(&mut world, "/ds/images/x", 0o700)), Denied);
}

#[test]
fn a_granted_folder_may_be_a_link() {
    let base = Simulation::new().file("/mnt/ds/0/f", "x").link("/ds", "/mnt/ds").link("/mnt/ds/0/own", "/mnt/ds/0/f");
    let mut world = granted(base.link("/mnt/ds/0/up", "../../other"));
    assert_eq!(read(&mut world, "/ds/0/f").unwrap(), b"x");
    assert_eq!(read(&mut world, "/ds/0/own").unwrap(), b"x");
    assert_eq!(kind(read(&mut world, "/ds/0/up")), Denied);
    write(&mut world, "/ds/0/g", b"", 0o644).unwrap();
    assert!(world.here.exists("/mnt/ds/0/g"));
}
