//! Images, those with hostile headers among them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::process::Command;

use remotes_effect::Answer;
use remotes_effect::image::{Answer as A, Effect as E, Info};
use remotes_effect::types::FailureKind as K;
use remotes_host::Machine;
use support::qcow2::{RAW_BACKING, header, overlay, qemu_img};
use support::{RO, RW, Sandbox, done, place, refused, snapshot};

fn world() -> Sandbox {
    let world = Sandbox::new();
    world.folder("ds/0").folder("ds/1").folder("out");
    qemu_img(&world.path, &["create", "-q", "-f", "qcow2", "ds/1/base", "8M"]);
    qemu_img(&world.path, &["create", "-q", "-f", "qcow2", "out/base", "8M"]);
    world
}

fn machine(world: &Sandbox) -> Machine {
    world.machine(&[("ds/0", RW), ("ds/1", RO)])
}

fn inspect(world: &Sandbox, name: &str) -> E {
    E::Inspect { at: place(world.at(name)) }
}

fn info(machine: &mut Machine, effect: E) -> Info {
    match done(machine, effect) {
        Answer::Image(A::Inspect(Ok(info))) => info,
        other => panic!("{other:?}"),
    }
}

fn convert(world: &Sandbox, source: &str, source_format: &str, target: &str, format: &str) -> E {
    E::Convert {
        source: place(world.at(source)),
        source_format: source_format.to_owned(),
        target: place(world.at(target)),
        format: format.to_owned(),
    }
}

#[test]
fn formats_are_told_by_the_header() {
    let world = world();
    let mut machine = machine(&world);
    for format in ["raw", "qcow2", "vdi", "vpc", "vhdx"] {
        qemu_img(&world.path, &["create", "-q", "-f", format, &format!("ds/0/{format}"), "4M"]);
        let info = info(&mut machine, inspect(&world, &format!("ds/0/{format}")));
        assert_eq!(info.format, format);
        // Virtual PC's geometry rounds.
        assert!((4 << 20..5 << 20).contains(&info.virtual_size), "{format}: {}", info.virtual_size);
        assert_eq!((info.backing_file, info.snapshots), (None, Vec::new()));
    }
    qemu_img(&world.path, &["create", "-q", "-f", "vmdk", "ds/0/vmdk", "4M"]);
    assert_eq!(refused(&mut machine, inspect(&world, "ds/0/vmdk")), K::Unsupported);
    qemu_img(&world.path, &["create", "-q", "-f", "qcow2", "-o", "compat=0.10,cluster_size=2M", "ds/0/old", "4M"]);
    assert_eq!(info(&mut machine, inspect(&world, "ds/0/old")).format, "qcow2");
    let secret = [
        "create",
        "-q",
        "--object",
        "secret,id=s,data=x",
        "-f",
        "luks",
        "-o",
        "key-secret=s,iter-time=10",
        "ds/0/luks",
        "1M",
    ];
    qemu_img(&world.path, &secret);
    let luks = info(&mut machine, inspect(&world, "ds/0/luks"));
    assert_eq!((luks.format.as_str(), luks.virtual_size), ("luks", 1 << 20));
}

#[test]
fn what_info_tells() {
    let world = world();
    overlay(&world, "ds/0/disk", &world.at("ds/1/base"), "qcow2");
    qemu_img(&world.path, &["snapshot", "-c", "first", "ds/0/disk"]);
    qemu_img(&world.path, &["snapshot", "-c", "second \"one\"", "ds/0/disk"]);
    world.link("ds/0/link", "disk");
    let mut machine = machine(&world);
    let info = info(&mut machine, inspect(&world, "ds/0/link"));
    assert_eq!(info.format, "qcow2");
    assert_eq!(info.virtual_size, 8 << 20);
    assert!(info.actual_size > 0);
    assert_eq!(info.backing_file, Some(world.at("ds/1/base")));
    assert_eq!(info.backing_format.as_deref(), Some("qcow2"));
    assert_eq!(info.snapshots, ["first", "second \"one\""]);
    assert_eq!(refused(&mut machine, inspect(&world, "ds/0/missing")), K::NotFound);
    assert_eq!(refused(&mut machine, inspect(&world, "ds/0")), K::Invalid);
}

