//! Disks, firmware and what is behind them.

use super::*;

/// The format decides whether an image's header is looked at.
#[test]
fn storage_is_described_once() {
    for device in [
        "<disk type='file'><driver type='raw'/><driver type='qcow2'/></disk>",
        "<disk type='file'><source file='/var/lib/one/datastores/0/1/a'/><source file='/var/lib/one/datastores/0/1/b'/></disk>",
        "<disk><backingStore><format type='raw'/><format type='qcow2'/></backingStore></disk>",
        "<disk><readonly/><readonly/></disk>",
    ] {
        let failure = check(&inside(device)).expect_err(device);
        assert_eq!(failure.kind, FailureKind::Invalid, "{device}: {failure}");
    }
}

#[test]
fn images_are_known_by_their_formats() {
    let policy = shipped();
    let grant = policy.libvirt.as_ref().unwrap();
    let folder = "/var/lib/one/datastores/0/1";
    let files = |xml: &str| {
        let files = check_document(grant, &policy.paths, xml).unwrap_or_else(|failure| panic!("{xml}: {failure}"));
        files.into_iter().map(|file| (file.path, file.access, file.format)).collect::<Vec<_>>()
    };
    let named =
        |name: &str, access, format: Option<&str>| (format!("{folder}/{name}"), access, format.map(str::to_owned));
    for (inner, expected) in [
        (
            format!("<os><loader type='pflash' readonly='yes' format='qcow2'>{folder}/a</loader></os>"),
            named("a", Access::ReadOnly, Some("qcow2")),
        ),
        (format!("<os><loader>{folder}/a</loader></os>"), named("a", Access::ReadOnly, None)),
        // The guest writes to such a memory.
        (format!("<os><loader type='pflash'>{folder}/a</loader></os>"), named("a", Access::ReadWrite, None)),
        (format!("<os><nvram format='qcow2'>{folder}/a</nvram></os>"), named("a", Access::ReadWrite, Some("qcow2"))),
        (
            format!("<os><nvram type='file' format='qcow2'><source file='{folder}/a'/></nvram></os>"),
            named("a", Access::ReadWrite, Some("qcow2")),
        ),
        (
            format!("<os><nvram template='{folder}/a' templateFormat='qcow2' format='raw'/></os>"),
            named("a", Access::ReadOnly, Some("qcow2")),
        ),
    ] {
        assert_eq!(files(&domain(&inner)), [expected], "{inner}");
    }
    let disk = format!("<disk type='file'><driver type='qcow2'/><source file='{folder}/a'/><readonly/></disk>");
    assert_eq!(files(&inside(&disk)), [named("a", Access::ReadOnly, Some("qcow2"))]);
    // Of a snapshot it is the name of a disk, and the file is one that is made.
    let snapshot = format!("<domainsnapshot><disks>{disk}</disks></domainsnapshot>");
    assert_eq!(files(&snapshot), [named("a", Access::ReadWrite, Some("qcow2"))]);
    let bare = disk.replace("<driver type='qcow2'/>", "");
    assert_eq!(
        files(&format!("<domainsnapshot><disks>{bare}</disks></domainsnapshot>")),
        [named("a", Access::ReadWrite, Some("qcow2"))]
    );
    let variables = format!("<domain><os><nvram format='qcow2'>{folder}/v</nvram></os></domain>");
    assert_eq!(named_images(&variables).unwrap()[0].format.as_deref(), Some("qcow2"));
    let images: Vec<_> =
        named_images(&inside(&disk)).unwrap().into_iter().map(|file| (file.path, file.format)).collect();
    assert_eq!(images, [(format!("{folder}/a"), Some("qcow2".to_owned()))]);
}

/// Who serves it writes its header.
#[test]
fn images_by_network_are_raw() {
    let disk = |format: &str| {
        let name = "<source protocol='gluster' name='x/y'><host name='a'/></source>";
        inside(&format!("<disk type='network'><driver type='{format}'/>{name}</disk>"))
    };
    check(&disk("raw")).unwrap();
    let failure = check(&disk("qcow2")).unwrap_err();
    assert!(failure.message.contains("\"gluster+qcow2\" in network-storage"), "{failure}");
    let mut policy = shipped();
    policy.libvirt.as_mut().unwrap().network_storage.push("gluster+qcow2".to_owned());
    check_domain_document(policy.libvirt.as_ref().unwrap(), &policy.paths, &disk("qcow2")).unwrap();
}

#[test]
fn devices_and_snapshots_are_held_to_the_same() {
    device("<disk type='file'><source file='/var/lib/one/datastores/0/1/disk.2'/></disk>").unwrap();
    device("<disk type='file'><source file='/etc/shadow'/></disk>").unwrap_err();
    device("<hostdev type='usb'/>").unwrap_err();
    device("<domainsnapshot><name>snap-0</name></domainsnapshot>").unwrap();
    device("<domainsnapshot><disks><disk name='vda' snapshot='external'><source file='/etc/x'/></disk></disks></domainsnapshot>")
        .unwrap_err();
    device("<!DOCTYPE d [<!ENTITY e '/etc/x'>]><disk/>").unwrap_err();
}
