//! Files that a description names: where they lead, and what images have behind them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use remotes_effect::libvirt::{CopyTarget, Effect as E, Scope};
use remotes_effect::policy::{LibvirtGrant, Pattern, Policy};
use remotes_effect::types::{FailureKind as K, Node};
use remotes_host::Machine;
use support::qcow2::{header, overlay, qemu_img};
use support::{RO, RW, Sandbox, refused};

fn world() -> Sandbox {
    let world = Sandbox::new();
    world.folder("ds/0").folder("ds/1").folder("out").file("ds/0/raw", "x").file("out/secret", "x");
    qemu_img(&world.path, &["create", "-q", "-f", "qcow2", "ds/1/base", "8M"]);
    qemu_img(&world.path, &["create", "-q", "-f", "qcow2", "out/base", "8M"]);
    world
}

/// Its hypervisor is not there: what gets as far as to be asked of it is `unavailable`.
fn machine(world: &Sandbox) -> Machine {
    let pattern = |text: &str| vec![Pattern(text.to_owned())];
    let libvirt =
        LibvirtGrant { uris: pattern("qemu:///system"), domains: pattern("one-*"), ..LibvirtGrant::default() };
    let mut paths = world.grants(&[("ds/0", RW), ("ds/1", RO)]);
    paths.0.insert("/dev/vg-one-0".to_owned(), RW);
    world.machine_for(Policy { libvirt: Some(libvirt), paths, ..Policy::default() })
}

fn source(world: &Sandbox, file: &str, format: &str) -> String {
    format!("<disk type='file'><driver type='{format}'/><source file='{}'/></disk>", world.at(file))
}

fn domain(devices: &str) -> String {
    format!("<domain type='kvm'><name>one-7</name><memory>1</memory><devices>{devices}</devices></domain>")
}

/// Each way in which a description gets to the hypervisor.
fn outcome(machine: &mut Machine, device: &str) -> K {
    let (on, domain_name) = (Node::Here, "one-7".to_owned());
    let attached =
        E::AttachDevice { on: on.clone(), domain: domain_name.clone(), xml: device.to_owned(), scope: Scope::Live };
    let updated = E::UpdateDevice {
        on: on.clone(),
        domain: domain_name.clone(),
        xml: device.to_owned(),
        scope: Scope::Live,
        force: true,
    };
    let whole = domain(device);
    let snapshot = format!("<domainsnapshot>{whole}</domainsnapshot>");
    let kinds = [
        refused(machine, attached),
        refused(machine, updated),
        refused(machine, E::Create { on: on.clone(), xml: whole.clone(), paused: false }),
        refused(machine, E::Define { on: on.clone(), xml: whole.clone() }),
        refused(machine, E::Restore { on: on.clone(), path: "/nothing".into(), xml: Some(whole) }),
        refused(machine, E::SnapshotCreate { on, domain: domain_name, xml: snapshot }),
    ];
    assert!(kinds.iter().all(|kind| *kind == kinds[0]), "{kinds:?}: {device}");
    kinds[0]
}

#[test]
fn links_are_followed_as_the_hypervisor_follows_them() {
    let world = world();
    world.link("ds/0/disk.0", "raw").link("ds/0/far", world.at("ds/0/near")).link("ds/0/near", world.at("out/secret"));
    world.link("ds/0/folder", world.at("out")).link("ds/0/volume", "/dev/vg-one-0/lv").link("ds/0/sda", "/dev/sda");
    world.link("ds/0/other", world.at("ds/1/base"));
    let mut machine = machine(&world);
    for (file, expected) in [
        ("ds/0/raw", K::Unavailable),
        ("ds/0/absent", K::Unavailable),
        ("ds/0/disk.0", K::Unavailable),
        ("ds/0/volume", K::Unavailable),
        ("ds/0/near", K::Denied),
        ("ds/0/far", K::Denied),
        ("ds/0/folder/secret", K::Denied),
        ("ds/0/sda", K::Denied),
        // Granted for reading, and a guest writes to its disk.
        ("ds/0/other", K::Denied),
    ] {
        assert_eq!(outcome(&mut machine, &source(&world, file, "raw")), expected, "{file}");
    }
    let medium = source(&world, "ds/0/other", "raw").replace("</disk>", "<readonly/></disk>");
    assert_eq!(outcome(&mut machine, &medium), K::Unavailable);
}

#[test]
fn what_is_behind_an_image_is_looked_at() {
    let world = world();
    for (name, backing) in [("good", "ds/1/base"), ("bad", "out/base"), ("gone", "ds/1/absent")] {
        overlay(&world, &format!("ds/0/{name}"), &world.at(backing), "qcow2");
    }
    overlay(&world, "ds/0/below", &world.at("ds/0/bad"), "qcow2");
    let mut machine = machine(&world);
    for (file, format, expected) in [
        ("ds/0/good", "qcow2", K::Unavailable),
        // The hypervisor says so better.
        ("ds/0/gone", "qcow2", K::Unavailable),
        ("ds/0/bad", "qcow2", K::Denied),
        ("ds/0/below", "qcow2", K::Denied),
        ("ds/0/raw", "qcow2", K::Invalid),
        ("ds/0/raw", "vmdk", K::Denied),
        // Its first bytes are the guest's, and mean nothing.
        ("ds/0/bad", "raw", K::Unavailable),
    ] {
        assert_eq!(outcome(&mut machine, &source(&world, file, format)), expected, "{file} as {format}");
    }
    let nested = format!(
        "<disk type='file'><driver type='raw'/><source file='{}'/><backingStore type='file'><format type='qcow2'/>\
         <source file='{}'/></backingStore></disk>",
        world.at("ds/0/raw"),
        world.at("ds/0/bad")
    );
    assert_eq!(outcome(&mut machine, &nested), K::Denied);
}

