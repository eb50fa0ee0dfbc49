//! attach_disk and detach_disk

use remotes_sdk::testing::{Call, Guest, Host, Reaction, Simulation};
use remotes_sdk::{Failure, FailureKind, Vmm};
use vmm_kvm::Kvm;

use crate::fixture::*;

const PATH: &str = "/var/lib/one//datastores/101/1/disk.2";

fn with_devices(inside: &str) -> String {
    domain(&format!("{OS}<devices>{inside}</devices>"))
}

fn attach_as(host: &Host, target: &str, template: &str) -> Call<()> {
    let action = action(template, "qcow2");
    host.call(|| Kvm::attach_disk(UUID.into(), PATH.into(), target.into(), 1, action))
}

fn disk(inside: &str) -> String {
    format!(
        "<DISK><DISK_ID>0</DISK_ID><TYPE>FILE</TYPE></DISK><DISK><ATTACH>YES</ATTACH><DISK_ID>2</DISK_ID>{inside}</DISK>"
    )
}

/// The description that libvirt was given.
pub fn given(call: &Call<()>) -> String {
    let given = call.done.iter().find_map(|(effect, _)| match effect {
        remotes_effect::Effect::Libvirt(remotes_effect::libvirt::Effect::AttachDevice { xml, .. }) => Some(xml.clone()),
        _ => None,
    });
    given.unwrap_or_else(|| panic!("nothing attached: {:?}, {:?}", call.result, call.log()))
}

/// What becomes of a disk on target `vdb`, up to and with `<target>`, without the driver element.
fn described(inside: &str) -> String {
    let xml = given(&attach_as(&host(running(&with_devices(""))), "vdb", &disk(inside)));
    let (start, rest) = xml.split_once("<driver ").unwrap();
    format!("{start}{}", rest.split_once("/>").unwrap().1).replace("<target dev='vdb'/></disk>", "")
}

#[test]
fn each_type_of_disk_has_its_source() {
    let ceph = "<CEPH_HOST>mon1 mon2:6790</CEPH_HOST><CEPH_USER>libvirt</CEPH_USER><CEPH_SECRET>abc</CEPH_SECRET>";
    let rbd = "<host name='mon1'/><host name='mon2' port='6790'/></source>\
               <auth username='libvirt'><secret type='ceph' uuid='abc'/></auth>";
    let cases = [
        ("<TYPE>FILE</TYPE>".to_owned(), format!("<disk type='file' device='disk'><source file='{PATH}'/>")),
        ("<TYPE>fs</TYPE>".to_owned(), format!("<disk type='file' device='disk'><source file='{PATH}'/>")),
        ("<TYPE>BLOCK</TYPE>".to_owned(), format!("<disk type='block' device='disk'><source dev='{PATH}'/>")),
        ("<TYPE>BLOCK_CDROM</TYPE>".to_owned(), format!("<disk type='block' device='cdrom'><source dev='{PATH}'/>")),
        ("<TYPE>CDROM</TYPE>".to_owned(), format!("<disk type='file' device='cdrom'><source file='{PATH}'/>")),
        (
            "<TYPE>CDROM</TYPE><DISK_TYPE>BLOCK</DISK_TYPE>".to_owned(),
            format!("<disk type='block' device='cdrom'><source dev='{PATH}'/>"),
        ),
        (
            "<TYPE>SWAP</TYPE><DISK_TYPE>BLOCK</DISK_TYPE>".to_owned(),
            format!("<disk type='block' device='disk'><source dev='{PATH}'/>"),
        ),
        (
            format!("<TYPE>RBD</TYPE><SOURCE>one/one-7</SOURCE>{ceph}"),
            format!("<disk type='network' device='disk'><source name='one/one-7' protocol='rbd'>{rbd}"),
        ),
        (
            format!("<TYPE>RBD_CDROM</TYPE><SOURCE>one/one-7</SOURCE><CLONE>YES</CLONE>{ceph}"),
            format!("<disk type='network' device='cdrom'><source name='one/one-7-1-2' protocol='rbd'>{rbd}"),
        ),
        (
            "<TYPE>RBD</TYPE><POOL_NAME>pool</POOL_NAME>".to_owned(),
            "<disk type='network' device='disk'><source name='pool/one-sys-1-2' protocol='rbd'/>".to_owned(),
        ),
        (
            "<TYPE>RBD</TYPE>".to_owned(),
            "<disk type='network' device='disk'><source name='one/one-sys-1-2' protocol='rbd'/>".to_owned(),
        ),
        (
            format!("<TYPE>fs</TYPE><DISK_TYPE>RBD</DISK_TYPE><POOL_NAME>pool</POOL_NAME>{ceph}"),
            format!("<disk type='network' device='disk'><source name='pool/one-sys-1-2' protocol='rbd'>{rbd}"),
        ),
        (
            "<TYPE>ISCSI</TYPE><ISCSI_IQN>iqn.x</ISCSI_IQN><ISCSI_HOST>h:3260</ISCSI_HOST>\
             <ISCSI_USER>u</ISCSI_USER><ISCSI_USAGE>s</ISCSI_USAGE>"
                .to_owned(),
            "<disk type='network' device='disk'><source name='iqn.x' protocol='iscsi'><host name='h' port='3260'/></source>\
             <auth username='u'><secret type='iscsi' usage='s'/></auth>"
                .to_owned(),
        ),
        (
            "<TYPE>ISCSI</TYPE><SOURCE>iqn.y</SOURCE><ISCSI_USER>u</ISCSI_USER>".to_owned(),
            "<disk type='network' device='disk'><source name='iqn.y' protocol='iscsi'/>".to_owned(),
        ),
        (
            "<TYPE>SHEEPDOG</TYPE><SOURCE>vdi</SOURCE><CLONE>YES</CLONE><SHEEPDOG_HOST>h:7000</SHEEPDOG_HOST>".to_owned(),
            "<disk type='network' device='disk'><source name='vdi-1-2' protocol='sheepdog'>\
             <host name='h' port='7000' transport='tcp'/></source>"
                .to_owned(),
        ),
        (
            "<TYPE>GLUSTER</TYPE><SOURCE>/a/b/img</SOURCE><GLUSTER_VOLUME>vol</GLUSTER_VOLUME>".to_owned(),
            "<disk type='network' device='disk'><source name='vol/img' protocol='gluster'/>".to_owned(),
        ),
        (
            "<TYPE>GLUSTER_CDROM</TYPE><GLUSTER_VOLUME>vol</GLUSTER_VOLUME><CLONE>YES</CLONE>".to_owned(),
            "<disk type='network' device='cdrom'><source name='vol/1/disk.2' protocol='gluster'/>".to_owned(),
        ),
    ];
    for (inside, expected) in cases {
        assert_eq!(described(&inside), expected, "{inside}");
    }
}

