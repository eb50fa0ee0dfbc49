//! Paths and trees made by somebody who wants out: each is refused, and nothing outside changes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::os::unix::fs::PermissionsExt as _;

use remotes_effect::filesystem::{Answer as A, Effect as E};
use remotes_effect::types::FailureKind as K;
use remotes_effect::{Answer, Effect, Executor};
use remotes_host::jail::{Jail, Last};
use support::{RO, RW, Sandbox, done, place, refused, snapshot};

/// Everything that can be asked of one place.
fn every_effect(path: &str) -> Vec<E> {
    let at = || place(path);
    vec![
        E::Stat { at: at() },
        E::Entries { at: at() },
        E::Read { at: at() },
        E::ReadLink { at: at() },
        E::Write { at: at(), content: b"x".to_vec(), mode: 0o600 },
        E::MakeDirectory { at: at(), mode: 0o700 },
        E::SetMode { at: at(), mode: 0o777 },
        E::Remove { at: at(), recursive: true },
        E::Unpack { at: at(), archive: Vec::new() },
        E::Rename { source: at(), target: at() },
        E::Copy { source: at(), target: at() },
    ]
}

fn world() -> Sandbox {
    let world = Sandbox::new();
    world.file("out/secret", "secret").file("ds/1/disk.0", "disk").file("ro/base", "base").folder("ds/100");
    world
}

#[test]
fn paths_that_are_not_below_a_granted_folder() {
    let world = world();
    let mut machine = world.machine(&[("ds/1", RW), ("ro", RO)]);
    let before = snapshot(&world.path);
    let mut paths = vec![
        "/etc/passwd".to_owned(),
        "/".to_owned(),
        String::new(),
        "relative".to_owned(),
        "../up".to_owned(),
        "/proc/self/root".to_owned(),
        "/proc/self/fd/0".to_owned(),
        "/dev/zero".to_owned(),
        "/a\0b".to_owned(),
        format!("/{}", "a/".repeat(3000)),
    ];
    for path in
        ["out/secret", "ds/100", "ds/10", "ds", "ds/1/../../out/secret", "ds/1/..", "ro/../out", "ds/2", "rotten"]
    {
        paths.push(world.at(path));
        paths.push(world.at(path).replace('/', "//") + "/");
    }
    for path in paths {
        for effect in every_effect(&path) {
            let kind = refused(&mut machine, effect.clone());
            assert!(matches!(kind, K::Denied | K::Invalid), "{effect:?}: {kind:?}");
        }
    }
    assert_eq!(before, snapshot(&world.path));
}

#[test]
fn links_that_lead_out() {
    let world = world();
    let out = world.at("out/secret");
    world
        .link("ds/1/absolute", &out)
        .link("ds/1/slash", format!("{out}/"))
        .link("ds/1/dot", format!("{}/.", world.at("out")))
        .link("ds/1/relative", "../../out/secret")
        .link("ds/1/far", "../../../../../../../../../../../../etc/passwd")
        .link("ds/1/chain", "absolute")
        .link("ds/1/folder", world.at("out"))
        .link("ds/1/up", "..")
        .link("ds/1/proc", "/proc/self/root/etc/passwd")
        .link("ds/1/fd", "/proc/self/fd/0")
        .link("ds/1/prefix", world.at("ds/100"))
        .link("ds/1/back", format!("{}/../out/secret", world.at("ds/1")))
        .link("ds/1/root", "/");
    let mut machine = world.machine(&[("ds/1", RW), ("ro", RO)]);
    let before = snapshot(&world.path);
    let through = |name: &str| world.at(&format!("ds/1/{name}"));
    for name in
        ["absolute", "slash", "dot", "relative", "far", "chain", "proc", "fd", "prefix", "back", "root", "up", "folder"]
    {
        for effect in [
            E::Read { at: place(through(name)) },
            E::Entries { at: place(through(name)) },
            E::SetMode { at: place(through(name)), mode: 0o777 },
            E::MakeDirectory { at: place(through(name)), mode: 0o777 },
            E::MakeDirectory { at: place(through(&format!("{name}/new"))), mode: 0o777 },
            E::Copy { source: place(through(name)), target: place(through("copy")) },
            E::Stat { at: place(through(&format!("{name}/secret"))) },
            E::Write { at: place(through(&format!("{name}/secret"))), content: b"x".to_vec(), mode: 0o600 },
            E::Remove { at: place(through(&format!("{name}/secret"))), recursive: true },
            E::Rename { source: place(through("disk.0")), target: place(through(&format!("{name}/disk.0"))) },
            E::Rename { source: place(through(&format!("{name}/secret"))), target: place(through("stolen")) },
            E::Unpack { at: place(through(name)), archive: Vec::new() },
        ] {
            assert_eq!(refused(&mut machine, effect.clone()), K::Denied, "{effect:?}");
        }
    }
    assert_eq!(before, snapshot(&world.path));
}

