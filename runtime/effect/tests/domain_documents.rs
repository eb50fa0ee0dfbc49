//! Documents for the hypervisor, under the policy that vmm/kvm is shipped with.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use remotes_effect::libvirt::Scope;
use remotes_effect::policy::{Access, Policy, check_document, check_domain_document, named_images};
use remotes_effect::types::{Failure, FailureKind};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn shipped() -> Policy {
    Policy::read(&repository().join("guests/vmm-kvm/policy.toml")).unwrap()
}

fn check(xml: &str) -> Result<(), Failure> {
    let policy = shipped();
    check_domain_document(policy.libvirt.as_ref().unwrap(), &policy.paths, xml).map(drop)
}

fn device(xml: &str) -> Result<(), Failure> {
    let policy = shipped();
    check_document(policy.libvirt.as_ref().unwrap(), &policy.paths, xml).map(drop)
}

#[test]
fn what_oned_writes_is_granted() {
    let mut seen = 0;
    for entry in std::fs::read_dir(repository().join("tests/golden/frontend/vmm")).unwrap() {
        let path = entry.unwrap().path();
        if !path.file_name().unwrap().to_str().unwrap().starts_with("kvm-deploy") {
            continue;
        }
        let call: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        check(call["stdin"].as_str().unwrap()).unwrap_or_else(|failure| panic!("{}: {failure}", path.display()));
        seen += 1;
    }
    assert!(seen > 0, "there are recorded deployment files");
}

fn domain(inner: &str) -> String {
    format!(
        "<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><name>one-1</name>{inner}</domain>"
    )
}

#[test]
fn what_a_cloud_uses_is_granted() {
    for inner in [
        "<devices><disk type='file' device='cdrom'><source file='/usr/share/qemu/x.iso'/><readonly/></disk></devices>",
        "<devices><disk type='network'><source protocol='rbd' name='one/one-sys-1-0'><host name='mon1'/></source></disk></devices>",
        "<os firmware='efi'><loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader><nvram template='/usr/share/OVMF/OVMF_VARS.fd'>/var/lib/one//datastores/0/1/x_VARS.fd</nvram></os>",
        "<devices><rng model='virtio'><backend model='random'>/dev/urandom</backend></rng></devices>",
        "<devices><interface type='direct'><source dev='eth0' mode='bridge'/></interface></devices>",
        "<devices><filesystem type='mount'><driver type='virtiofs'/><binary path='/var/tmp/one/vmm/kvm/virtiofsd.sh'/><source dir='/var/lib/one/datastores/5/a'/></filesystem></devices>",
        "<devices><hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x0' bus='0x1' slot='0x0' function='0x0'/></source></hostdev></devices>",
        "<devices><interface type='vhostuser'><source type='unix' path='/var/run/one/vhost-socks/one-1-0' mode='server'/></interface></devices>",
        "<metadata><x:y xmlns:x='z'>/etc/shadow</x:y></metadata>",
        "<title>/etc/passwd</title>",
        "<devices><graphics type='vnc' passwd='/aB3/x'/></devices>",
        "<devices><disk><auth username='a/b'><secret type='iscsi' usage='one/iscsi'/></auth></disk></devices>",
        "<os><cmdline>root=/dev/vda1 init=/bin/sh</cmdline></os>",
    ] {
        check(&domain(inner)).unwrap_or_else(|failure| panic!("{inner}: {failure}"));
    }
}