#[test]
fn kvmrc_fills_what_the_disk_leaves_open() {
    let driver = |simulation: Simulation, inside: &str| {
        let xml = given(&attach_as(&host(simulation), "sdc", &disk(inside)));
        xml.split_once("<driver ").unwrap().1.split_once("/>").unwrap().0.to_owned()
    };
    let plain = || running(&with_devices(""));
    assert_eq!(driver(plain(), "<TYPE>FILE</TYPE>"), "name='qemu' type='raw' cache='default'");
    let shipped =
        || plain().configuration("DEFAULT_ATTACH_CACHE", "none").configuration("DEFAULT_ATTACH_DISCARD", "unmap");
    assert_eq!(driver(shipped(), "<DRIVER>qcow2</DRIVER>"), "name='qemu' type='qcow2' cache='none' discard='unmap'");
    assert_eq!(
        driver(
            shipped(),
            "<DRIVER>qcow2</DRIVER><TYPE>CDROM</TYPE><CACHE>writeback</CACHE><IO>native</IO><DISCARD>ignore</DISCARD>"
        ),
        "name='qemu' type='raw' cache='writeback' io='native' discard='ignore'"
    );
}

#[test]
fn virtio_disks_have_queues_and_threads() {
    let driver = |threads: &str, target: &str, inside: &str, template: &str| {
        let simulation = running(&domain(&format!("{OS}{threads}<devices/>")));
        let template = format!("{}<VCPU>4</VCPU>{template}", disk(inside));
        let xml = given(&attach_as(&host(simulation.configuration("DEFAULT_ATTACH_CACHE", "none")), target, &template));
        xml.split_once("cache='none'").unwrap().1.split_once("/>").unwrap().0.to_owned()
    };
    let threads = "<iothreads>3</iothreads>";
    assert_eq!(driver("", "vdb", "", ""), "");
    assert_eq!(driver(threads, "vdb", "", ""), " iothread='3'");
    assert_eq!(driver(threads, "sdb", "<VIRTIO_BLK_QUEUES>2</VIRTIO_BLK_QUEUES>", ""), "");
    assert_eq!(driver(threads, "vdb", "<IOTHREAD>2</IOTHREAD>", ""), " iothread='2'");
    assert_eq!(driver(threads, "vdb", "<IOTHREAD>9</IOTHREAD>", ""), " iothread='3'");
    assert_eq!(driver("<iothreads>0</iothreads>", "vdb", "<IOTHREAD>9</IOTHREAD>", ""), "");
    assert_eq!(driver("", "vdb", "<VIRTIO_BLK_QUEUES>2</VIRTIO_BLK_QUEUES>", ""), " queues='2'");
    let auto = "<FEATURES><VIRTIO_BLK_QUEUES>auto</VIRTIO_BLK_QUEUES></FEATURES>";
    assert_eq!(driver("", "vdb", "", auto), " queues='4'");
}

