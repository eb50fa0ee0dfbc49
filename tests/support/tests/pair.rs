//! Two daemons, and guests that move between them, with libvirt's own client.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::Command;

use remotes_test_support::{Guest, Pair, PrivateLibvirt, Side, wait_for};

fn virsh(libvirt: &PrivateLibvirt, arguments: &[&str]) -> String {
    let output = Command::new("virsh").args(["-c", libvirt.uri()]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn start(pair: &Pair, guest: &Guest) {
    let file = pair.storage().join("domain.xml");
    std::fs::write(&file, guest.xml()).unwrap();
    virsh(&pair.source, &["create", file.to_str().unwrap()]);
}

#[test]
fn a_guest_moves_on_shared_storage() {
    let pair = Pair::start().unwrap();
    let guest = Guest::in_folder(&pair.shared().join("7"), 7).unwrap();
    start(&pair, &guest);
    guest.wait_up(1).unwrap();
    let to = [pair.destination.uri(), Pair::MIGRATE_URI];
    virsh(&pair.source, &["migrate", "--live", "--unsafe", &guest.name, to[0], to[1]]);
    assert_eq!(virsh(&pair.source, &["list", "--name"]).trim(), "");
    assert_eq!(virsh(&pair.destination, &["list", "--name"]).trim(), guest.name);
    virsh(&pair.destination, &["shutdown", &guest.name]);
    wait_for("its end", || virsh(&pair.destination, &["list", "--name"]).trim().is_empty());
    assert_eq!(guest.starts().unwrap(), 1, "it went on where it was");
}

#[test]
fn a_guest_moves_with_its_disk() {
    let pair = Pair::start().unwrap();
    let here = Guest::in_folder(&pair.own_of(Side::Source), 8).unwrap();
    let there = here.seen_in(&pair.own_of(Side::Destination));
    std::fs::write(&there.disk, vec![0; std::fs::metadata(&here.disk).unwrap().len() as usize]).unwrap();
    start(&pair, &here.seen_in(&pair.own()));
    here.wait_up(1).unwrap();
    let to = [pair.destination.uri(), Pair::MIGRATE_URI];
    virsh(
        &pair.source,
        &["migrate", "--live", "--copy-storage-all", "--migrate-disks", "vda", &here.name, to[0], to[1]],
    );
    assert_eq!(virsh(&pair.destination, &["list", "--name"]).trim(), here.name);
    virsh(&pair.destination, &["destroy", &here.name]);
    assert_eq!(std::fs::read(&there.disk).unwrap(), std::fs::read(&here.disk).unwrap());
}

#[test]
fn inside_is_what_the_daemon_sees() {
    let pair = Pair::start().unwrap();
    for (libvirt, side) in [(&pair.source, Side::Source), (&pair.destination, Side::Destination)] {
        std::fs::write(pair.own_of(side).join("whose"), format!("{side:?}")).unwrap();
        let seen = libvirt.inside("cat").unwrap().arg(pair.own().join("whose")).output().unwrap();
        assert_eq!(String::from_utf8(seen.stdout).unwrap(), format!("{side:?}"));
    }
    assert_eq!(std::fs::read_dir(pair.own()).unwrap().count(), 0);
}