#[test]
fn what_reaches_past_the_machine_is_denied() {
    for (inner, says) in [
        ("<devices><disk type='file'><source file='/etc/shadow'/></disk></devices>", "/etc"),
        ("<devices/><devices><disk type='block'><source dev='/dev/sda'/></disk></devices>", "/dev"),
        ("<devices><disk type='file'><source file='&#47;etc/shadow'/></disk></devices>", "/etc"),
        ("<devices><disk type='file'><source file='json:{}'/></disk></devices>", "absolute"),
        ("<devices><disk type='file'><source file='var/x'/></disk></devices>", "absolute"),
        ("<devices><disk type='file'><source file='/var/lib/one/datastores/../../../etc/x'/></disk></devices>", ".."),
        ("<devices><disk type='file'><source file='/usr/share/OVMF/x'/></disk></devices>", "read-only"),
        ("<readonly/><devices><readonly/><disk><source file='/usr/share/OVMF/x'/></disk></devices>", "read-only"),
        ("<devices><disk type='network'><source protocol='nbd' name='x'/></disk></devices>", "network-storage"),
        ("<devices><disk type='volume'><source pool='default' volume='x'/></disk></devices>", "network-storage"),
        ("<devices><serial type='file'><source path='etc/x'/></serial></devices>", "absolute"),
        ("<devices><disk><source file=' /etc/shadow'/></disk></devices>", "absolute"),
        ("<os><kernel> /boot/vmlinuz </kernel></os>", "/boot"),
        ("<devices><disk type='network'><source protocol='https' name='x'/></disk></devices>", "network-storage"),
        ("<devices><hostdev mode='subsystem' type='usb'/></devices>", "host-devices"),
        ("<devices><hostdev mode='capabilities'/></devices>", "host-devices"),
        ("<devices><filesystem type='mount'><source dir='/'/><target dir='r'/></filesystem></devices>", "not below"),
        ("<devices><filesystem type='mount'><source dir='/root'/></filesystem></devices>", "paths"),
        ("<devices><emulator>/tmp/evil</emulator></devices>", "programs"),
        ("<devices><emulator>/usr/bin/qemu-system-../../../tmp/evil</emulator></devices>", "programs"),
        ("<devices><emulator><![CDATA[/bin/sh]]></emulator></devices>", "programs"),
        ("<devices><filesystem><binary path='/var/lib/one/datastores/0/1/evil'/></filesystem></devices>", "programs"),
        (
            "<devices><interface type='ethernet'><script path='/var/lib/one/datastores/0/1/up'/></interface></devices>",
            "programs",
        ),
        ("<devices><tpm><backend type='passthrough'><device path='/dev/tpm0'/></backend></tpm></devices>", "tpm"),
        ("<devices><serial type='file'><source path='/etc/cron.d/x'/></serial></devices>", "/etc"),
        ("<devices><graphics type='spice'><gl rendernode='/dev/dri/renderD128'/></graphics></devices>", "/dev/dri"),
        ("<qemu:commandline><qemu:arg value='-monitor'/></qemu:commandline>", "emulator-options"),
        ("<q:commandline xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'/>", "emulator-options"),
        ("<commandline xmlns='http://libvirt.org/schemas/domain/qemu/1.0'/>", "emulator-options"),
        ("<devices><metadata><source file='/etc/shadow'/></metadata></devices>", "/etc"),
        ("<seclabel type='none'/>", "seclabel"),
        ("<os><kernel>/boot/vmlinuz</kernel></os>", "/boot"),
    ] {
        let failure = check(&domain(inner)).expect_err(inner);
        assert_eq!(failure.kind, FailureKind::Denied, "{inner}: {failure}");
        assert!(failure.message.contains(says), "{inner}: {failure}");
    }
}

/// A disk, an interface, … inside `<devices>`.
fn inside(device: &str) -> String {
    domain(&format!("<devices>{device}</devices>"))
}

