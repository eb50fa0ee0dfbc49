//! Descriptions for the hypervisor: what the policy of vmm/kvm takes is held against what libvirt itself makes
//! of it. Its test driver reads a description as the driver for QEMU does, and keeps what it has understood.

use std::cell::RefCell;

use remotes_effect::policy::{check_document, check_domain_document};
use remotes_effect::types::FailureKind;
use virt::connect::Connect;
use virt::domain::Domain;

use super::shipped;

/// Words of it.
pub const WORDS: &[&str] = &[
    "<domain type='kvm'>",
    "</domain>",
    "<name>one-2</name>",
    "<name>db-1</name>",
    "<devices>",
    "</devices>",
    "<os>",
    "<kernel>",
    "</kernel>",
    "<initrd>",
    "<nvram>",
    "</nvram>",
    "<loader readonly='yes' type='pflash'>",
    "</loader>",
    "<disk type='file'>",
    "<disk type='block'>",
    "<disk type='network'>",
    "<disk type='volume'>",
    "</disk>",
    "<source",
    " file='/etc/shadow'",
    " dev='/dev/sda'",
    " dir='/etc'",
    " path='/etc/x'",
    " protocol='nbd' name='x'",
    "<readonly/>",
    " pool='p' volume='v'",
    "<target dev='vdz'/>",
    "<backingStore type='file'>",
    "</backingStore>",
    "<mirror type='file'>",
    "<filesystem type='mount'><source dir='/'/><target dir='r'/></filesystem>",
    "<emulator>/bin/sh</emulator>",
    "<b>",
    "<hostdev mode='subsystem' type='usb'><source><vendor id='1'/><product id='2'/></source></hostdev>",
    "</b>",
    "<interface type='hostdev'>",
    "<script path='/tmp/x'/>",
    "<serial type='file'>",
    "<log file='/etc/x'/>",
    "<metadata>",
    "<rng model='virtio'><backend model='random'>/etc/shadow</backend></rng>",
    "</metadata>",
    " x:type='hostdev'",
    "<graphics type='vnc' socket='/x'/>",
    "<input type='passthrough'><source evdev='/dev/x'/></input>",
    " x:protocol='nbd'",
    "<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><qemu:arg value='-S'/></qemu:commandline>",
    " xmlns:x='y'",
    "x:",
    "xmlns='y'",
    "<![CDATA[",
    "]]>",
    "<!-- ",
    " -->",
    "<?x y?>",
    "&#47;",
    "/",
    "..",
    "../",
    "/etc/",
    "/var/lib/one/datastores/0/1/",
    "/usr/share/OVMF/x",
    "etc/shadow",
    "<!DOCTYPE d [<!ENTITY e '/etc/x'>]>",
    "&e;",
    "<vcpu>4000000000</vcpu>",
    "<iothreads>9999</iothreads>",
    " controller='100000'",
    " index='4294967295'",
    "4294967295",
    "<?xml version='1.0' encoding='UTF-7'?>",
    "encoding='utf-8'",
    "<seclabel type='none'/>",
    "<cdrom>",
    " device='cdrom'",
];

/// Folders that the policy grants.
const GRANTED: &[&str] = &[
    "/var/lib/one/datastores/",
    "/usr/share/OVMF/",
    "/usr/share/AAVMF/",
    "/usr/share/edk2/",
    "/usr/share/qemu/",
    "/sys/bus/pci/devices/",
    "/sys/devices/",
    "/var/run/one/",
];
/// Devices and programs that it grants.
const NAMED: &[&str] =
    &["/dev/random", "/dev/urandom", "/usr/bin/qemu-", "/usr/libexec/qemu-kvm", "/var/tmp/one/vmm/kvm/"];

/// What the policy takes for harmless, libvirt does not take for anything else.
pub fn run(data: &[u8]) {
    let Ok(xml) = std::str::from_utf8(data) else { return };
    let (grant, paths) = (shipped().libvirt.as_ref().unwrap(), &shipped().paths);
    let whole = check_domain_document(grant, paths, xml);
    let part = check_document(grant, paths, xml);
    for failure in [&whole, &part].into_iter().filter_map(|result| result.as_ref().err()) {
        assert!(matches!(failure.kind, FailureKind::Denied | FailureKind::Invalid), "{failure}");
    }
    let understood = match (whole, part) {
        (Ok(_), Ok(_)) => understood(xml),
        (Ok(_), Err(failure)) => panic!("a domain that is granted as a whole only: {failure}"),
        // A device, as it would stand in a domain.
        (Err(_), Ok(_)) if !xml.trim_start().starts_with(['?', '\u{feff}']) && !xml.contains("<?xml") => {
            understood(&format!(
                "<domain type='kvm'><name>one-1</name><memory>1</memory><os><type>hvm</type></os>\
                 <devices>{xml}</devices></domain>"
            ))
        }
        _ => None,
    };
    let Some(understood) = understood else { return };
    check_domain_document(grant, paths, &understood).unwrap_or_else(|failure| panic!("{failure}\n{understood}"));
    if let Some(name) = reached(&understood) {
        panic!("{name:?} is not granted\n{understood}");
    }
}

/// The description that libvirt keeps of this one; none where it refuses it.
fn understood(xml: &str) -> Option<String> {
    thread_local! {
        static CONNECTION: RefCell<Option<Connect>> = const { RefCell::new(None) };
    }
    CONNECTION.with_borrow_mut(|connection| {
        let connection = connection.get_or_insert_with(|| {
            virt::error::clear_error_callback();
            Connect::open(Some("test:///default")).expect("libvirt's test driver")
        });
        let domain = Domain::define_xml(connection, xml).ok()?;
        let kept = domain.get_xml_desc(0).ok();
        let flags = virt::sys::VIR_DOMAIN_UNDEFINE_KEEP_NVRAM;
        domain.undefine().or_else(|_| domain.undefine_flags(flags)).expect("a domain can be undefined");
        kept
    })
}

/// The first name in libvirt's own description of something that is not granted: as simple as it gets, and
/// without what the policy knows of elements.
fn reached(understood: &str) -> Option<String> {
    let start = understood.find("<metadata").unwrap_or(understood.len());
    let end = understood.rfind("</metadata>").unwrap_or(start);
    let shown = [&understood[..start], &understood[end..]].concat();
    let prose = |piece: &str| ["title", "description"].iter().any(|name| shown.contains(&format!("<{name}>{piece}</")));
    let mut plain = shown.replace("</", "<");
    while plain.contains("//") {
        plain = plain.replace("//", "/");
    }
    let mut pieces = plain.split(['\'', '"', '<', '>']).map(str::trim);
    let found = pieces.find(|piece| {
        let granted = GRANTED.iter().chain(NAMED).any(|granted| piece.starts_with(granted));
        let climbs = piece.split('/').any(|part| part == "..");
        piece.starts_with('/') && piece.len() > 1 && (climbs || !granted) && !prose(piece)
    });
    found.map(str::to_owned)
}