/// A name in a header is relative to the name that the image was opened by, as qemu takes it.
#[test]
fn a_relative_name_is_read_where_the_image_is_named() {
    let world = world();
    world.folder("ds/0/a/b/out").folder("ds/0/a/b/c").folder("ds/0/c");
    qemu_img(&world.path, &["create", "-q", "-f", "qcow2", "ds/0/a/b/out/base", "8M"]);
    overlay(&world, "ds/0/a/b/c/image", "../out/base", "qcow2");
    world.link("ds/0/c/image", "../a/b/c/image");
    // Where the link is, the same name leads elsewhere, and by one folder less out of the datastore.
    world.link("ds/0/out", world.at("out")).link("ds/0/image", "a/b/c/image");
    let mut machine = machine(&world);
    for (file, expected) in
        [("ds/0/a/b/c/image", K::Unavailable), ("ds/0/c/image", K::Denied), ("ds/0/image", K::Denied)]
    {
        assert_eq!(outcome(&mut machine, &source(&world, file, "qcow2")), expected, "{file}");
    }
    overlay(&world, "ds/0/a/b/out/next", "../../out/base", "qcow2");
    overlay(&world, "ds/0/c/first", "../a/b/out/next", "qcow2");
    assert_eq!(outcome(&mut machine, &source(&world, "ds/0/c/first", "qcow2")), K::Unavailable);
}

/// A guest can write such a header into its volume.
#[test]
fn on_a_volume_images_are_raw() {
    let world = world();
    let mut machine = machine(&world);
    let volume =
        |format: &str| format!("<disk type='block'><driver type='{format}'/><source dev='/dev/vg-one-0/lv'/></disk>");
    for (device, expected) in [(volume("raw"), K::Unavailable), (volume("qcow2"), K::Denied)] {
        assert_eq!(outcome(&mut machine, &device), expected, "{device}");
    }
}

#[test]
fn the_target_of_a_copy_is_looked_at() {
    let world = world();
    overlay(&world, "ds/0/bad", &world.at("out/base"), "qcow2");
    overlay(&world, "ds/0/good", &world.at("ds/1/base"), "qcow2");
    let mut machine = machine(&world);
    for (file, format, expected) in [
        ("ds/0/bad", "qcow2", K::Denied),
        ("ds/0/bad", "raw", K::Unavailable),
        ("ds/0/good", "qcow2", K::Unavailable),
        ("ds/0/good", "vmdk", K::Denied),
    ] {
        let target = CopyTarget { path: world.at(file), format: format.to_owned(), block: false };
        let copy = E::BlockCopy { on: Node::Here, domain: "one-7".into(), disk: "vda".into(), target, shallow: false };
        assert_eq!(refused(&mut machine, copy), expected, "{file} as {format}");
    }
}

/// What is written to an image that keeps its data elsewhere is written there.
#[test]
fn data_elsewhere_is_granted_as_the_image_is() {
    let world = world();
    world.file("ds/1/data", "");
    for (name, data) in [("own", "ds/0/own.data"), ("others", "ds/1/data")] {
        let options = format!("data_file={},data_file_raw=on", world.at(data));
        qemu_img(&world.path, &["create", "-q", "-f", "qcow2", "-o", &options, &format!("ds/0/{name}"), "1M"]);
    }
    let mut machine = machine(&world);
    assert_eq!(outcome(&mut machine, &source(&world, "ds/0/own", "qcow2")), K::Unavailable);
    let disk = source(&world, "ds/0/others", "qcow2");
    assert_eq!(outcome(&mut machine, &disk), K::Denied);
    assert_eq!(outcome(&mut machine, &disk.replace("</disk>", "<readonly/></disk>")), K::Unavailable);
}

/// Headers of older images do not say what is behind them.
#[test]
fn what_is_behind_an_older_image_is_raw_or_nothing() {
    let world = world();
    world.file("ds/1/plain", vec![0; 1 << 16]);
    for (name, backing) in [("over-raw", "ds/1/plain"), ("over-qcow2", "ds/1/base")] {
        world.file(&format!("ds/0/{name}"), header(world.at(backing).as_bytes(), &[], 0));
    }
    let mut machine = machine(&world);
    assert_eq!(outcome(&mut machine, &source(&world, "ds/0/over-raw", "qcow2")), K::Unavailable);
    assert_eq!(outcome(&mut machine, &source(&world, "ds/0/over-qcow2", "qcow2")), K::Invalid);
}

/// A guest shares what is in the folder; the folder itself stays.
#[test]
fn a_granted_folder_can_be_shared() {
    let world = world();
    let mut machine = machine(&world);
    let share = |folder: &str| {
        format!("<filesystem type='mount'><source dir='{}'/><target dir='x'/></filesystem>", world.at(folder))
    };
    assert_eq!(outcome(&mut machine, &share("ds/0")), K::Unavailable);
    assert_eq!(outcome(&mut machine, &share("ds/1")), K::Denied);
}