/// Every one of these was granted once.
#[test]
fn paths_that_do_not_look_so_are_denied() {
    for (device, says) in [
        ("<disk type='block'><source dev='dev/sda'/></disk>", "absolute"),
        ("<disk type='file'><backingStore type='block'><source dev='dev/sda'/></backingStore></disk>", "absolute"),
        ("<filesystem type='block'><source dev='dev/sda'/></filesystem>", "absolute"),
        ("<filesystem><source socket='run/x'/></filesystem>", "absolute"),
        ("<interface type='vdpa'><source dev='dev/vhost-vdpa-0'/></interface>", "absolute"),
        ("<interface type='bridge'><rom file='etc/shadow'/></interface>", "absolute"),
        ("<interface type='bridge'><rom file='vmlinuz'/></interface>", "absolute"),
        ("<interface type='bridge'><backend tap='dev/sda' vhost='x'/></interface>", "absolute"),
        ("<interface type='bridge'><target dev='../x'/></interface>", "absolute"),
        ("<serial type='pty'><log file='etc/cron.d/x'/></serial>", "absolute"),
        ("<rng><backend model='random'>dev/sda</backend></rng>", "absolute"),
        ("<input type='passthrough'><source evdev='dev/input/event0'/></input>", "absolute"),
        ("<input type='evdev'><source dev='dev/input/event0'/></input>", "absolute"),
        ("<graphics type='vnc' socket='run/x'/>", "absolute"),
        ("<graphics type='vnc' keymap='etc/shadow'/>", "absolute"),
        ("<graphics type='spice'><gl rendernode='dev/dri/renderD128'/></graphics>", "absolute"),
        ("<audio id='1' type='file' path='etc/x'/>", "absolute"),
        ("<memory model='nvdimm'><source><path>dev/dax0.0</path></source></memory>", "absolute"),
        ("<pstore backend='acpi-erst'><path>etc/x</path></pstore>", "absolute"),
        ("<lease><target path='etc/x'/></lease>", "absolute"),
        ("<channel type='unix'><target type='virtio' name='../../../../etc/x'/></channel>", "name"),
        ("<disk type='network'><source protocol='rbd' name='x'><config file='etc/x'/></source></disk>", "absolute"),
        ("<disk type='network'><source protocol='rbd' name='x'><host socket='run/x'/></source></disk>", "absolute"),
    ] {
        let failure = check(&inside(device)).expect_err(device);
        assert_eq!(failure.kind, FailureKind::Denied, "{device}: {failure}");
        assert!(failure.message.contains(says), "{device}: {failure}");
    }
    for (inner, says) in [
        ("<os><kernel>boot/vmlinuz</kernel></os>", "absolute"),
        ("<os><initrd>boot/initrd</initrd></os>", "absolute"),
        ("<os><dtb>etc/x</dtb></os>", "absolute"),
        ("<os><loader>etc/x</loader></os>", "absolute"),
        ("<os><nvram template='etc/shadow'/></os>", "absolute"),
        ("<os><nvram>etc/x</nvram></os>", "absolute"),
        ("<os><nvram type='block'><source dev='dev/sda'/></nvram></os>", "absolute"),
        ("<os><acpi><table type='slic'>etc/shadow</table></acpi></os>", "absolute"),
        ("<os><shim>boot/shim</shim></os>", "absolute"),
        ("<sysinfo type='fwcfg'><entry name='opt/x' file='etc/shadow'/></sysinfo>", "absolute"),
        // libvirt reads the text of all that is within.
        ("<os><kernel><a>boot/</a>vmlinuz</kernel></os>", "absolute"),
        ("<os><kernel>/var/lib/one/datastores<a>-evil/x</a></kernel></os>", "-evil"),
        ("<os><kernel><a>/var/lib/one/datastores</a><b>-evil/x</b></kernel></os>", "-evil"),
        ("<devices><emulator>/usr/bin/qemu-kvm<a>x</a></emulator></devices>", "programs"),
        ("<resource><partition>/system</partition></resource>", "paths"),
        ("<os><nvram>/var/lib/libvirt/qemu/nvram/one-10_VARS.fd</nvram></os>", "paths"),
        ("<os><loader>/var/lib/libvirt/qemu/nvram/one-1_VARS.fd</loader></os>", "paths"),
        ("<devices><domain><metadata><source file='/etc/shadow'/></metadata></domain></devices>", "/etc"),
    ] {
        let failure = check(&domain(inner)).expect_err(inner);
        assert_eq!(failure.kind, FailureKind::Denied, "{inner}: {failure}");
        assert!(failure.message.contains(says), "{inner}: {failure}");
    }
}

/// libvirt takes the first attribute of a local name, whatever its namespace.
#[test]
fn namespaces_hide_no_attribute() {
    for (device, kind) in [
        ("<hostdev xmlns:x='y' x:type='usb' type='pci'/>", FailureKind::Invalid),
        ("<disk xmlns:x='y' type='network'><source x:protocol='nbd' name='x'/></disk>", FailureKind::Denied),
        ("<disk xmlns:x='y'><source x:file='etc/shadow'/></disk>", FailureKind::Denied),
        ("<disk xmlns:x='y'><source x:pool='p' volume='v'/></disk>", FailureKind::Denied),
        ("<interface xmlns:x='y' x:type='hostdev'/>", FailureKind::Denied),
        ("<filesystem xmlns:x='y'><binary x:path='/tmp/evil'/></filesystem>", FailureKind::Denied),
        ("<x:hostdev xmlns:x='y' type='usb'/>", FailureKind::Invalid),
        ("<x:emulator xmlns:x='y'>/tmp/evil</x:emulator>", FailureKind::Invalid),
        // The one libvirt takes is the other.
        ("<disk><x:driver xmlns:x='y' type='raw'/><driver type='qcow2'/></disk>", FailureKind::Invalid),
        ("<tpm xmlns:x='y'><backend x:type='passthrough'/></tpm>", FailureKind::Denied),
    ] {
        let xml = match device.contains("x:type='hostdev'") {
            // Only pci is granted, so take that away.
            true => device.replace("hostdev", "user"),
            false => device.to_owned(),
        };
        let failure = check(&inside(&xml)).expect_err(&xml);
        assert_eq!(failure.kind, kind, "{xml}: {failure}");
    }
}

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