#[test]
fn what_else_a_disk_may_say() {
    let rest = |target: &str, inside: &str| {
        let xml = given(&attach_as(&host(running(&with_devices(""))), target, &disk(inside)));
        xml.split_once(&format!("<target dev='{target}'/>")).unwrap().1.replace("</disk>", "")
    };
    assert_eq!(
        rest("vdb", "<READONLY>Yes</READONLY><SHAREABLE>YES</SHAREABLE><ORDER>2</ORDER>"),
        "<boot order='2'/><readonly/><shareable/>"
    );
    assert_eq!(
        rest("vdb", "<LUKS_SECRET>uuid</LUKS_SECRET><SERIAL>a b/c-1.x_</SERIAL>"),
        "<encryption format='luks'><secret type='passphrase' uuid='uuid'/></encryption><serial>abc-1.x_</serial>"
    );
    for (target, number) in [
        ("sda", Some(0)),
        ("sdz", Some(25)),
        ("sdaa", Some(26)),
        ("sdiv", Some(255)),
        ("sdiw", None),
        ("sd1", None),
        ("hda", None),
    ] {
        let expected = number.map(|n| format!("<address type='drive' controller='0' bus='0' target='{n}' unit='0'/>"));
        assert_eq!(rest(target, ""), expected.unwrap_or_default(), "{target}");
    }
}

#[test]
fn throughput_is_limited_as_asked() {
    let tune = |simulation: Simulation, inside: &str| {
        let xml = given(&attach_as(&host(simulation), "vdb", &disk(inside)));
        xml.split_once("<iotune>").map(|(_, rest)| rest.split_once("</iotune>").unwrap().0.to_owned())
    };
    let plain = || running(&with_devices(""));
    assert_eq!(tune(plain(), "<SIZE_IOPS_SEC>4</SIZE_IOPS_SEC>"), None);
    assert_eq!(
        tune(plain(), "<TOTAL_BYTES_SEC>100</TOTAL_BYTES_SEC><READ_BYTES_SEC>50</READ_BYTES_SEC>").unwrap(),
        "<total_bytes_sec>100</total_bytes_sec>"
    );
    assert_eq!(
        tune(
            plain(),
            "<READ_BYTES_SEC>50</READ_BYTES_SEC><READ_BYTES_SEC_MAX>60</READ_BYTES_SEC_MAX>\
             <READ_BYTES_SEC_MAX_LENGTH>5</READ_BYTES_SEC_MAX_LENGTH>\
             <WRITE_BYTES_SEC>50</WRITE_BYTES_SEC><WRITE_BYTES_SEC_MAX>50</WRITE_BYTES_SEC_MAX>\
             <WRITE_BYTES_SEC_MAX_LENGTH>5</WRITE_BYTES_SEC_MAX_LENGTH>"
        )
        .unwrap(),
        "<read_bytes_sec>50</read_bytes_sec><read_bytes_sec_max>60</read_bytes_sec_max>\
         <read_bytes_sec_max_length>5</read_bytes_sec_max_length><write_bytes_sec>50</write_bytes_sec>"
    );
    assert_eq!(
        tune(plain(), "<TOTAL_IOPS_SEC_MAX>9</TOTAL_IOPS_SEC_MAX><SIZE_IOPS_SEC>4</SIZE_IOPS_SEC>").unwrap(),
        "<total_iops_sec_max>9</total_iops_sec_max>"
    );
    assert_eq!(
        tune(
            plain()
                .configuration("DEFAULT_ATTACH_WRITE_IOPS_SEC", "7")
                .configuration("DEFAULT_ATTACH_SIZE_IOPS_SEC", "4"),
            ""
        )
        .unwrap(),
        "<write_iops_sec>7</write_iops_sec><size_iops_sec>4</size_iops_sec>"
    );
}

