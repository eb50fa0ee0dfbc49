//! kvmrc key by key. What each does is tested beside the action that it is for; here, that no key is forgotten,
//! and those that have no other test.

use std::collections::BTreeSet;

use remotes_effect::libvirt::Effect as E;
use remotes_effect::{Effect, configuration};
use remotes_sdk::testing::{Call, Host, Image, Simulation, State};
use remotes_sdk::{Failure, FailureKind, Vmm};
use vmm_kvm::Kvm;

use crate::fixture::*;
use crate::migration::{apart, data, to_datastore, to_host, together};

/// Keys that OpenNebula's own kvmrc explains, without those of programs that are not this driver's: `LANG`
/// (nothing is parsed out of messages), `LIBVIRT_URI` (the runtime connects), `VIRSH_TIMEOUT` (nobody's),
/// `VIRTIOFSD_BINARY_PATH` (virtiofsd.sh, which libvirt starts).
const KEYS: &str = "
    QEMU_PROTOCOL LIBVIRT_MD_URI LIBVIRT_MD_KEY SHUTDOWN_TIMEOUT FORCE_DESTROY CANCEL_NO_ACPI SYNC_TIME VIRSH_RETRIES
    VIRSH_TRIES CLEANUP_MEMORY_ON_START CLEANUP_MEMORY_ON_STOP MIGRATE_OPTIONS DEFAULT_ATTACH_CACHE
    DEFAULT_ATTACH_DISCARD DEFAULT_ATTACH_IO DEFAULT_ATTACH_VIRTIO_BLK_QUEUES DEFAULT_ATTACH_VIRTIO_BLK_IOTHREAD
    DEFAULT_ATTACH_NIC_MODEL DEFAULT_ATTACH_NIC_FILTER DEFAULT_ATTACH_SIZE_IOPS_SEC OVMF_NVRAM";

fn keys() -> BTreeSet<String> {
    let mut keys: BTreeSet<String> = KEYS.split_whitespace().map(str::to_owned).collect();
    for what in ["TOTAL", "READ", "WRITE"] {
        for unit in ["BYTES", "IOPS"] {
            for end in ["", "_MAX", "_MAX_LENGTH"] {
                keys.insert(format!("DEFAULT_ATTACH_{what}_{unit}_SEC{end}"));
            }
        }
    }
    keys
}

fn asked<T: std::fmt::Debug>(call: &Call<T>) -> impl Iterator<Item = String> {
    call.done.iter().filter_map(|(effect, _)| match effect {
        Effect::Configuration(configuration::Effect::Get { key }) => Some(key.clone()),
        _ => None,
    })
}

const THREADS: &str = "<iothreads>2</iothreads>";

fn disk(host: &Host, inside: &str) -> Call<()> {
    let template = format!("<DISK><ATTACH>YES</ATTACH><DISK_ID>2</DISK_ID>{inside}</DISK><VCPU>4</VCPU>");
    let path = format!("{FOLDER}/disk.2");
    host.call(|| Kvm::attach_disk(UUID.into(), path, "vdb".into(), 1, action(&template, "qcow2")))
}

fn nic(host: &Host) -> Call<()> {
    let template = "<NIC><ATTACH>YES</ATTACH><MAC>02:00:00:00:00:02</MAC><IP>10.0.0.1</IP></NIC>";
    let text = || String::from("-");
    host.call(|| Kvm::attach_nic(UUID.into(), text(), text(), text(), text(), text(), action(template, "qcow2")))
}

/// The attribute or element of what was attached.
fn given(call: &Call<()>) -> String {
    let given = call.done.iter().find_map(|(effect, _)| match effect {
        Effect::Libvirt(E::AttachDevice { xml, .. }) => Some(xml.clone()),
        _ => None,
    });
    given.unwrap_or_else(|| panic!("nothing attached: {:?}", call.log()))
}

