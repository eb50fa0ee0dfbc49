//! oned's document of an action, through the actions of vmm/kvm: whatever users have written into it, nothing
//! happens outside of what the driver is granted.

use std::sync::OnceLock;

use remotes_effect::policy::check_domain_document;
use remotes_sdk::testing::{Host, Image, Simulation, State};
use remotes_sdk::vm::Action;
use remotes_sdk::{Failure, Vmm as _};
use vmm_kvm::Kvm;

use super::{SHIPPED, shipped};

const UUID: &str = "64d22b1a-1812-4841-ba2f-39a123ed6898";
const FOLDER: &str = "/var/lib/one//datastores/101/1";
const FOREIGN: &str = "<domain type='kvm'><name>db-1</name><uuid>6c1a0d5e-0b1c-4b8e-9d55-7c0f3a1e2d4b</uuid></domain>";

/// Words of it.
pub const WORDS: &[&str] = &[
    "<VMM_DRIVER_ACTION_DATA>",
    "</VMM_DRIVER_ACTION_DATA>",
    "<VM>",
    "<ID>1</ID>",
    "<TEMPLATE>",
    "<DISK>",
    "</DISK>",
    "<ATTACH>YES</ATTACH>",
    "<DISK_ID>0</DISK_ID>",
    "<TARGET>vdb</TARGET>",
    "<SOURCE>",
    "<TYPE>BLOCK</TYPE>",
    "RBD",
    "<TYPE>ISCSI</TYPE>",
    "<TYPE>GLUSTER</TYPE>",
    "CDROM",
    "<DRIVER>raw</DRIVER>",
    "<CACHE>",
    "<IO>",
    "<DISCARD>",
    "<READONLY>YES</READONLY>",
    "<NIC>",
    "<BRIDGE>",
    "<BRIDGE_TYPE>openvswitch_dpdk</BRIDGE_TYPE>",
    "<MODEL>",
    "<MAC>",
    "<FILTER>",
    "<SCRIPT>",
    "<VROUTER>",
    "<PCI>",
    "<SHORT_ADDRESS>00:01.0</SHORT_ADDRESS>",
    "<TYPE>NIC</TYPE>",
    "<BASE_PATH>",
    "<TM_MAD>",
    "<MEMORY>",
    "<VCPU>",
    "<RESIZE>",
    "<SNAPSHOT>",
    "<HYPERVISOR_ID>",
    "<![CDATA[",
    "]]>",
    "/etc/shadow",
    "../../../etc/shadow",
    "/var/lib/one//datastores/101/1/disk.0",
    "'/><source file='/etc/shadow",
    "'",
    "\"",
    "<",
    ">",
    "&lt;",
    "&apos;",
    "\n",
    "db-1",
    "json:{}",
    "-1",
    "18446744073709551616",
    "1.5",
    "NaN",
    "0x1",
];

fn world() -> &'static Simulation {
    static WORLD: OnceLock<Simulation> = OnceLock::new();
    WORLD.get_or_init(|| {
        let domain = format!(
            "<domain type='kvm'><name>one-1</name><uuid>{UUID}</uuid><memory>1048576</memory>\
             <currentMemory>65536</currentMemory><vcpu current='1'>8</vcpu><os><type>hvm</type></os><devices>\
             <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{FOLDER}/disk.0'/>\
             <target dev='vda'/></disk><disk type='file' device='cdrom'><target dev='sda'/><readonly/></disk>\
             <interface type='ethernet'><mac address='02:00:00:00:00:01'/></interface></devices><metadata>\
             <one:vm xmlns:one='http://opennebula.org/xmlns/libvirt/1.0'><one:system_datastore>{FOLDER}\
             </one:system_datastore></one:vm></metadata></domain>"
        );
        Simulation::new()
            .configuration("LIBVIRT_URI", "qemu:///system")
            .configuration("SHUTDOWN_TIMEOUT", "10")
            .configuration("SYNC_TIME", "no")
            .domain(&domain, State::Running)
            .domain(FOREIGN, State::Running)
            .here(|machine| machine.image("/var/lib/one/datastores/101/1/disk.0", Image::new("qcow2", 1 << 26)))
            .file("/var/lib/one/datastores/101/1/disk.1", "medium")
            .file("/var/lib/one/datastores/101/1/disk.2", "disk")
            .file("/etc/shadow", "secret")
            .policy(shipped().clone())
    })
}

/// Calls every action that reads the document, each on a host of its own.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(action) = Action::parse(text) {
        let folder = action.directory();
        assert!(folder.is_none_or(|folder| folder.ends_with(&format!("/{}", action.vm_id().unwrap()))));
    }
    let document = || text.to_owned();
    let id = || UUID.to_owned();
    let word = |text: &str| text.to_owned();
    let file = |name: &str| format!("{FOLDER}/{name}");
    call(|| Kvm::attach_disk(id(), file("disk.2"), word("vdb"), 1, document()));
    call(|| Kvm::detach_disk(id(), file("disk.0"), word("vda"), 0, document()));
    call(|| Kvm::attach_nic(id(), word("-"), word("-"), word("-"), word("-"), word("-"), document()));
    call(|| Kvm::detach_nic(id(), word("02:00:00:00:00:01"), document()));
    call(|| Kvm::prereconfigure(id(), word("sda"), document()));
    call(|| Kvm::reconfigure(id(), word("sda"), file("disk.1"), document()));
    call(|| Kvm::resize(id(), document()));
    call(|| Kvm::resize_disk(id(), 0, 128, document()));
    call(|| Kvm::snapshot_create(id(), 0, document()).map(drop));
    call(|| Kvm::save(id(), file("checkpoint"), word("node1"), 1, document()));
    call(|| Kvm::shutdown(id(), word("node1"), document()));
    call(|| Kvm::cancel(id(), word("node1"), document()));
    call(|| Kvm::deploy(file("deployment.0"), document(), word("node1")).map(drop));
}

fn call(action: impl FnOnce() -> Result<(), Failure>) {
    thread_local! {
        static HOST: Host = Host::new(Simulation::new(), SHIPPED);
    }
    let after = HOST.with(|host| {
        host.change(|_| world().clone());
        assert!(host.call(action).result.is_some());
        host.simulation()
    });
    let before = world();
    assert_eq!(after.here.find("db-1"), before.here.find("db-1"));
    assert_eq!(after.here.text("/etc/shadow"), Some("secret"));
    // What the driver has built of the document is within the grants, too.
    for domain in after.domains().filter(|domain| domain.name != "db-1") {
        let grant = shipped().libvirt.as_ref().unwrap();
        let granted = check_domain_document(grant, &shipped().paths, domain.xml());
        granted.unwrap_or_else(|failure| panic!("{failure}: {}", domain.xml()));
    }
}