#[test]
fn values_are_escaped() {
    let xml =
        given(&attach_as(&host(running(&with_devices(""))), "vdb", &disk("<CACHE><![CDATA['/><evil a='&]]></CACHE>")));
    assert!(xml.contains("cache='&apos;/&gt;&lt;evil a=&apos;&amp;'"), "{xml}");
}

#[test]
fn a_disks_link_is_resolved() {
    let world = running(&with_devices("")).file("/var/lib/one/datastores/100/img", "x");
    let host = host(world.link("/var/lib/one/datastores/101/1/disk.2", "/var/lib/one/datastores/100/img"));
    let call = attach_as(&host, "vdb", &disk(""));
    assert!(given(&call).contains("<source file='/var/lib/one/datastores/100/img'/>"));
    call.value();
}

#[test]
fn a_repeat_and_a_lost_answer_are_success() {
    let host1 = host(running(&with_devices("")).losing("libvirt.attach-device", 1, Failure::unknown("lost")));
    attach_as(&host1, "vdb", &disk("")).value();
    let call = attach_as(&host1, "vdb", &disk(""));
    assert_eq!(call.log(), [format!("info: {PATH} is attached already")]);
    call.value();

    // Another disk on that target is none.
    let taken = "<disk type='file' device='disk'><source file='/other'/><target dev='vdb'/></disk>";
    let call = attach_as(&host(running(&with_devices(taken))), "vdb", &disk(""));
    assert_eq!(call.failure().message, format!("Could not attach {PATH} (vdb) to {UUID}"));
    assert!(call.log()[0].contains("duplicated"), "{:?}", call.log());
}

#[test]
fn without_a_disk_to_attach_it_fails() {
    for template in ["", "<DISK><DISK_ID>2</DISK_ID></DISK>"] {
        let call = attach_as(&host(running(&with_devices(""))), "vdb", template);
        assert_eq!(call.failure().kind, FailureKind::Invalid);
    }
    let host = host(running(&with_devices("")));
    let call = host.call(|| Kvm::attach_disk(UUID.into(), PATH.into(), "vdb".into(), 1, "<VM/>".into()));
    assert_eq!(call.failure().kind, FailureKind::Invalid);
}

fn detach(host: &Host) -> Call<()> {
    host.call(|| Kvm::detach_disk(UUID.into(), PATH.into(), "vdb".into(), 1, action("", "qcow2")))
}

/// The front-end would go on to remove its image.
#[test]
fn without_a_target_nothing_is_said_to_be_unplugged() {
    let host = host(plugged(Reaction::AfterPolls(0)));
    let call = host.call(|| Kvm::detach_disk(UUID.into(), PATH.into(), String::new(), 1, action("", "qcow2")));
    assert_eq!(call.failure().kind, FailureKind::Invalid);
    assert_eq!(call.names(), [""; 0]);
}

/// oned writes two `<devices>`; the disk is in the second one here.
fn plugged(unplug: Reaction) -> Simulation {
    let disk =
        format!("<disk type='file' device='disk'><source file='{PATH}'/><target dev='vdb' bus='virtio'/></disk>");
    let description = domain(&format!("{OS}<devices><input type='tablet'/></devices><devices>{disk}</devices>"));
    running(&description).guest("one-1", Guest { unplug, ..Guest::default() })
}

#[test]
fn a_disk_is_unplugged_and_seen_gone() {
    for (reaction, most) in
        [(Reaction::AfterPolls(0), 0), (Reaction::AfterPolls(3), 1000), (Reaction::AfterSeconds(4), 5000)]
    {
        let host = host(plugged(reaction));
        let call = detach(&host);
        assert!(call.paused() <= most, "{}", call.paused());
        call.value();
        assert!(!host.simulation().here.find(UUID).unwrap().xml().contains("vdb"));
    }
}

#[test]
fn a_guest_that_holds_its_disk_fails_it() {
    let call = detach(&host(plugged(Reaction::Ignores)));
    assert_eq!(call.failure(), &Failure::busy(format!("Could not detach vdb from {UUID}")));
}

#[test]
fn a_disk_that_is_not_there_is_detached() {
    let call = detach(&host(running(&with_devices(""))));
    assert_eq!(call.names(), ["libvirt.xml"]);
    call.value();
    let call = detach(&host(empty()));
    assert_eq!(call.failure().kind, FailureKind::NotFound);
}

#[test]
fn a_detach_whose_answer_is_lost_counts_by_what_it_did() {
    let host = host(plugged(Reaction::AfterPolls(0)).losing("libvirt.unplug-device", 1, Failure::unknown("lost")));
    detach(&host).value();
}