#[test]
fn every_key_is_asked_for() {
    let mut seen = BTreeSet::new();
    let deaf = domain(OS).replace("<acpi/>", "");
    let firmware = domain(&format!("<os><type>hvm</type><nvram>{FOLDER}/VARS.fd</nvram></os>"));
    let image =
        |simulation: Simulation| simulation.here(|m| m.image("/usr/share/OVMF/OVMF_VARS.fd", Image::new("raw", 1)));
    seen.extend(asked(&host(image(empty())).call(|| Kvm::deploy(DEPLOYMENT.into(), firmware, "node1".into()))));
    let stubborn =
        remotes_sdk::testing::Guest { power_button: remotes_sdk::testing::Reaction::Ignores, ..Default::default() };
    let shutdown = host(running(&deaf).guest("one-1", stubborn).configuration("SHUTDOWN_TIMEOUT", "2"));
    seen.extend(asked(&shutdown.call(|| Kvm::shutdown(UUID.into(), "node1".into(), String::new()))));
    let saved = host(running(&plain()));
    saved.call(|| Kvm::save(UUID.into(), CHECKPOINT.into(), "node1".into(), 1, String::new())).value();
    let restore = || Kvm::restore(CHECKPOINT.into(), "node1".into(), UUID.into(), 1, String::new());
    seen.extend(asked(&saved.call(restore)));
    let machine = host(running(&domain(&format!("{OS}{THREADS}<devices/>"))));
    seen.extend(asked(&disk(&machine, "<TOTAL_IOPS_SEC>7</TOTAL_IOPS_SEC>")));
    seen.extend(asked(&disk(&machine, "")));
    seen.extend(asked(&nic(&machine)));
    let mac = || "02:00:00:00:00:02".to_owned();
    seen.extend(asked(&machine.call(|| Kvm::detach_nic(UUID.into(), mac(), action("", "qcow2")))));
    seen.extend(asked(&to_host(&host(together()), "YES")));
    seen.extend(asked(&to_datastore(&host(apart()))));
    let missing: Vec<_> = keys().difference(&seen).cloned().collect();
    assert_eq!(missing, [""; 0]);
}

/// Every default of a disk reaches libvirt, and gives way to what the disk itself says.
#[test]
fn defaults_of_disks() {
    let cases = [
        ("CACHE", "none", "cache='none'"),
        ("DISCARD", "unmap", "discard='unmap'"),
        ("IO", "native", "io='native'"),
        ("VIRTIO_BLK_QUEUES", "auto", "queues='4'"),
        ("VIRTIO_BLK_IOTHREAD", "2", "iothread='2'"),
        ("TOTAL_BYTES_SEC", "11", "<total_bytes_sec>11</total_bytes_sec>"),
        ("READ_BYTES_SEC", "12", "<read_bytes_sec>12</read_bytes_sec>"),
        ("WRITE_BYTES_SEC", "13", "<write_bytes_sec>13</write_bytes_sec>"),
        ("TOTAL_IOPS_SEC", "14", "<total_iops_sec>14</total_iops_sec>"),
        ("READ_IOPS_SEC", "15", "<read_iops_sec>15</read_iops_sec>"),
        ("WRITE_IOPS_SEC", "16", "<write_iops_sec>16</write_iops_sec>"),
    ];
    for (key, value, expected) in cases {
        let world = || running(&domain(&format!("{OS}{THREADS}<devices/>")));
        let with = |world: Simulation| world.configuration(&format!("DEFAULT_ATTACH_{key}"), value);
        let xml = given(&disk(&host(with(world())), ""));
        assert!(xml.contains(expected), "{key}: {xml}");
        assert!(!given(&disk(&host(world()), "")).contains(expected), "{key}");
        let own = if key == "VIRTIO_BLK_IOTHREAD" { "IOTHREAD" } else { key };
        let xml = given(&disk(&host(with(world())), &format!("<{own}>1</{own}>")));
        assert!(!xml.contains(expected), "{key}: {xml}");
        if key.ends_with("_SEC") {
            let burst = |world: Simulation| {
                with(world)
                    .configuration(&format!("DEFAULT_ATTACH_{key}_MAX"), "99")
                    .configuration(&format!("DEFAULT_ATTACH_{key}_MAX_LENGTH"), "5")
            };
            let xml = given(&disk(&host(burst(world())), ""));
            let name = key.to_lowercase();
            assert!(
                xml.contains(&format!("<{name}_max>99</{name}_max><{name}_max_length>5</{name}_max_length>")),
                "{xml}"
            );
        }
    }
    let world = running(&domain(OS)).configuration("DEFAULT_ATTACH_SIZE_IOPS_SEC", "8");
    let xml = given(&disk(&host(world.configuration("DEFAULT_ATTACH_READ_IOPS_SEC", "1")), ""));
    assert!(xml.contains("<size_iops_sec>8</size_iops_sec>"), "{xml}");
}

#[test]
fn defaults_of_interfaces() {
    for (key, value, expected) in
        [("MODEL", "e1000", "<model type='e1000'/>"), ("FILTER", "clean-traffic", "<filterref filter='clean-traffic'>")]
    {
        let world = running(&domain(OS)).configuration(&format!("DEFAULT_ATTACH_NIC_{key}"), value);
        assert!(given(&nic(&host(world))).contains(expected), "{key}");
    }
}

