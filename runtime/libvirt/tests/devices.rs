//! Disks, interfaces and checkpoints of real guests, on a private libvirtd.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::process::Command;

use proxy::{DETACH_DEVICE_ALIAS, Proxy};

use remotes_effect::libvirt::{Executor as _, Scope};
use remotes_effect::policy::check_document;
use remotes_effect::types::FailureKind;
use remotes_libvirt::Session;
use remotes_test_support::linux::{LinuxGuest, MOUNTED};
use remotes_test_support::{Guest, PrivateLibvirt, skipped, until, wait_for};
use support::{HERE, copy_target, policy, session, session_under};

/// Longer than any guest that answers takes.
const PATIENCE: u32 = 60;

const NIC: &str = "<interface type='user'><mac address='02:00:00:00:00:07'/><model type='virtio'/></interface>";

/// A guest with a NIC plugged in while it runs, which makes it one that can be unplugged.
fn with_nic(session: &mut Session, guest: &Guest) -> String {
    session.create(&HERE, &guest.xml(), false).unwrap();
    guest.wait_up(1).unwrap();
    session.attach_device(&HERE, &guest.name, NIC, Scope::Live).unwrap();
    alias(&session.xml(&HERE, &guest.name).unwrap(), "interface").expect("a NIC with an alias")
}

fn alias(xml: &str, device: &str) -> Option<String> {
    let document = roxmltree::Document::parse(xml).unwrap();
    let device = document.descendants().find(|node| node.has_tag_name(device))?;
    let alias = device.children().find(|node| node.has_tag_name("alias"))?;
    alias.attribute("name").map(str::to_owned)
}

#[test]
fn a_guest_that_answers_lets_go() {
    let libvirt = PrivateLibvirt::start().unwrap();
    let guest = Guest::new(&libvirt, 7).unwrap();
    let mut session = session(libvirt.uri(), &libvirt.guests());
    let nic = with_nic(&mut session, &guest);
    assert!(session.unplug_device(&HERE, &guest.name, &nic, PATIENCE).unwrap());
    assert_eq!(alias(&session.xml(&HERE, &guest.name).unwrap(), "interface"), None);
    let failure = session.unplug_device(&HERE, &guest.name, &nic, PATIENCE).unwrap_err();
    assert_eq!(failure.kind, FailureKind::NotFound, "{failure}");

    // The event loop stays; a second time nothing is registered anew.
    session.attach_device(&HERE, &guest.name, NIC, Scope::Live).unwrap();
    let nic = alias(&session.xml(&HERE, &guest.name).unwrap(), "interface").unwrap();
    assert!(session.unplug_device(&HERE, &guest.uuid, &nic, PATIENCE).unwrap());
}

#[test]
fn a_guest_that_does_not_answer_keeps_it() {
    let libvirt = PrivateLibvirt::start().unwrap();
    let guest = Guest::new(&libvirt, 8).unwrap();
    let mut session = session(libvirt.uri(), &libvirt.guests());
    let nic = with_nic(&mut session, &guest);
    session.suspend(&HERE, &guest.name).unwrap();
    assert!(!session.unplug_device(&HERE, &guest.name, &nic, 1).unwrap());
    assert_eq!(alias(&session.xml(&HERE, &guest.name).unwrap(), "interface").as_deref(), Some(nic.as_str()));
    // The request stands: an action that is repeated waits for its end.
    session.resume(&HERE, &guest.name).unwrap();
    assert!(session.unplug_device(&HERE, &guest.name, &nic, PATIENCE).unwrap());
}

