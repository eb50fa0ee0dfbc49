//! What the tests of migrate share: two hosts, a machine with all kinds of disks, and looks at both.

use std::collections::BTreeSet;

use remotes_effect::libvirt::{Effect as E, Migration};
use remotes_effect::{Effect, Executor};
use remotes_sdk::testing::{Agent, Call, Guest, Host, Image, Machine, Simulation, State};
use remotes_sdk::types::Node;
use remotes_sdk::{Failure, Vmm};
use remotes_simulation::Entry;
use vmm_kvm::Kvm;

use crate::fixture::{OS, UUID, configured, domain};

/// The machine's folder as it really is.
pub const AT: &str = "/var/lib/one/datastores/101/1";
/// The one in another datastore.
pub const OTHER: &str = "/var/lib/one/datastores/102/1";

/// oned's document for a move.
pub fn data(shared: &str, to: &str, template: &str) -> String {
    format!(
        "<VMM_DRIVER_ACTION_DATA><HOST>node1</HOST><MIGR_HOST>node2</MIGR_HOST>\
         <DISK_TARGET_PATH>{to}</DISK_TARGET_PATH><VM><ID>1</ID><TEMPLATE>{template}</TEMPLATE></VM>\
         <DATASTORE><ID>101</ID><TM_MAD><![CDATA[ssh]]></TM_MAD><BASE_PATH><![CDATA[/var/lib/one//datastores/101]]></BASE_PATH>\
         <TEMPLATE><SHARED><![CDATA[{shared}]]></SHARED></TEMPLATE></DATASTORE></VMM_DRIVER_ACTION_DATA>"
    )
}

pub const FOLDER: &str = "/var/lib/one//datastores/101/1";

fn disk(target: &str, path: &str, format: &str, rest: &str) -> String {
    format!(
        "<disk type='file' device='disk'><driver name='qemu' type='{format}' cache='none'/><source file='{path}'/>\
         <target dev='{target}' bus='virtio'/>{rest}</disk>"
    )
}

fn drive(target: &str, source: &str) -> String {
    format!(
        "<disk type='file' device='cdrom'><driver name='qemu' type='raw'/>{source}<target dev='{target}' bus='sata'/>\
         <readonly/></disk>"
    )
}

/// A machine with an image and its snapshots, a plain disk, a context drive, an empty drive and a disk by
/// network.
pub fn description() -> String {
    domain(&format!(
        "{OS}<devices>{}{}{}{}{}</devices>",
        disk("vda", &format!("{FOLDER}/disk.0.snap/1"), "qcow2", ""),
        disk("vdb", &format!("{FOLDER}/disk.2"), "raw", ""),
        drive("sda", &format!("<source file='{FOLDER}/disk.1'/>")),
        drive("sdb", ""),
        "<disk type='network' device='disk'><driver name='qemu' type='raw' cache='none'/>\
         <source protocol='rbd' name='one/one-7'/><target dev='vdc'/></disk>"
    ))
}

/// Its files.
pub fn files(machine: Machine) -> Machine {
    // The transfer driver qcow2 names it so, from within the folder as well as from above it.
    let base = Some("disk.0.snap/0".to_owned());
    let top = Image { backing_file: base, backing_format: Some("qcow2".into()), ..Image::new("qcow2", 1 << 26) };
    machine
        .image(&format!("{AT}/disk.0.snap/0"), Image::new("qcow2", 1 << 26))
        .image(&format!("{AT}/disk.0.snap/1"), top)
        .link(&format!("{AT}/disk.0.snap/disk.0.snap"), ".")
        .link(&format!("{AT}/disk.0"), "disk.0.snap/1")
        .file(&format!("{AT}/disk.1"), "context")
        .file(&format!("{AT}/disk.2"), "the guest's own data")
        .file(&format!("{AT}/vm.xml"), "<VM/>")
        .file(&format!("{AT}/ds.xml"), "<DATASTORE/>")
}

/// A guest whose agent answers, and who keeps something in memory.
fn guest() -> Guest {
    Guest { agent: Agent::answering([]), tray_locked: true, ..Guest::default() }
}

fn node(machine: Machine) -> Machine {
    machine.checked_disks().directory("/var/lib/one/datastores")
}

/// Two hosts with storage of their own; the machine runs on the first one.
pub fn apart() -> Simulation {
    configured(Simulation::new())
        .configuration("QEMU_PROTOCOL", "qemu+ssh")
        .here(|machine| node(files(machine)))
        .domain(&description(), State::Running)
        .guest("one-1", guest())
        .host("node2", node(Machine::new()))
}

