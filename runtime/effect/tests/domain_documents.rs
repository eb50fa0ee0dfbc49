//! Documents for the hypervisor, under the policy that vmm/kvm is shipped with.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use remotes_effect::policy::{Policy, check_document, check_domain_document};
use remotes_effect::types::{Failure, FailureKind};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn shipped() -> Policy {
    Policy::read(&repository().join("guests/vmm-kvm/policy.toml")).unwrap()
}

fn check(xml: &str) -> Result<(), Failure> {
    let policy = shipped();
    check_domain_document(policy.libvirt.as_ref().unwrap(), &policy.paths, xml)
}

fn device(xml: &str) -> Result<(), Failure> {
    let policy = shipped();
    check_document(policy.libvirt.as_ref().unwrap(), &policy.paths, xml)
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
        ("<devices><disk type='network'><source protocol='https' name='x'/></disk></devices>", "network-storage"),
        ("<devices><disk type='block'><source dev='dev/sda'/></disk></devices>", "absolute"),
        ("<devices><serial type='pty'><log file='etc/cron.d/x'/></serial></devices>", "absolute"),
        ("<devices><graphics type='vnc' socket='run/x'/></devices>", "absolute"),
        ("<devices><input type='passthrough'><source evdev='dev/input/event0'/></input></devices>", "absolute"),
        ("<devices><rng model='virtio'><backend model='random'>etc/shadow</backend></rng></devices>", "absolute"),
        ("<devices><memory model='nvdimm'><source><path>dev/sda</path></source></memory></devices>", "absolute"),
        ("<os><kernel>etc/shadow</kernel></os>", "absolute"),
        ("<os><nvram>etc/cron.d/x</nvram></os>", "absolute"),
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
        ("<devices><tpm><backend type='passthrough'><device path='/dev/tpm0'/></backend></tpm></devices>", "/dev"),
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

/// libvirt 9.0 was seen to put the parts together, and to take the attributes for plain ones.
#[test]
fn what_libvirt_reads_otherwise_is_refused() {
    for inner in [
        "<os><kernel>/var/lib/one/datastores/0/1/<b>../../../../../../etc/shadow</b></kernel></os>",
        "<os><nvram>/var/lib/one/datastores/0/1/<b>../../../../../../etc/cron.d/x</b></nvram></os>",
        "<devices><emulator>/usr/bin/qemu-system-x86_64<b>-evil</b></emulator></devices>",
        "<devices><interface x:type='hostdev' type='bridge' xmlns:x='u'/></devices>",
        "<devices><disk type='network'><source x:protocol='nbd' xmlns:x='u' name='x'/></disk></devices>",
        "<devices><disk type='volume'><source x:pool='p' xmlns:x='u' volume='v'/></disk></devices>",
    ] {
        let failure = check(&domain(inner)).expect_err(inner);
        assert_eq!(failure.kind, FailureKind::Invalid, "{inner}: {failure}");
        let xml = format!("<domainsnapshot>{inner}</domainsnapshot>");
        assert_eq!(device(&xml).expect_err(inner).kind, FailureKind::Invalid, "{inner}");
    }
}

/// The parser's work grows with the square of these.
#[test]
fn laborious_documents_of_devices_are_refused() {
    let attributes: String = (0..100_000).map(|number| format!("a{number}='' ")).collect();
    for xml in [format!("<disk {attributes}/>"), format!("<disk>{}</disk>", "<a/>".repeat(1 << 20))] {
        assert_eq!(device(&xml).unwrap_err().kind, FailureKind::Invalid);
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