#[test]
fn a_missing_backing_file_is_named() {
    let world = world();
    overlay(&world, "ds/0/disk", &world.at("ds/1/missing"), "qcow2");
    let mut machine = machine(&world);
    let info = info(&mut machine, inspect(&world, "ds/0/disk"));
    assert_eq!(info.backing_file, Some(world.at("ds/1/missing")));
    assert_eq!(refused(&mut machine, convert(&world, "ds/0/disk", "qcow2", "ds/0/copy", "raw")), K::NotFound);
}

#[test]
fn backing_files_outside_are_denied() {
    let world = world();
    world.link("ds/0/way-out", world.at("out"));
    let outside = [
        world.at("out/base"),
        "/etc/passwd".into(),
        "/dev/zero".into(),
        "../../out/base".into(),
        "way-out/base".into(),
        format!("{}/../out/base", world.at("ds/0")),
        "/proc/self/fd/0".into(),
    ];
    for (index, backing) in outside.iter().enumerate() {
        let name = format!("ds/0/disk{index}");
        overlay(&world, &name, backing, "raw");
        let mut machine = machine(&world);
        assert_eq!(refused(&mut machine, inspect(&world, &name)), K::Denied, "{backing}");
        assert_eq!(refused(&mut machine, convert(&world, &name, "qcow2", "ds/0/copy", "raw")), K::Denied, "{backing}");
        // One image further away.
        overlay(&world, "ds/0/top", &world.at(&name), "qcow2");
        assert_eq!(
            refused(&mut machine, convert(&world, "ds/0/top", "qcow2", "ds/0/copy", "raw")),
            K::Denied,
            "{backing}"
        );
    }
    assert!(!world.path.join("ds/0/copy").exists());
}

#[test]
fn pseudo_protocols_are_denied() {
    let world = world();
    let names: [&[u8]; 10] = [
        b"json:{\"driver\":\"file\",\"filename\":\"/etc/passwd\"}",
        b"nbd:localhost:10809",
        b"nbd+unix:///x?socket=/tmp/s",
        b"file:/etc/passwd",
        b"fat:/etc",
        b"host_device:/dev/sda",
        b"https://example.org/x",
        b"blkdebug::x",
        b"rbd:pool/image",
        b"/etc/passwd\0.img",
    ];
    for name in names {
        world.file("ds/0/disk", header(name, &[RAW_BACKING], 0));
        let mut machine = machine(&world);
        assert_eq!(refused(&mut machine, inspect(&world, "ds/0/disk")), K::Denied, "{name:?}");
        assert_eq!(refused(&mut machine, convert(&world, "ds/0/disk", "qcow2", "ds/0/copy", "raw")), K::Denied);
        world.file("ds/0/disk", header(b"", &[(0x4441_5441, name)], 4));
        assert_eq!(refused(&mut machine, inspect(&world, "ds/0/disk")), K::Denied, "{name:?}");
        assert_eq!(refused(&mut machine, convert(&world, "ds/0/disk", "qcow2", "ds/0/copy", "raw")), K::Denied);
    }
}

#[test]
fn data_files_outside_are_denied_and_those_inside_are_used() {
    let world = world();
    world.file("out/data", "secret").link("ds/0/way-out", world.at("out"));
    let create = |data: &str| {
        let options = format!("data_file={data},data_file_raw=on");
        qemu_img(&world.path, &["create", "-q", "-f", "qcow2", "-o", &options, "ds/0/disk", "1M"]);
    };
    for data in [world.at("out/data"), "../../out/data".into(), "way-out/data".into()] {
        world.file("ds/0/disk", header(b"", &[(0x4441_5441, data.as_bytes())], 4));
        let mut machine = machine(&world);
        assert_eq!(refused(&mut machine, inspect(&world, "ds/0/disk")), K::Denied, "{data}");
        assert_eq!(refused(&mut machine, convert(&world, "ds/0/disk", "qcow2", "ds/0/copy", "raw")), K::Denied);
    }
    create(&world.at("ds/0/data"));
    std::fs::write(world.path.join("ds/0/data"), vec![b'd'; 1 << 20]).unwrap();
    let mut machine = machine(&world);
    assert_eq!(info(&mut machine, inspect(&world, "ds/0/disk")).virtual_size, 1 << 20);
    done(&mut machine, convert(&world, "ds/0/disk", "qcow2", "ds/0/copy", "raw"));
    assert!(std::fs::read(world.path.join("ds/0/copy")).unwrap() == vec![b'd'; 1 << 20]);
}

