//! New images on top of others.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::process::Command;

use remotes_effect::Answer;
use remotes_effect::image::{Answer as A, Backing, Effect as E, Info};
use remotes_effect::types::FailureKind as K;
use remotes_host::Machine;
use serde_json::Value;
use support::qcow2::{header, overlay, qemu_img};
use support::{RO, RW, Sandbox, done, place, refused, snapshot};

fn world() -> Sandbox {
    let world = Sandbox::new();
    world.folder("ds/0").folder("ds/1").folder("out");
    qemu_img(&world.path, &["create", "-q", "-f", "qcow2", "ds/1/base", "8M"]);
    qemu_img(&world.path, &["create", "-q", "-f", "raw", "ds/1/raw", "3M"]);
    qemu_img(&world.path, &["create", "-q", "-f", "qcow2", "out/base", "8M"]);
    world
}

fn machine(world: &Sandbox) -> Machine {
    world.machine(&[("ds/0", RW), ("ds/1", RO)])
}

fn create(world: &Sandbox, name: &str, format: &str, size: Option<u64>, base: Option<(&str, &str)>) -> E {
    let based_on = base.map(|(path, format)| Backing { path: path.to_owned(), format: format.to_owned() });
    E::Create { at: place(world.at(name)), format: format.to_owned(), size, based_on }
}

fn info(machine: &mut Machine, world: &Sandbox, name: &str) -> Info {
    match done(machine, E::Inspect { at: place(world.at(name)) }) {
        Answer::Image(A::Inspect(Ok(info))) => info,
        other => panic!("{other:?}"),
    }
}