/// libvirt takes the text of an element together with that of the elements inside.
#[test]
fn text_in_pieces_is_taken_together() {
    for inner in [
        "<os><kernel>/var/lib/one/datastores/0/1/<b>../../../../../../etc/shadow</b></kernel></os>",
        "<os><nvram>/var/lib/one/datastores/0/1/<b>../../../../../../etc/cron.d/x</b></nvram></os>",
        "<os><kernel>/var/lib/one/datastores/0/1/.<![CDATA[.]]>/<!-- -->../../../../etc/shadow</kernel></os>",
        "<devices><emulator>/usr/bin/qemu-system-x86_64<b>/../../../tmp/evil</b></emulator></devices>",
    ] {
        check(&domain(inner)).expect_err(inner);
        device(&format!("<domainsnapshot>{inner}</domainsnapshot>")).expect_err(inner);
    }
}

#[test]
fn what_belongs_to_the_host_has_to_be_granted() {
    for (device, kind) in [
        ("<disk type='nvme'><source type='pci' namespace='1'><address bus='0x1'/></source></disk>", "pci"),
        ("<disk><backingStore type='nvme'><source type='pci' namespace='1'/></backingStore></disk>", "pci"),
        ("<disk type='block' device='lun'/>", "scsi"),
        ("<disk type='block' rawio='yes'/>", "scsi"),
        ("<disk type='block' sgio='unfiltered'/>", "scsi"),
        ("<interface type='user'/>", "host-network"),
        ("<interface><mac address='02:00:00:00:00:01'/></interface>", "host-network"),
        ("<interface type='server'><source address='0.0.0.0' port='1'/></interface>", "host-network"),
        ("<interface type='client'/>", "host-network"),
        ("<interface type='mcast'/>", "host-network"),
        ("<interface type='udp'/>", "host-network"),
        (
            "<interface type='ethernet'><source><route address='0.0.0.0' gateway='10.0.0.1'/></source></interface>",
            "host-network",
        ),
        ("<interface type='ethernet'><source><ip address='10.0.0.1'/></source></interface>", "host-network"),
        ("<serial type='tcp'><source mode='connect' host='10.0.0.1' service='22'/></serial>", "host-network"),
        ("<rng><backend model='egd' type='udp'><source mode='bind' service='9'/></backend></rng>", "host-network"),
        ("<interface type='hostdev'><driver name='vfio' model='x'/></interface>", "module"),
        ("<hostdev type='pci'><driver name='vfio' model='evil_module'/></hostdev>", "module"),
        ("<tpm><backend type='passthrough'/></tpm>", "tpm"),
        ("<smartcard mode='host'/>", "smartcard"),
        ("<smartcard mode='host-certificates'><certificate>a</certificate></smartcard>", "smartcard"),
        ("<shmem name='x'/>", "shmem"),
        ("<vsock><cid auto='yes'/></vsock>", "vsock"),
        ("<audio id='1' type='alsa'/>", "audio"),
        ("<audio id='1' type='pulseaudio' serverName='10.0.0.1'/>", "audio"),
        ("<graphics type='spice'><gl enable='yes'/></graphics>", "gpu"),
        ("<graphics type='egl-headless'/>", "gpu"),
        ("<video><driver name='vhostuser'/></video>", "gpu"),
        ("<graphics type='sdl'/>", "display"),
        ("<graphics type='dbus' address='unix:path=x'/>", "display"),
        ("<redirdev type='tcp'/>", "redirdev"),
        ("<seclabel type='static'/>", "seclabel"),
        ("<interface type='direct'><source dev='eth0' mode='passthrough'/></interface>", "passthrough"),
        ("<interface type='vhostuser'><backend type='passt'/></interface>", "host-network"),
        ("<interface type='vhostuser'><portForward proto='tcp'/></interface>", "host-network"),
        ("<watchdog model='i6300esb' action='dump'/>", "coredump"),
    ] {
        let mut policy = shipped();
        policy.libvirt.as_mut().unwrap().host_devices.retain(|granted| granted != "pci" || kind == "module");
        let xml = inside(device);
        let of = |policy: &Policy| check_domain_document(policy.libvirt.as_ref().unwrap(), &policy.paths, &xml);
        let failure = of(&policy).expect_err(device);
        assert_eq!(failure.kind, FailureKind::Denied, "{device}: {failure}");
        assert!(failure.message.contains(&format!("{kind:?} in host-devices")), "{device}: {failure}");
        // Granted, it passes: no other rule had a hand in it.
        policy.libvirt.as_mut().unwrap().host_devices.extend([kind.to_owned(), "pci".to_owned()]);
        of(&policy).unwrap_or_else(|failure| panic!("{device}: {failure}"));
    }
}