#[test]
fn a_denial_names_link_target_and_grant() {
    let world = world();
    world.link("ds/1/link", world.at("out/secret"));
    let jail = Jail::new(&world.grants(&[("ds/1", RW)]));
    let message = jail.find(&world.at("ds/1/link"), RO, Last::Follow).unwrap_err().message;
    for part in [world.at("ds/1/link"), world.at("out/secret"), format!("`\"{}\" = ", world.at("out"))] {
        assert!(message.contains(&part), "{message}");
    }
}

#[test]
fn links_that_lead_nowhere_or_round() {
    let world = world();
    world.link("ds/1/loop", "loop").link("ds/1/a", "b").link("ds/1/b", "a").link("ds/1/self", world.at("ds/1/self"));
    world.link("ds/1/dangling", "missing").link("ds/1/empty", world.at("ds/1/missing/"));
    let mut previous = "disk.0".to_owned();
    for index in 0..41 {
        let name = format!("hop{index}");
        world.link(&format!("ds/1/{name}"), &previous);
        previous = name;
    }
    let mut machine = world.machine(&[("ds/1", RW)]);
    for name in ["loop", "a", "b", "self", "hop40", "loop/x"] {
        assert_eq!(
            refused(&mut machine, E::Read { at: place(world.at(&format!("ds/1/{name}"))) }),
            K::Invalid,
            "{name}"
        );
    }
    for name in ["dangling", "empty", "disk.0/x", "dangling/x"] {
        assert_eq!(
            refused(&mut machine, E::Read { at: place(world.at(&format!("ds/1/{name}"))) }),
            K::NotFound,
            "{name}"
        );
    }
    done(&mut machine, E::Read { at: place(world.at("ds/1/hop39")) });
}

