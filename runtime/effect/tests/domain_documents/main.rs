//! Documents for the hypervisor, under the policy that vmm/kvm is shipped with.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod host;
mod storage;

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
        ("<devices><filesystem type='mount'><source dir='/root'/></filesystem></devices>", "/root"),
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
        ("<resource><partition>/system</partition></resource>", "/system"),
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