/// Two hosts that see the same storage.
pub fn together() -> Simulation {
    apart().shared("/var/lib/one/datastores")
}

pub fn migrate(host: &Host, to: &str, destination: &str, shared: &str, template: &str) -> Call<()> {
    let data = data(shared, to, template);
    host.call(|| action(destination, data))
}

fn action(destination: &str, data: String) -> Result<(), Failure> {
    Kvm::migrate(UUID.into(), destination.into(), "node1".into(), 1, data)
}

/// To the other host, with shared storage or without.
pub fn to_host(host: &Host, shared: &str) -> Call<()> {
    migrate(host, FOLDER, "node2", shared, "")
}

/// To the other datastore of the same host.
pub fn to_datastore(host: &Host) -> Call<()> {
    migrate(host, "/var/lib/one//datastores/102/1", "node1", "YES", "")
}

/// The state in which the machine is here and there.
pub fn states(host: &Host) -> (Option<State>, Option<State>) {
    let simulation = host.simulation();
    let state = |machine: &Machine| machine.find(UUID).map(|domain| domain.state);
    (state(&simulation.here), state(&simulation.hosts["node2"]))
}

/// All paths below a folder, with what is there.
pub fn tree(machine: &Machine, folder: &str) -> BTreeSet<String> {
    fn walk(path: &str, entry: &Entry, all: &mut BTreeSet<String>) {
        match entry {
            Entry::Directory(directory) => {
                for (name, below) in &directory.entries {
                    walk(&format!("{path}/{name}"), below, all);
                }
                all.insert(format!("{path}/"));
            }
            Entry::Link(link) => drop(all.insert(format!("{path} -> {}", link.target))),
            Entry::File(file) => drop(all.insert(format!("{path} {:?}", file.header()))),
            _ => drop(all.insert(path.to_owned())),
        }
    }
    let mut all = BTreeSet::new();
    if let Some(entry) = machine.files.entry(folder) {
        walk(folder, entry, &mut all);
    }
    all
}

pub fn trees(host: &Host) -> (BTreeSet<String>, BTreeSet<String>) {
    let simulation = host.simulation();
    let all = |machine| tree(machine, "/var/lib/one/datastores");
    (all(&simulation.here), all(&simulation.hosts["node2"]))
}

/// The paths of the machine's disks, by target.
pub fn sources(xml: &str) -> Vec<(String, String)> {
    let document = remotes_sdk::xml::Document::parse(xml).unwrap();
    let disks = document.elements("devices/disk").into_iter().filter_map(|disk| {
        let source = disk.first("source")?;
        let path = source.attribute("file").or(source.attribute("dev"))?;
        Some((disk.first("target")?.attribute("dev")?.to_owned(), remotes_sdk::clean(path)))
    });
    disks.collect()
}

/// Nothing has been changed; a lock is gone with its action.
pub fn untouched(call: &Call<()>) {
    let locked = |effect: &Effect| matches!(effect, Effect::Locks(_));
    assert!(call.done.iter().all(|(effect, _)| locked(effect) || !effect.changes()), "{:?}", call.names());
}

/// How the machine was moved.
pub fn how(call: &Call<()>) -> Migration {
    let how = call.done.iter().find_map(|(effect, _)| match effect {
        Effect::Libvirt(E::Migrate { how, .. }) => Some(how.clone()),
        _ => None,
    });
    how.unwrap_or_else(|| panic!("not moved: {:?} {:?}", call.result, call.log()))
}

pub fn with_snapshots(simulation: Simulation) -> Simulation {
    let mut simulation = simulation;
    let images = [format!("{AT}/disk.0.snap/1")];
    for name in ["snap-0", "snap-1"] {
        let xml = format!(
            "<domainsnapshot><name>{name}</name><state>running</state><creationTime>7</creationTime></domainsnapshot>"
        );
        let effect = E::SnapshotRedefine { on: Node::Here, domain: UUID.into(), xml, current: name == "snap-0" };
        assert_eq!(simulation.execute(&Effect::Libvirt(effect)).failure(), None);
    }
    simulation.here(|machine| {
        images.iter().fold(machine, |machine, path| {
            let image = machine.files.file(path).unwrap().header();
            machine.image(path, Image { snapshots: vec!["snap-0".into(), "snap-1".into()], ..image })
        })
    })
}

pub fn snapshots(host: &Host, away: bool) -> (Vec<String>, Option<String>) {
    let simulation = host.simulation();
    let machine = if away { &simulation.hosts["node2"] } else { &simulation.here };
    let domain = machine.find(UUID).unwrap();
    (domain.snapshots.keys().cloned().collect(), domain.current_snapshot.clone())
}