#[test]
fn the_metadata_have_the_namespace_that_is_configured() {
    let (uri, key) = ("http://example.org/one", "mine");
    let mut world = apart().configuration("LIBVIRT_MD_URI", uri).configuration("LIBVIRT_MD_KEY", key);
    let xml = crate::migration::description()
        .replace("http://opennebula.org/xmlns/libvirt/1.0", uri)
        .replace("one:", "mine:");
    let xml = xml.replace("xmlns:one", "xmlns:mine");
    let destroy = E::Destroy { on: remotes_sdk::here(), domain: UUID.into() };
    remotes_effect::Executor::execute(&mut world, &Effect::Libvirt(destroy));
    let host = host(world.domain(&xml, State::Running));
    let call = to_datastore(&host);
    let set = call.done.iter().find_map(|(effect, _)| match effect {
        Effect::Libvirt(E::SetMetadata { uri, key, .. }) => Some((uri.clone(), key.clone())),
        _ => None,
    });
    assert_eq!(set, Some((uri.to_owned(), key.to_owned())));
    call.value();
    let simulation = host.simulation();
    assert!(simulation.here.find(UUID).unwrap().xml().contains("/datastores/102/1</mine:system_datastore>"));
}

/// A daemon that the policy does not name is not connected to, whatever kvmrc says.
#[test]
fn the_daemon_is_the_configured_one() {
    let reboot = || Kvm::reboot(UUID.into(), "node1".into(), String::new());
    host(running(&plain()).configuration("LIBVIRT_URI", "qemu:///session")).call(reboot).value();
    let call = host(running(&plain()).configuration("LIBVIRT_URI", "test:///default")).call(reboot);
    assert_eq!(call.failure().kind, FailureKind::Denied);
}

/// `qemu` as VM_MAD is the same driver; only the domain's type differs.
#[test]
fn plain_qemu_is_served_alike() {
    for (shared, world) in [("YES", together()), ("NO", apart())] {
        let mut world = world.configuration("LIBVIRT_URI", "qemu:///session");
        let destroy = E::Destroy { on: remotes_sdk::here(), domain: UUID.into() };
        remotes_effect::Executor::execute(&mut world, &Effect::Libvirt(destroy));
        let xml = crate::migration::description().replace("type='kvm'", "type='qemu'");
        let host = host(world.domain(&xml, State::Running));
        to_host(&host, shared).value();
        assert!(host.simulation().hosts["node2"].find(UUID).unwrap().xml().contains("type='qemu'"));
    }
}

/// The shell compares with `yes`; only what migrates is Ruby.
#[test]
fn yes_is_written_in_small_letters() {
    use remotes_sdk::testing::{Guest, Reaction};
    let stubborn = Guest { power_button: Reaction::Ignores, ..Default::default() };
    let world = running(&plain()).guest("one-1", stubborn).configuration("SHUTDOWN_TIMEOUT", "2");
    let host1 = host(world.configuration("FORCE_DESTROY", "YES").configuration("CLEANUP_MEMORY_ON_STOP", "Yes"));
    let call = host1.call(|| Kvm::shutdown(UUID.into(), "node1".into(), String::new()));
    assert_eq!(call.failure().message, format!("Timed out shutting down {UUID}"));
    assert!(call.log().iter().any(|line| line.contains("FORCE_DESTROY=YES counts as no")), "{:?}", call.log());
    assert_eq!(host1.simulation().domains().count(), 1);

    let deaf = domain(OS).replace("<acpi/>", "");
    let host2 = host(running(&deaf).configuration("CANCEL_NO_ACPI", "YES"));
    assert_eq!(host2.call(|| Kvm::shutdown(UUID.into(), "node1".into(), String::new())).count("libvirt.destroy"), 0);

    let host3 = host(running(&plain()).configuration("SYNC_TIME", "YES"));
    host3.call(|| Kvm::save(UUID.into(), CHECKPOINT.into(), "node1".into(), 1, String::new())).value();
    let call = host3.call(|| Kvm::restore(CHECKPOINT.into(), "node1".into(), UUID.into(), 1, String::new()));
    assert_eq!(call.count("libvirt.sync-time"), 0);
    call.value();

    let moved = host(together().configuration("SYNC_TIME", "YES").configuration("CLEANUP_MEMORY_ON_STOP", "YES"));
    let call = to_host(&moved, "YES");
    assert_eq!((call.count("libvirt.sync-time"), call.count("tools.available")), (1, 1));
    call.value();
}

#[test]
fn values_that_are_none_are_told_of_and_defaults_used() {
    let world = together().configuration("VIRSH_TRIES", "many");
    let busy = || Failure::busy("domain has active block job");
    let host = host((1..=3).fold(world, |world, nth| world.failing("libvirt.migrate", nth, busy())));
    let call = host.call(|| Kvm::migrate(UUID.into(), "node2".into(), "node1".into(), 1, data("YES", FOLDER, "")));
    assert_eq!(call.count("libvirt.migrate"), 3);
    assert!(call.log().iter().any(|line| line.contains("VIRSH_TRIES=many is not a whole number")), "{:?}", call.log());
}