/// As qemu itself opens it: by the names in the headers.
fn seen_by_qemu(world: &Sandbox, name: &str) -> Vec<Value> {
    let output =
        Command::new("qemu-img").args(["info", "--backing-chain", "--output=json", &world.at(name)]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn an_image_on_a_base_has_its_size_and_names_it() {
    let world = world();
    let mut machine = machine(&world);
    for (name, base, format, size) in [("a", "ds/1/base", "qcow2", 8 << 20), ("b", "ds/1/raw", "raw", 3 << 20)] {
        let name = format!("ds/0/{name}");
        done(&mut machine, create(&world, &name, "qcow2", None, Some((&world.at(base), format))));
        let info = info(&mut machine, &world, &name);
        assert_eq!((info.format.as_str(), info.virtual_size), ("qcow2", size));
        assert_eq!((info.backing_file, info.backing_format), (Some(world.at(base)), Some(format.to_owned())));
        let chain = seen_by_qemu(&world, &name);
        assert_eq!(chain.len(), 2);
        assert_eq!(chain[0]["full-backing-filename"], world.at(base));
    }
    // As large as is asked for.
    done(&mut machine, create(&world, "ds/0/c", "qcow2", Some(16 << 20), Some((&world.at("ds/1/base"), "qcow2"))));
    assert_eq!(info(&mut machine, &world, "ds/0/c").virtual_size, 16 << 20);
    // On top of what has a base itself.
    done(&mut machine, create(&world, "ds/0/d", "qcow2", None, Some((&world.at("ds/0/c"), "qcow2"))));
    assert_eq!(seen_by_qemu(&world, "ds/0/d").len(), 3);
}

#[test]
fn what_the_guest_sees_is_the_bases_content() {
    let world = world();
    std::fs::write(world.path.join("ds/1/raw"), vec![b'r'; 1 << 20]).unwrap();
    let mut machine = machine(&world);
    done(&mut machine, create(&world, "ds/0/top", "qcow2", None, Some((&world.at("ds/1/raw"), "raw"))));
    qemu_img(&world.path, &["convert", "-O", "raw", "ds/0/top", "ds/0/flat"]);
    assert!(std::fs::read(world.path.join("ds/0/flat")).unwrap() == vec![b'r'; 1 << 20]);
}

#[test]
fn a_base_is_named_as_opennebula_names_it() {
    let world = world();
    // A snapshot folder that links to itself, and a datastore reached by a link.
    world.folder("ds/0/disk.snap").link("ds/0/disk.snap/disk.snap", ".").link("ds/0/images", world.at("ds/1"));
    let mut machine = machine(&world);
    for (base, written) in [
        (world.at("ds/0/images/base"), world.at("ds/0/images/base")),
        (format!("/{}//", world.at("ds/1/./base")), world.at("ds/1/base")),
    ] {
        done(&mut machine, create(&world, "ds/0/top", "qcow2", None, Some((&base, "qcow2"))));
        assert_eq!(info(&mut machine, &world, "ds/0/top").backing_file, Some(written));
        std::fs::remove_file(world.path.join("ds/0/top")).unwrap();
    }
    done(&mut machine, create(&world, "ds/0/disk.snap/0", "qcow2", Some(1 << 20), None));
    let base = world.at("ds/0/disk.snap/disk.snap/0");
    done(&mut machine, create(&world, "ds/0/disk.snap/1", "qcow2", None, Some((&base, "qcow2"))));
    assert_eq!(seen_by_qemu(&world, "ds/0/disk.snap/1").len(), 2);
}

/// A folder that moves as a whole takes along what its images are based on.
#[test]
fn a_relative_base_stays_relative() {
    let world = world();
    world.folder("ds/0/1/disk.0.snap").link("ds/0/1/disk.0.snap/disk.0.snap", ".");
    let mut machine = machine(&world);
    let folder = |name: &str| format!("ds/0/1/{name}");
    done(&mut machine, create(&world, &folder("disk.0.snap/0"), "qcow2", Some(1 << 20), None));
    let mut top = |name: &str, base: &str, written: &str| {
        done(&mut machine, create(&world, &folder(name), "qcow2", None, Some((base, "qcow2"))));
        let info = info(&mut machine, &world, &folder(name));
        assert_eq!((info.backing_file.as_deref(), info.virtual_size), (Some(written), 1 << 20));
    };
    top("disk.0.snap/1", "disk.0.snap/0", "disk.0.snap/0");
    top("disk.0.snap/2", "1", "1");
    top("disk.1", "./disk.0.snap//disk.0.snap/1", "disk.0.snap/disk.0.snap/1");
    world.link("ds/0/1/disk.0", "disk.0.snap/1");
    std::fs::rename(world.path.join("ds/0/1"), world.path.join("ds/0/2")).unwrap();
    for (name, layers) in [("disk.0", 2), ("disk.0.snap/1", 2), ("disk.0.snap/2", 3), ("disk.1", 3)] {
        assert_eq!(seen_by_qemu(&world, &format!("ds/0/2/{name}")).len(), layers, "{name}");
    }
}

#[test]
fn what_cannot_be_based_on_it_is_not_made() {
    let world = world();
    world.file("ds/0/hostile", header(b"/etc/passwd", &[support::qcow2::RAW_BACKING], 0));
    world.file("ds/0/protocol", header(b"nbd:localhost:1", &[support::qcow2::RAW_BACKING], 0));
    world.link("ds/0/way-out", world.at("out")).folder("ds/0/folder");
    overlay(&world, "ds/0/broken", &world.at("ds/0/gone"), "raw");
    overlay(&world, "ds/0/circle", "circle", "qcow2");
    let before = snapshot(&world.path);
    let mut machine = machine(&world);
    let base = world.at("ds/1/base");
    let mut attempt = |format: &str, size, base: Option<(&str, &str)>| {
        refused(&mut machine, create(&world, "ds/0/new", format, size, base))
    };
    assert_eq!(attempt("raw", None, Some((&base, "qcow2"))), K::Invalid);
    assert_eq!(attempt("raw", Some(1 << 20), Some((&base, "qcow2"))), K::Invalid);
    assert_eq!(attempt("qcow2", None, None), K::Invalid);
    assert_eq!(attempt("raw", None, None), K::Invalid);
    for (path, format, kind) in [
        (world.at("out/base"), "qcow2", K::Denied),
        (world.at("ds/0/way-out/base"), "qcow2", K::Denied),
        (world.at("ds/0/../../out/base"), "qcow2", K::Denied),
        ("json:{}".to_owned(), "qcow2", K::Invalid),
        ("nbd:localhost:1".to_owned(), "qcow2", K::Invalid),
        ("./nbd:localhost:1".to_owned(), "qcow2", K::Invalid),
        (String::new(), "qcow2", K::Invalid),
        (".".to_owned(), "qcow2", K::Invalid),
        ("gone".to_owned(), "qcow2", K::NotFound),
        ("folder".to_owned(), "qcow2", K::Invalid),
        ("hostile".to_owned(), "qcow2", K::Denied),
        ("way-out/base".to_owned(), "qcow2", K::Denied),
        ("../1/base".to_owned(), "qcow2", K::Denied),
        ("folder/../../../out/base".to_owned(), "qcow2", K::Denied),
        (world.at("ds/0/hostile"), "qcow2", K::Denied),
        (world.at("ds/0/protocol"), "qcow2", K::Denied),
        (world.at("ds/0/broken"), "qcow2", K::NotFound),
        (world.at("ds/0/circle"), "qcow2", K::Invalid),
        (world.at("ds/0/gone"), "qcow2", K::NotFound),
        (world.at("ds/0/folder"), "qcow2", K::Invalid),
        // Another format than the header's.
        (world.at("ds/1/raw"), "qcow2", K::Invalid),
        (base.clone(), "vmdk", K::Unsupported),
        (base.clone(), "", K::Unsupported),
        (base.clone(), "qcow2,x=y", K::Unsupported),
    ] {
        assert_eq!(attempt("qcow2", Some(1 << 20), Some((&path, format))), kind, "{path} as {format}");
        assert_eq!(attempt("qcow2", None, Some((&path, format))), kind, "{path} as {format}");
    }
    assert_eq!(refused(&mut machine, create(&world, "ds/0/circle", "qcow2", None, Some((&base, "qcow2")))), K::Exists);
    assert_eq!(before, snapshot(&world.path));
}

#[test]
fn a_base_in_use_can_be_built_on() {
    let world = world();
    let mut machine = machine(&world);
    // As a guest that was started from it holds it.
    let mut child = Command::new("qemu-io")
        .args(["-f", "qcow2", "-c", "sleep 600000", "ds/1/base"])
        .current_dir(&world.path)
        .stdin(std::process::Stdio::null())
        .spawn()
        .expect("qemu-io is needed (package qemu-utils)");
    done(&mut machine, create(&world, "ds/0/top", "qcow2", None, Some((&world.at("ds/1/base"), "qcow2"))));
    assert!(child.try_wait().unwrap().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
}