/// What libvirt adds to the description of a running domain comes back in checkpoints and snapshots.
#[test]
fn what_libvirt_adds_by_itself_is_granted() {
    for inner in [
        "<resource><partition>/machine</partition></resource>",
        "<seclabel type='dynamic' model='apparmor' relabel='yes'/>",
        "<seclabel type='dynamic' model='selinux' relabel='yes'><label>system_u:system_r:svirt_t:s0:c1,c2</label>\
         <imagelabel>system_u:object_r:svirt_image_t:s0:c1,c2</imagelabel></seclabel>",
        "<os firmware='efi'><nvram template='/usr/share/OVMF/OVMF_VARS.fd'>/var/lib/libvirt/qemu/nvram/one-1_VARS.fd</nvram></os>",
        "<launchSecurity type='sev'><dhCert>/AbC=</dhCert><session>/x+/y=</session></launchSecurity>",
        "<sysinfo type='fwcfg'><entry name='opt/org.example/x'>/some text</entry></sysinfo>",
        "<devices><redirdev bus='usb' type='spicevmc'/><channel type='spicevmc'>\
         <target type='virtio' name='com.redhat.spice.0'/></channel></devices>",
        "<devices><interface type='bridge'><filterref filter='clean-traffic'>\
         <parameter name='IP' value='10.0.0.0/24'/></filterref><rom file=''/></interface></devices>",
        "<devices><filesystem><source dir='/var/lib/one/datastores/5'/><target dir='tag/x'/></filesystem></devices>",
        "<devices><disk type='network'><source protocol='iscsi' name='iqn.2013-07.com.example:x/1'/></disk></devices>",
        "<devices><audio id='1' type='none'/><audio id='2' type='spice'/><graphics type='vnc' keymap='en-us'/></devices>",
        "<devices><tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm></devices>",
        "<os><nvram>\n  <source/>\n</nvram></os>",
    ] {
        check(&domain(inner)).unwrap_or_else(|failure| panic!("{inner}: {failure}"));
        let snapshot = format!("<domainsnapshot>{}</domainsnapshot>", domain(inner));
        device(&snapshot).unwrap_or_else(|failure| panic!("{inner} in a snapshot: {failure}"));
    }
    // What looks like it and is not.
    for inner in [
        "<seclabel type='dynamic' relabel='no'/>",
        "<seclabel type='dynamic'><baselabel>unconfined_u:unconfined_r:unconfined_t:s0</baselabel></seclabel>",
        "<seclabel/>",
        "<devices><disk><source file='/var/lib/one/datastores/0/1/x'><seclabel type='dynamic'/></source></disk></devices>",
        "<devices><session>/etc/shadow</session></devices>",
        "<devices><entry>/etc/shadow</entry></devices>",
    ] {
        check(&domain(inner)).expect_err(inner);
    }
}

