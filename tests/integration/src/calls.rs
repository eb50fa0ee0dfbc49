//! Actions as oned calls them on a machine.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remotes_test_support::Guest;

/// The host's name, as oned would pass it.
pub const HOST: &str = "node1";

/// The address of the interface that is unplugged.
pub const MAC: &str = "02:00:00:00:00:07";

/// A file in the machine's folder.
pub fn file(guest: &Guest, name: &str) -> String {
    guest.folder.join(name).display().to_string()
}

/// The machine's number: its folder is called so.
fn id(guest: &Guest) -> &str {
    guest.folder.file_name().unwrap().to_str().unwrap()
}

/// What oned passes to an action.
pub fn arguments(action: &str, guest: &Guest) -> Vec<String> {
    let (id, host) = (id(guest).to_owned(), HOST.to_owned());
    let file = |name: &str| file(guest, name);
    // It is there a second time on the standard input.
    let encoded = || STANDARD.encode(document(guest, "qcow2"));
    // What stands between the deploy id and the machine's number.
    let own = match action {
        "deploy" => return vec![file("deployment.0"), host.clone(), id, host],
        "save" => return vec![guest.uuid.clone(), file("checkpoint"), host.clone(), id, host],
        "restore" => return vec![file("checkpoint"), host.clone(), guest.uuid.clone(), id, host],
        "resize_disk" => vec!["0".to_owned(), "2".to_owned(), encoded(), host.clone()],
        "attach_disk" => vec![file("disk.2"), "vdb".to_owned(), "1".to_owned(), encoded()],
        "detach_disk" => vec![file("disk.2"), "vdb".to_owned(), "1".to_owned()],
        "attach_nic" => [MAC, "br0", "-", "fw", "one-7-1"].map(str::to_owned).to_vec(),
        "detach_nic" => vec![MAC.to_owned()],
        "exec" => return vec![id, host, "/bin/sh -c :".to_owned()],
        "exec_cancel" => return vec![id, host],
        "prereconfigure" => vec!["sda".to_owned()],
        "reconfigure" => vec!["sda".to_owned(), file("disk.1")],
        "snapshot_create" => vec!["0".to_owned()],
        "snapshot_revert" | "snapshot_delete" => vec!["snap-0".to_owned()],
        "resize" => Vec::new(),
        _ => vec![host.clone()],
    };
    [vec![guest.uuid.clone()], own, vec![id, host]].concat()
}

/// What oned has on the action's standard input, as far as actions read it.
pub fn stdin(action: &str, guest: &Guest) -> String {
    match action {
        "deploy" => format!("{}\n", guest.xml()),
        _ => document(guest, "qcow2"),
    }
}

/// The action's document, in a system datastore with this transfer driver: a disk and an interface are being attached
/// or detached, the first one grows, a second virtual CPU comes.
pub fn document(guest: &Guest, driver: &str) -> String {
    let (id, uuid) = (id(guest), &guest.uuid);
    format!(
        "<VMM_DRIVER_ACTION_DATA><HOST>{HOST}</HOST><DEPLOY_ID>{uuid}</DEPLOY_ID><VM><ID>{id}</ID><TEMPLATE><VMID>{id}</VMID>\
         <DISK><DISK_ID>0</DISK_ID><TARGET>vda</TARGET></DISK>\
         <DISK><ATTACH>YES</ATTACH><DISK_ID>2</DISK_ID><TARGET>vdb</TARGET><DRIVER>raw</DRIVER></DISK>\
         <NIC><ATTACH>YES</ATTACH><NIC_ID>1</NIC_ID><MAC>{MAC}</MAC><BRIDGE>br0</BRIDGE><MODEL>virtio</MODEL>\
         <TARGET>one-7-1</TARGET></NIC>\
         <VCPU>2</VCPU><RESIZE><VCPU>1</VCPU></RESIZE></TEMPLATE></VM>\
         <DATASTORE><TM_MAD><![CDATA[{driver}]]></TM_MAD></DATASTORE></VMM_DRIVER_ACTION_DATA>\n"
    )
}

/// The description of a machine with a medium in its drive, room for virtual CPUs, and a channel at whose other
/// end nobody answers.
pub fn equipped(guest: &Guest) -> String {
    let medium = file(guest, "disk.1");
    let drive = format!(
        "<disk type='file' device='cdrom'><source file='{medium}'/><target dev='sda' bus='sata'/><readonly/></disk>"
    );
    let channel = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>";
    let description = guest.xml().replace("<vcpu><![CDATA[1]]></vcpu>", "<vcpu current='1'>4</vcpu>");
    format!("{}\n", description.replace("</devices>", &format!("{drive}{channel}</devices>")))
}