#[test]
fn a_lost_connection_leaves_it_open() {
    let libvirt = PrivateLibvirt::start().unwrap();
    let proxy = Proxy::start(&libvirt.socket(), &libvirt.folder().join("proxy"));
    let guest = Guest::new(&libvirt, 9).unwrap();
    let mut session = session(&proxy.uri(), &libvirt.guests());
    let nic = with_nic(&mut session, &guest);
    session.suspend(&HERE, &guest.name).unwrap();
    // The answer to the request is lost; then the connection is, while the guest takes its time.
    proxy.cut_at(DETACH_DEVICE_ALIAS);
    for cut in [false, true] {
        let failure = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| session.unplug_device(&HERE, &guest.name, &nic, PATIENCE).unwrap_err());
            if cut {
                wait_for("the request", || proxy.calls(DETACH_DEVICE_ALIAS) > 1);
                proxy.cut_now();
            }
            waiting.join().unwrap()
        });
        assert_eq!(failure.kind, FailureKind::Unknown, "{failure}");
    }
    session.resume(&HERE, &guest.name).unwrap();
    assert!(session.unplug_device(&HERE, &guest.name, &nic, PATIENCE).unwrap());
}

fn image(guest: &Guest, name: &str, format: &str) -> String {
    let path = guest.folder.join(name);
    let output = Command::new("qemu-img").args(["create", "-q", "-f", format]).arg(&path).arg("1M").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_disk_is_copied_and_gone_over_to() {
    let libvirt = PrivateLibvirt::start().unwrap();
    let guest = Guest::new(&libvirt, 10).unwrap();
    let mut session = session(libvirt.uri(), &libvirt.guests());
    session.create(&HERE, &guest.xml(), false).unwrap();
    guest.wait_up(1).unwrap();
    assert_eq!(session.block_job(&HERE, &guest.name, "vda").unwrap(), None);

    let copy = image(&guest, "disk.copy", "raw");
    std::os::unix::fs::symlink("disk.copy", guest.folder.join("link")).unwrap();
    let link = guest.folder.join("link").to_str().unwrap().to_owned();
    session.block_copy(&HERE, &guest.name, "vda", &copy_target(&link), false).unwrap();
    let busy = session.block_copy(&HERE, &guest.name, "vda", &copy_target(&copy), false).unwrap_err();
    assert_eq!(busy.kind, FailureKind::Busy, "{busy}");
    until("the copy", || Ok(session.block_job(&HERE, &guest.name, "vda").unwrap().filter(|job| job.ready))).unwrap();
    session.end_block_job(&HERE, &guest.name, "vda", true).unwrap();
    assert_eq!(session.block_job(&HERE, &guest.name, "vda").unwrap(), None);
    let xml = session.xml(&HERE, &guest.name).unwrap();
    assert!(xml.contains(&format!("<source file='{copy}'")), "the link's target stands there: {xml}");

    // The other way round, given up; and what nobody runs.
    let disk = guest.disk.to_str().unwrap();
    session.block_copy(&HERE, &guest.name, "vda", &copy_target(disk), false).unwrap();
    session.end_block_job(&HERE, &guest.name, "vda", false).unwrap();
    assert_eq!(session.xml(&HERE, &guest.name).unwrap().matches(disk).count(), 0);
    let none = session.end_block_job(&HERE, &guest.name, "vda", true).unwrap_err();
    assert_eq!(none.kind, FailureKind::NotFound, "{none}");
    assert_eq!(session.block_job(&HERE, &guest.name, "vdz").unwrap_err().kind, FailureKind::Invalid);
    session.destroy(&HERE, &guest.name).unwrap();
    assert_eq!(std::fs::read(&copy).unwrap(), std::fs::read(&guest.disk).unwrap());
}

#[test]
fn a_layer_is_copied_without_what_it_is_based_on() {
    let libvirt = PrivateLibvirt::start().unwrap();
    let mut guest = Guest::new(&libvirt, 11).unwrap();
    let base = guest.disk.to_str().unwrap().to_owned();
    let layer = |name: &str| {
        let path = guest.folder.join(name);
        let mut command = Command::new("qemu-img");
        command.args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b", &base]).arg(&path);
        assert!(command.status().unwrap().success());
        path
    };
    let (from, to) = (layer("layer.0"), layer("layer.1"));
    (guest.disk, guest.format) = (from, remotes_test_support::Format::Qcow2);
    let mut session = session(libvirt.uri(), &libvirt.guests());
    session.create(&HERE, &guest.xml(), false).unwrap();
    guest.wait_up(1).unwrap();
    let mut target = copy_target(to.to_str().unwrap());
    target.format = "qcow2".to_owned();
    session.block_copy(&HERE, &guest.name, "vda", &target, true).unwrap();
    until("the copy", || Ok(session.block_job(&HERE, &guest.name, "vda").unwrap().filter(|job| job.ready))).unwrap();
    session.end_block_job(&HERE, &guest.name, "vda", true).unwrap();
    let xml = session.xml(&HERE, &guest.name).unwrap();
    assert!(xml.contains(to.to_str().unwrap()) && xml.contains(&base), "{xml}");
    session.destroy(&HERE, &guest.name).unwrap();
    assert!(std::fs::metadata(&to).unwrap().len() < 1 << 20, "the base was not copied");
}

#[test]
fn checkpoints_of_a_running_guest() {
    let libvirt = PrivateLibvirt::start().unwrap();
    let guest = Guest::new(&libvirt, 12).unwrap().with_qcow2().unwrap();
    let mut session = session(libvirt.uri(), &libvirt.guests());
    session.create(&HERE, &guest.xml(), false).unwrap();
    guest.wait_up(1).unwrap();
    for name in ["one-12-1", "one-12-0"] {
        let disks = "<disks><disk name='vda' checkpoint='bitmap'/></disks>";
        let xml = format!("<domaincheckpoint><name>{name}</name>{disks}</domaincheckpoint>");
        assert_eq!(session.checkpoint_create(&HERE, &guest.uuid, &xml, false).unwrap(), name);
    }
    assert_eq!(session.checkpoints(&HERE, &guest.uuid).unwrap(), ["one-12-1", "one-12-0"]);
    let xml = session.checkpoint_xml(&HERE, &guest.uuid, "one-12-0").unwrap();
    session.checkpoint_delete(&HERE, &guest.uuid, "one-12-0", true).unwrap();
    assert_eq!(session.checkpoints(&HERE, &guest.uuid).unwrap(), ["one-12-1"]);
    session.checkpoint_create(&HERE, &guest.uuid, &xml, true).unwrap();
    assert_eq!(session.checkpoints(&HERE, &guest.uuid).unwrap(), ["one-12-1", "one-12-0"]);
    // The simulation says the same: of those without children libvirt makes nothing.
    session.define(&HERE, &guest.xml()).unwrap();
    session.destroy(&HERE, &guest.uuid).unwrap();
    let failure = session.undefine(&HERE, &guest.uuid).unwrap_err();
    assert!(failure.message.contains("cannot delete inactive domain with 1 checkpoints"), "{failure}");
    for name in ["one-12-0", "one-12-1"] {
        session.checkpoint_delete(&HERE, &guest.uuid, name, true).unwrap();
    }
    assert_eq!(session.checkpoints(&HERE, &guest.uuid).unwrap(), Vec::<String>::new());
    session.undefine(&HERE, &guest.uuid).unwrap();
}

/// Snapshots are made known again, checkpoints restored with a changed description: what libvirt has written
/// must pass the policy that what it was made from passed.
#[test]
fn what_libvirt_writes_may_be_handed_back() {
    let libvirt = PrivateLibvirt::start().unwrap();
    let guest = Guest::new(&libvirt, 15).unwrap().with_qcow2().unwrap();
    let mut policy = policy(libvirt.uri(), &libvirt.guests());
    policy.libvirt.as_mut().unwrap().host_devices = vec!["host-network".to_owned()];
    let mut session = session_under(libvirt.uri(), policy.clone());
    let devices = "<channel type='unix'><source mode='bind'/>\
                   <target type='virtio' name='org.qemu.guest_agent.0'/></channel>\
                   <console type='pty'/><graphics type='vnc' listen='127.0.0.1' autoport='yes'/>\
                   <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>\
                   <input type='tablet' bus='usb'/><video><model type='virtio'/></video></devices>";
    let xml = guest.xml().replace("</devices>", &format!("{NIC}{devices}"));
    let granted = |xml: &str| {
        let (grant, paths) = (policy.libvirt.as_ref().unwrap(), &policy.paths);
        check_document(grant, paths, xml).unwrap_or_else(|failure| panic!("{failure}: {xml}"));
    };
    granted(&xml);
    session.create(&HERE, &xml, false).unwrap();
    guest.wait_up(1).unwrap();
    session.snapshot_create(&HERE, &guest.name, "<domainsnapshot><name>snap-0</name></domainsnapshot>").unwrap();
    granted(&session.snapshot_xml(&HERE, &guest.name, "snap-0").unwrap());
    session.snapshot_delete(&HERE, &guest.name, "snap-0", false).unwrap();
    session
        .checkpoint_create(&HERE, &guest.name, "<domaincheckpoint><name>c</name></domaincheckpoint>", false)
        .unwrap();
    granted(&session.checkpoint_xml(&HERE, &guest.name, "c").unwrap());
    session.checkpoint_delete(&HERE, &guest.name, "c", false).unwrap();
    let path = guest.folder.join("checkpoint").to_str().unwrap().to_owned();
    session.save(&HERE, &guest.name, &path).unwrap();
    granted(&session.saved_xml(&HERE, &path).unwrap());
}

#[test]
fn without_an_agent_nothing_is_frozen() {
    let libvirt = PrivateLibvirt::start().unwrap();
    let guest = Guest::new(&libvirt, 13).unwrap();
    let channel = "<channel type='unix'><source mode='bind'/>\
                   <target type='virtio' name='org.qemu.guest_agent.0'/></channel></devices>";
    let mut session = session(libvirt.uri(), &libvirt.guests());
    session.create(&HERE, &guest.xml().replace("</devices>", channel), false).unwrap();
    for failure in [
        session.freeze(&HERE, &guest.name, &[]).unwrap_err(),
        session.freeze(&HERE, &guest.name, &["/".to_owned(), "/var".to_owned()]).unwrap_err(),
        session.thaw(&HERE, &guest.name, &[]).unwrap_err(),
    ] {
        assert_eq!(failure.kind, FailureKind::Unavailable, "{failure}");
    }
}

#[test]
fn an_agent_freezes_thaws_and_sets_the_clock() {
    let libvirt = PrivateLibvirt::start().unwrap();
    let guest = Guest::new(&libvirt, 15).unwrap();
    let Some(linux) = LinuxGuest::in_folder(&libvirt.guests()) else {
        return skipped("there is no kernel for a guest; run `make setup`");
    };
    std::fs::File::create(&guest.disk).unwrap().set_len(16 << 20).unwrap();
    let made = Command::new("/sbin/mke2fs").args(["-q", "-F", "-t", "ext4"]).arg(&guest.disk).status().unwrap();
    assert!(made.success(), "mke2fs: {made}");
    let mut session = session(libvirt.uri(), &libvirt.guests());
    session.create(&HERE, &linux.xml(&guest), false).unwrap();
    linux.wait_up(&guest, || session.xml(&HERE, &guest.name).unwrap()).unwrap();
    // Frozen twice is an error, and thawed twice is none.
    assert_eq!(session.freeze(&HERE, &guest.name, &[]).unwrap(), 1);
    assert!(session.freeze(&HERE, &guest.name, &[]).is_err());
    assert_eq!(session.thaw(&HERE, &guest.name, &[]).unwrap(), 1);
    assert_eq!(session.thaw(&HERE, &guest.name, &[]).unwrap(), 0);
    assert_eq!(session.freeze(&HERE, &guest.name, &[MOUNTED.to_owned()]).unwrap(), 1);
    assert_eq!(session.thaw(&HERE, &guest.name, &[]).unwrap(), 1);
    session.sync_time(&HERE, &guest.name).unwrap();
}

#[test]
fn without_a_job_there_is_nothing_to_abort() {
    let libvirt = PrivateLibvirt::start().unwrap();
    let guest = Guest::new(&libvirt, 14).unwrap();
    let mut session = session(libvirt.uri(), &libvirt.guests());
    session.create(&HERE, &guest.xml(), false).unwrap();
    session.abort_job(&HERE, &guest.name).unwrap();
    session.destroy(&HERE, &guest.name).unwrap();
    assert_eq!(session.abort_job(&HERE, &guest.name).unwrap_err().kind, FailureKind::NotFound);
}