/// libvirt 9.0 was seen to work at each of these for minutes, or to be ended by it.
#[test]
fn amounts_that_no_machine_has_are_refused() {
    for inner in [
        "<vcpu>4000000000</vcpu>",
        "<vcpu current='1'>100000000</vcpu>",
        "<iothreads>4294967290</iothreads>",
        "<devices><disk type='file'><target dev='hdaaaa'/></disk></devices>",
        "<devices><disk type='file'><target dev='sdaaaaaaaa' bus='scsi'/></disk></devices>",
        "<devices><disk type='file'><address type='drive' controller='100000'/></disk></devices>",
        "<devices><hostdev type='pci'><address type='drive' controller='100000'/></hostdev></devices>",
        "<devices><controller type='pci' index='2000000000' model='pcie-root-port'/></devices>",
        "<devices><controller type='virtio-serial' ports='2000000000'/></devices>",
        "<devices><interface type='bridge'><driver name='vhost' queues='4000000000'/></interface></devices>",
    ] {
        let failure = check(&domain(inner)).expect_err(inner);
        assert_eq!(failure.kind, FailureKind::Invalid, "{inner}: {failure}");
        device(&format!("<domainsnapshot><domain>{inner}</domain></domainsnapshot>")).expect_err(inner);
    }
    for inner in [
        "<vcpu current='1'>4096</vcpu><iothreads> 16 </iothreads>",
        "<devices><interface type='bridge'><acpi index='16383'/></interface></devices>",
        "<clock offset='timezone' timezone='Europe/Paris'/>",
        "<devices><disk type='block'><target dev='xvdzzz12'/><address type='drive' controller='63'/></disk></devices>",
    ] {
        check(&domain(inner)).unwrap_or_else(|failure| panic!("{inner}: {failure}"));
    }
}

/// What goes may name anything, but not any number.
#[test]
fn what_is_detached_is_bounded() {
    let policy = shipped();
    let detach = |xml: &str| {
        let (on, domain) = (remotes_effect::types::Node::Here, "one-7".to_owned());
        let effect =
            remotes_effect::libvirt::Effect::DetachDevice { on, domain, xml: xml.to_owned(), scope: Scope::Live };
        policy.check(&remotes_effect::Effect::Libvirt(effect))
    };
    detach("<disk type='file'><source file='/elsewhere'/></disk>").unwrap();
    detach("<controller type='pci' index='2000000000'/>").unwrap_err();
    detach("<disk").unwrap_err();
}

#[test]
fn machines_do_not_come_before_their_host() {
    for inner in [
        "<cputune><vcpusched vcpus='0' scheduler='fifo' priority='99'/></cputune>",
        "<cputune><emulatorsched scheduler='rr' priority='1'/></cputune>",
        "<memoryBacking><locked/></memoryBacking>",
        "<on_crash>coredump-restart</on_crash>",
        "<on_crash> coredump-destroy</on_crash>",
    ] {
        let failure = check(&domain(inner)).expect_err(inner);
        assert_eq!(failure.kind, FailureKind::Denied, "{inner}: {failure}");
    }
    check(&domain("<cputune><vcpusched vcpus='0' scheduler='batch'/></cputune><on_crash>restart</on_crash>")).unwrap();
}

#[test]
fn documents_of_devices_are_bounded_too() {
    let attributes: String = (0..300).map(|number| format!(" a{number}='x'")).collect();
    for xml in [format!("<disk{attributes}/>"), format!("<disk>{}</disk>", " ".repeat(1 << 20))] {
        let failure = device(&xml).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Invalid, "{failure}");
    }
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

proptest! {
    /// Nor does a relative path get by: the root folder is where the hypervisor is.
    #[test]
    fn a_relative_path_is_found_in_any_attribute(outer in "[a-z]{1,8}", inner in "[a-z]{1,8}", attribute in "[a-z]{1,8}") {
        prop_assume!(outer != "metadata");
        prop_assume!(!["name", "query", "value", "address"].contains(&attribute.as_str()));
        prop_assume!(inner != "target" || attribute != "dir");
        let xml = domain(&format!("<{outer}><{inner} {attribute}='etc/shadow'/></{outer}>"));
        prop_assert!(check(&xml).is_err(), "{}", xml);
    }

    /// No element or attribute hides a path: wherever a foreign one is put, the document is refused.
    #[test]
    fn a_foreign_path_is_found_anywhere(outer in "[a-z]{1,8}", inner in "[a-z]{1,8}", attribute in "[a-z]{1,8}") {
        prop_assume!(outer != "metadata" && !["title", "description", "name"].contains(&inner.as_str()));
        for xml in [
            format!("<{outer}><{inner} {attribute}='/etc/shadow'/></{outer}>"),
            format!("<{outer}><{inner}>/etc/shadow</{inner}></{outer}>"),
            format!("<{outer}><{inner}><![CDATA[/etc/shadow]]></{inner}></{outer}>"),
        ] {
            prop_assert!(check(&domain(&xml)).is_err(), "{}", xml);
        }
    }
}