#[test]
fn a_raw_disk_with_another_formats_magic_stays_raw() {
    let world = world();
    let head = header(b"/etc/passwd", &[RAW_BACKING], 0);
    world.file("ds/0/disk", &head);
    let mut machine = machine(&world);
    done(&mut machine, convert(&world, "ds/0/disk", "raw", "ds/0/copy", "raw"));
    assert!(std::fs::read(world.path.join("ds/0/copy")).unwrap() == head);
    // As backing file it is what the image on top says.
    overlay(&world, "ds/0/top", "disk", "raw");
    done(&mut machine, convert(&world, "ds/0/top", "qcow2", "ds/0/copy", "raw"));
    assert!(std::fs::read(world.path.join("ds/0/copy")).unwrap().starts_with(&head));
    // And nobody guesses where that says nothing.
    world.file("ds/0/top", header(b"disk", &[], 0));
    assert_eq!(refused(&mut machine, convert(&world, "ds/0/top", "qcow2", "ds/0/copy", "raw")), K::Invalid);
    world.file("ds/0/not", "not a qcow2 image");
    assert_eq!(refused(&mut machine, convert(&world, "ds/0/not", "qcow2", "ds/0/copy", "raw")), K::Invalid);
}

#[test]
fn chains_end() {
    let world = world();
    overlay(&world, "ds/0/self", "self", "qcow2");
    overlay(&world, "ds/0/a", "b", "qcow2");
    overlay(&world, "ds/0/b", &world.at("ds/0/a"), "qcow2");
    let mut machine = machine(&world);
    for name in ["self", "a", "b"] {
        let effect = convert(&world, &format!("ds/0/{name}"), "qcow2", "ds/0/copy", "raw");
        assert_eq!(refused(&mut machine, effect), K::Invalid, "{name}");
        info(&mut machine, inspect(&world, &format!("ds/0/{name}")));
    }
}

#[test]
fn a_chain_through_opennebulas_links_is_flattened() {
    let world = world();
    std::fs::write(world.path.join("ds/1/raw"), vec![b'r'; 1 << 20]).unwrap();
    world.folder("ds/0/disk.0.snap").link("ds/0/disk.0.snap/disk.0.snap", ".");
    overlay(&world, "ds/0/disk.0.snap/0", &world.at("ds/1/raw"), "raw");
    qemu_img(
        &world.path.join("ds/0"),
        &["create", "-q", "-f", "qcow2", "-b", "disk.0.snap/0", "-F", "qcow2", "disk.0.snap/x"],
    );
    overlay(&world, "ds/0/disk.0.snap/1", "disk.0.snap/0", "qcow2");
    overlay(&world, "ds/0/disk.0.snap/2", "disk.0.snap/1", "qcow2");
    world.link("ds/0/disk.0", "disk.0.snap/2");
    let mut machine = machine(&world);
    done(&mut machine, convert(&world, "ds/0/disk.0", "qcow2", "ds/0/flat", "qcow2"));
    let flat = info(&mut machine, inspect(&world, "ds/0/flat"));
    assert_eq!((flat.backing_file, flat.virtual_size), (None, 8 << 20));
    done(&mut machine, convert(&world, "ds/0/flat", "qcow2", "ds/0/raw", "raw"));
    assert!(std::fs::read(world.path.join("ds/0/raw")).unwrap().starts_with(&vec![b'r'; 1 << 20]));
    assert_eq!(world.names("ds/0"), ["disk.0", "disk.0.snap", "flat", "raw"]);
}