#[test]
fn opennebulas_own_links_work() {
    let world = world();
    world
        .file("ds/1/image", "image")
        .file("ds/1/image.snap/1", "first")
        .link("ds/1/image.snap/image.snap", ".")
        .link("ds/1/image.snap/0", world.at("ds/1/image"))
        .link("ds/0/5/disk.0", world.at("ds/1/image.snap/0"))
        .link("ds/0/5/disk.1", "disk.1.snap/0")
        .file("ds/0/5/disk.1.snap/0", "second")
        .link("ds/0/5/disk.1.snap/disk.1.snap", ".")
        .link("ds/0/5/disk.2", "../../1/image.snap/image.snap/image.snap/1");
    // Two datastores, granted each for itself: links lead from one into the other.
    let mut machine = world.machine(&[("ds/0", RW), ("ds/1", RO)]);
    let mut read = |path: &str| match done(&mut machine, E::Read { at: place(world.at(path)) }) {
        Answer::Filesystem(A::Read(Ok(content))) => String::from_utf8(content).unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(read("ds/0/5/disk.0"), "image");
    assert_eq!(read("ds/0/5/disk.1"), "second");
    assert_eq!(read("ds/0/5/disk.1.snap/disk.1.snap/disk.1.snap/0"), "second");
    assert_eq!(read("ds/0/5/disk.2"), "first");
    let mut machine = world.machine(&[("ds/0", RW), ("ds/1", RO)]);
    // What a link leads to in a read-only folder stays read-only.
    assert_eq!(refused(&mut machine, E::SetMode { at: place(world.at("ds/0/5/disk.0")), mode: 0o777 }), K::Denied);
    done(&mut machine, E::Remove { at: place(world.at("ds/0/5/disk.0")), recursive: false });
    assert_eq!(world.text("ds/1/image"), "image");
}

#[test]
fn a_granted_folder_that_is_reached_by_a_link() {
    let world = world();
    world.file("srv/ds/1/image", "image").link("var", "srv").link("srv/ds/0/disk", world.at("srv/ds/1/image"));
    world.link("srv/ds/0/other", world.at("var/ds/1/image")).link("srv/ds/0/up", "../1/image");
    let mut machine = world.machine(&[("var/ds/0", RW), ("var/ds/1", RW)]);
    for name in ["disk", "other", "up"] {
        done(&mut machine, E::Read { at: place(world.at(&format!("var/ds/0/{name}"))) });
    }
    // By its real path it was not granted.
    assert_eq!(refused(&mut machine, E::Read { at: place(world.at("srv/ds/1/image")) }), K::Denied);
}

#[test]
fn what_is_granted_read_only_does_not_change() {
    let world = world();
    world.file("rw/in/base/image", "base").link("rw/to", world.at("ro")).link("rw/into", "in/base");
    let mut machine = world.machine(&[("rw", RW), ("rw/in/base", RO), ("ro", RO)]);
    let before = snapshot(&world.path);
    let at = |path: &str| place(world.at(path));
    for folder in ["ro", "rw/to", "rw/in/base", "rw/into"] {
        for name in ["base", "image", "new"] {
            let path = format!("{folder}/{name}");
            for effect in [
                E::Write { at: at(&path), content: Vec::new(), mode: 0o600 },
                E::MakeDirectory { at: at(&format!("{path}/inner")), mode: 0o700 },
                E::Remove { at: at(&path), recursive: true },
                E::Copy { source: at("ds/1/disk.0"), target: at(&path) },
                E::Rename { source: at(&path), target: at("rw/mine") },
                E::Rename { source: at("rw/mine"), target: at(&path) },
            ] {
                let kind = refused(&mut machine, effect.clone());
                assert!(matches!(kind, K::Denied | K::NotFound | K::Exists), "{effect:?}: {kind:?}");
            }
        }
    }
    // Nor does it move with the folder it lies in, nor go with that.
    for effect in [
        E::Rename { source: at("rw/in"), target: at("rw/elsewhere") },
        E::Rename { source: at("rw/in/base"), target: at("rw/elsewhere") },
        E::Remove { at: at("rw/in"), recursive: true },
        E::Remove { at: at("rw/in/base"), recursive: true },
        E::Remove { at: at("rw"), recursive: true },
        E::SetMode { at: at("rw"), mode: 0o777 },
        E::SetMode { at: at("ro"), mode: 0o777 },
    ] {
        assert_eq!(refused(&mut machine, effect.clone()), K::Denied, "{effect:?}");
    }
    assert_eq!(before, snapshot(&world.path));
}

#[test]
fn a_granted_folder_replaced_by_a_link() {
    let world = world();
    // Whoever may write to `ds` puts a link where the policy grants `ds/7`.
    world.link("ds/7", world.at("out"));
    let mut machine = world.machine(&[("ds", RO), ("ds/7", RW)]);
    for effect in every_effect(&world.at("ds/7/secret")) {
        assert_eq!(refused(&mut machine, effect.clone()), K::Denied, "{effect:?}");
    }
    assert_eq!(world.text("out/secret"), "secret");
}

#[test]
fn granted_folders_that_refer_to_themselves() {
    let world = world();
    world.link("ds/7", world.at("ds/7/x")).link("ds/8", world.at("ds/9")).link("ds/9", world.at("ds/8"));
    let mut machine = world.machine(&[("ds", RW), ("ds/7", RW), ("ds/8", RW), ("ds/9", RO)]);
    for path in ["ds/7/a", "ds/8/a", "ds/9/a"] {
        assert_eq!(refused(&mut machine, E::Read { at: place(world.at(path)) }), K::Invalid, "{path}");
    }
    done(&mut machine, E::Read { at: place(world.at("ds/1/disk.0")) });
}

#[test]
fn what_is_no_regular_file_is_not_opened() {
    let world = world();
    let fifo = world.path.join("ds/1/fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(world.path.join("ds/1/socket")).unwrap();
    world.folder("ds/1/folder").link("ds/1/to-fifo", "fifo");
    let mut machine = world.machine(&[("ds/1", RW), ("/dev", RW)]);
    for path in ["ds/1/fifo", "ds/1/socket", "ds/1/folder", "ds/1/to-fifo", "/dev/zero", "/dev/null"] {
        let at = || place(world.at(path));
        for effect in [E::Read { at: at() }, E::Copy { source: at(), target: place(world.at("ds/1/copy")) }] {
            assert_eq!(refused(&mut machine, effect), K::Invalid, "{path}");
        }
        if path != "ds/1/to-fifo" {
            let write = E::Write { at: at(), content: b"x".to_vec(), mode: 0o600 };
            assert_eq!(refused(&mut machine, write), K::Invalid, "{path}");
            let copy = E::Copy { source: place(world.at("ds/1/disk.0")), target: at() };
            assert_eq!(refused(&mut machine, copy), K::Invalid, "{path}");
        }
        if !path.contains("folder") {
            assert_eq!(refused(&mut machine, E::Entries { at: at() }), K::NotFound, "{path}");
        }
    }
}

#[test]
fn odd_names_are_names() {
    let world = world();
    let mut machine = world.machine(&[("ds/1", RW)]);
    for name in ["-rf", "--", "a\nb", "\u{1b}[31m", "…", " ", "a b", "$(id)", "json:{}", "nbd:x", &"n".repeat(255)] {
        let at = || place(world.at("ds/1") + "/" + name);
        done(&mut machine, E::Write { at: at(), content: name.as_bytes().to_vec(), mode: 0o600 });
        assert_eq!(std::fs::read(world.at("ds/1") + "/" + name).unwrap(), name.as_bytes());
        refused(&mut machine, E::Entries { at: at() });
        done(&mut machine, E::Remove { at: at(), recursive: false });
    }
    let long = place(world.at("ds/1") + "/" + &"n".repeat(256));
    assert_eq!(refused(&mut machine, E::Write { at: long, content: Vec::new(), mode: 0o600 }), K::Invalid);
    let deep = format!("{}{}", world.at("ds/1"), "/d".repeat(1500));
    assert_eq!(refused(&mut machine, E::Read { at: place(deep) }), K::NotFound);
    // A name in a message cannot make a second line; one that is no UTF-8 cannot be told to a driver.
    let odd = std::ffi::OsStr::new("x").to_owned();
    std::fs::write(world.path.join("ds/1").join(odd), "").unwrap();
    use std::os::unix::ffi::OsStrExt as _;
    std::fs::write(world.path.join("ds/1").join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap();
    assert_eq!(refused(&mut machine, E::Entries { at: place(world.at("ds/1")) }), K::Invalid);
}

#[test]
fn nodes_that_do_not_agree() {
    let world = world();
    let mut machine = world.machine(&[("ds/1", RW)]);
    let there = remotes_effect::types::Place {
        on: remotes_effect::types::Node::Host("node1".into()),
        path: world.at("ds/1/copy"),
    };
    let copy = Effect::Filesystem(E::Copy { source: place(world.at("ds/1/disk.0")), target: there });
    assert_eq!(machine.execute(&copy).failure().unwrap().kind, K::Invalid);
}

#[test]
fn an_unreadable_folder_is_no_absent_one() {
    let world = world();
    world.file("ds/1/shut/file", "x");
    std::fs::set_permissions(world.path.join("ds/1/shut"), std::fs::Permissions::from_mode(0o000)).unwrap();
    let mut machine = world.machine(&[("ds/1", RW)]);
    if rustix::process::geteuid().is_root() {
        done(&mut machine, E::Read { at: place(world.at("ds/1/shut/file")) });
    } else {
        assert_eq!(refused(&mut machine, E::Read { at: place(world.at("ds/1/shut/file")) }), K::Failed);
        assert_eq!(
            refused(&mut machine, E::Remove { at: place(world.at("ds/1/shut/file")), recursive: false }),
            K::Failed
        );
    }
    std::fs::set_permissions(world.path.join("ds/1/shut"), std::fs::Permissions::from_mode(0o700)).unwrap();
}