#[test]
fn images_are_made_where_none_is() {
    let world = world();
    let mut machine = machine(&world);
    let create = |name: &str, format: &str| E::Create {
        at: place(world.at(name)),
        format: format.into(),
        size: Some(1 << 20),
        based_on: None,
    };
    for format in ["raw", "qcow2"] {
        done(&mut machine, create(&format!("ds/0/{format}"), format));
        let info = info(&mut machine, inspect(&world, &format!("ds/0/{format}")));
        assert_eq!((info.format.as_str(), info.virtual_size), (format, 1 << 20));
        assert_eq!(refused(&mut machine, create(&format!("ds/0/{format}"), format)), K::Exists);
    }
    world.link("ds/0/link", world.at("out/new"));
    assert_eq!(refused(&mut machine, create("ds/0/link", "raw")), K::Exists);
    for format in ["", "vmdk", "luks", "raw,x=y", "-o", "host_device", "nbd", "QCOW2"] {
        assert_eq!(refused(&mut machine, create("ds/0/new", format)), K::Unsupported, "{format}");
    }
    assert_eq!(refused(&mut machine, create("ds/1/new", "raw")), K::Denied);
    let giant =
        E::Create { at: place(world.at("ds/0/giant")), format: "qcow2".into(), size: Some(u64::MAX), based_on: None };
    assert_eq!(refused(&mut machine, giant), K::Failed);
    assert_eq!(world.names("ds/0"), ["link", "qcow2", "raw"]);
    assert_eq!(world.names("out"), ["base"]);
}

#[test]
fn a_failed_conversion_leaves_the_target() {
    let world = world();
    world.file("ds/0/target", "old").file("ds/0/broken", header(b"", &[], 0));
    let before = snapshot(&world.path);
    let mut machine = machine(&world);
    assert_eq!(refused(&mut machine, convert(&world, "ds/0/broken", "qcow2", "ds/0/target", "raw")), K::Failed);
    for (from, to) in [("vmdk", "raw"), ("luks", "raw"), ("raw", "vmdk"), ("json:{}", "raw"), ("", "")] {
        assert_eq!(refused(&mut machine, convert(&world, "ds/1/base", from, "ds/0/target", to)), K::Unsupported);
    }
    assert_eq!(refused(&mut machine, convert(&world, "ds/1/base", "qcow2", "ds/1/target", "raw")), K::Denied);
    assert_eq!(before, snapshot(&world.path));
}

#[test]
fn an_image_in_use_is_busy_but_can_be_looked_at() {
    let world = world();
    qemu_img(&world.path, &["create", "-q", "-f", "raw", "ds/0/disk", "1M"]);
    // As qemu holds the image of a running guest: these bytes say "somebody writes" (100 + 1) and "nobody
    // else may" (200 + 1).
    let file = std::fs::OpenOptions::new().read(true).write(true).open(world.path.join("ds/0/disk")).unwrap();
    let holder = Command::new("python3")
        .args([
            "-c",
            "import fcntl,struct,sys\nfor b in (100,101,201): fcntl.fcntl(0, 37, struct.pack('hhqqi4x', fcntl.F_RDLCK, 0, b, 1, 0))\nprint('held', flush=True)\nsys.stdin.close()",
        ])
        .stdin(file.try_clone().unwrap())
        .output();
    let holder = holder.expect("python3 is needed, to lock as qemu does");
    assert_eq!(holder.stdout, b"held\n", "{}", String::from_utf8_lossy(&holder.stderr));
    // The lock belongs to the open file, which is still ours.
    let mut machine = machine(&world);
    info(&mut machine, inspect(&world, "ds/0/disk"));
    assert_eq!(refused(&mut machine, convert(&world, "ds/0/disk", "raw", "ds/0/copy", "raw")), K::Busy);
    drop(file);
    done(&mut machine, convert(&world, "ds/0/disk", "raw", "ds/0/copy", "raw"));
}
