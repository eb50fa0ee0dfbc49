//! Every action is stopped before each of its effects and then repeated: the end is the same as
//! without the interruption.

use remotes_sdk::testing::{Agent, Guest, Host, Image, Simulation, State};
use remotes_sdk::{Failure, Vmm};
use serde_json::json;
use vmm_kvm::Kvm;

use crate::deploy::snapshot;
use crate::fixture::*;
use crate::tpm::archive;

/// The world after the action, without what counts calls.
fn end(host: &Host) -> (Vec<(String, State)>, remotes_simulation::Tree) {
    let simulation = host.simulation();
    let domains = simulation.domains().map(|domain| (domain.name.clone(), domain.state)).collect();
    (domains, without_times(&simulation))
}

fn without_times(simulation: &Simulation) -> remotes_simulation::Tree {
    use remotes_simulation::{Directory, Entry};
    fn clear(directory: &mut Directory) {
        directory.modified = 0;
        for entry in directory.entries.values_mut() {
            match entry {
                Entry::File(file) => file.modified = 0,
                Entry::Directory(below) => clear(below),
                Entry::Link(link) => link.modified = 0,
                _ => {}
            }
        }
    }
    let mut tree = simulation.here.files.clone();
    clear(&mut tree.root);
    tree
}

/// Stops `action` before every one of its effects, then does `again`, which must succeed and lead to
/// the same world as `action` in one go. Returns at how many places it was stopped.
fn everywhere(start: &Simulation, action: impl Fn() -> Result<(), Failure>, again: impl Fn(&Host)) -> usize {
    let whole = host(start.clone());
    let effects = whole.call(&action).done.len();
    let expected = end(&whole);
    for index in 0..effects {
        let host = host(start.clone());
        let stopped = host.stop_before(index).call(&action);
        assert!(stopped.result.is_none(), "not stopped before effect {index}");
        again(&host);
        assert_eq!(end(&host), expected, "stopped before effect {index}");
    }
    effects
}

pub fn deploy() -> Result<(), Failure> {
    let description = domain(&format!(
        "<os><type arch='x86_64'>hvm</type><nvram format='qcow2'>{FOLDER}/vm_VARS.fd</nvram></os>\
         <devices><disk type='file' device='disk'><source file='{FOLDER}/disk.0'/><target dev='vda'/></disk>\
         <tpm model='tpm-tis'><backend type='emulator'/></tpm></devices>"
    ));
    Kvm::deploy(DEPLOYMENT.into(), description, "node1".into()).map(drop)
}

pub fn cancel() -> Result<(), Failure> {
    Kvm::cancel(UUID.into(), "node1".into(), String::new())
}

/// A machine with all that a deploy prepares.
pub fn demanding() -> Simulation {
    let folder = "/var/lib/one/datastores/101/1";
    let state = archive(&[("tpm/tpm2-00.permall", "from backup")]);
    let vm = format!("<VM><USER_TEMPLATE><TPM_STATE>{state}</TPM_STATE></USER_TEMPLATE></VM>");
    empty()
        .here(|machine| machine.image("/usr/share/OVMF/OVMF_VARS.fd", Image::new("raw", 540_672)))
        .file(&format!("{folder}/disk.0.snap/0"), "disk")
        .link(&format!("{folder}/disk.0"), "disk.0.snap/0")
        .file(&format!("{folder}/snap-0.xml"), snapshot(0, "00000000-1111-2222-3333-444444444444"))
        .file(&format!("{folder}/vm.xml"), vm)
        .tool("vtpm_setup")
}

#[test]
fn deploy_can_be_repeated() {
    let stops = everywhere(&demanding(), deploy, |host| {
        let again = host.call(deploy);
        // Where it ran already, it is cancelled and deployed anew.
        if let Some(Err(failure)) = &again.result {
            assert_eq!(failure.kind, remotes_sdk::FailureKind::Exists);
            host.call(cancel).value();
            host.call(deploy).value();
        }
    });
    assert!(stops > 20, "{stops}");
}

#[test]
fn deploy_can_be_undone() {
    let effects = host(demanding()).call(deploy).done.len();
    for index in 0..=effects {
        let host = host(demanding());
        host.stop_before(index).call(deploy);
        host.call(cancel).value();
        assert_eq!(host.simulation().domains().count(), 0, "stopped before effect {index}");
    }
}

#[test]
fn shutdown_can_be_repeated() {
    let shutdown = || Kvm::shutdown(UUID.into(), "node1".into(), String::new());
    everywhere(&running(&plain()), shutdown, |host| host.call(shutdown).value());
}

#[test]
fn cancel_can_be_repeated() {
    everywhere(&running(&plain()), cancel, |host| host.call(cancel).value());
}

#[test]
fn save_can_be_repeated_until_the_domain_is_saved() {
    let save = || Kvm::save(UUID.into(), CHECKPOINT.into(), "node1".into(), 1, action("", "qcow2"));
    let start = running(&plain()).file(CHECKPOINT, "old");
    let whole = host(start.clone());
    let effects = whole.call(save).done.len();
    for index in 0..effects {
        let host = host(start.clone());
        host.stop_before(index).call(save);
        let saved = host.simulation().domains().count() == 0;
        let call = host.call(save);
        assert_eq!(call.result.unwrap().is_ok(), !saved, "stopped before effect {index}");
        // Whatever happened, the memory is there and the old checkpoint as well.
        let simulation = host.simulation();
        assert!(simulation.here.text(CHECKPOINT).unwrap().starts_with("LibvirtQemudSave"), "{index}");
        assert!(simulation.here.exists(&format!("{CHECKPOINT}.1767225600")), "{index}");
        let restore = || Kvm::restore(CHECKPOINT.into(), "node1".into(), UUID.into(), 1, String::new());
        host.call(restore).value();
    }
}

#[test]
fn restore_can_be_repeated() {
    let saved = host(running(&plain()));
    saved.call(|| Kvm::save(UUID.into(), CHECKPOINT.into(), "node1".into(), 1, String::new())).value();
    let start =
        saved.simulation().file(&format!("{FOLDER}/snap-0.xml"), snapshot(0, "00000000-1111-2222-3333-444444444444"));
    let restore = || Kvm::restore(CHECKPOINT.into(), "node1".into(), UUID.into(), 1, String::new());
    everywhere(&start, restore, |host| host.call(restore).value());
}

/// A machine whose devices come and go.
pub fn equipped() -> Simulation {
    let guest = Guest { agent: Agent::answering([("guest-exec", json!({ "pid": 7 }))]), ..Guest::default() };
    running(&domain(&format!(
        "<vcpu current='1'>4</vcpu>{OS}<cpu><numa><cell id='0' cpus='0-3' memory='65536'/></numa></cpu><devices>\
         <disk type='file' device='cdrom'><source file='{FOLDER}/disk.1'/><target dev='sda'/></disk>\
         <disk type='file' device='disk'><driver type='qcow2'/><source file='{FOLDER}/disk.0'/><target dev='vda'/></disk>\
         <interface type='ethernet'><mac address='02:00:00:00:00:01'/></interface></devices>"
    )))
    .guest("one-1", guest)
    .here(|machine| machine.image("/var/lib/one/datastores/101/1/disk.0", Image::new("qcow2", 1 << 26)))
    .file("/var/lib/one/datastores/101/1/disk.1", "iso")
    .file("/var/run/one/one-1", "7")
}

const PARTS: &str = "<DISK><ATTACH>YES</ATTACH><DISK_ID>2</DISK_ID><TARGET>vdb</TARGET></DISK>\
    <DISK><DISK_ID>0</DISK_ID><TARGET>vda</TARGET></DISK>\
    <NIC><ATTACH>YES</ATTACH><MAC>02:00:00:00:00:02</MAC><BRIDGE>b</BRIDGE></NIC>";

/// The description of the domain is part of what has to be the same.
fn changes(name: &str, action: impl Fn() -> Result<(), Failure>) {
    let start = equipped();
    let xml = |host: &Host| host.simulation().here.find(UUID).map(|domain| domain.xml().to_owned());
    let whole = host(start.clone());
    whole.call(&action).value();
    let stops = everywhere(&start, &action, |host| {
        host.call(&action).value();
        assert_eq!(xml(host), xml(&whole), "{name}");
    });
    assert!(stops > 1, "{name}");
}

#[test]
fn changes_of_a_running_machine_can_be_repeated() {
    let id = || UUID.to_owned();
    let data = |inside: &str| action(&format!("{PARTS}{inside}"), "qcow2");
    let text = |text: &str| text.to_owned();
    let mac = || text("02:00:00:00:00:01");
    changes("attach_disk", || Kvm::attach_disk(id(), format!("{FOLDER}/disk.2"), text("vdb"), 1, data("")));
    changes("detach_disk", || Kvm::detach_disk(id(), format!("{FOLDER}/disk.0"), text("vda"), 0, data("")));
    let dash = || text("-");
    changes("attach_nic", || Kvm::attach_nic(id(), dash(), dash(), dash(), dash(), dash(), data("")));
    changes("detach_nic", || Kvm::detach_nic(id(), mac(), data("")));
    changes("prereconfigure", || Kvm::prereconfigure(id(), text("sda"), data("")));
    changes("reconfigure", || {
        Kvm::prereconfigure(id(), text("sda"), data(""))?;
        Kvm::reconfigure(id(), text("sda"), format!("{FOLDER}/disk.1"), data(""))
    });
    let sizes = |memory: u64| {
        format!("<MEMORY>{memory}</MEMORY><VCPU>3</VCPU><RESIZE><MEMORY>64</MEMORY><VCPU>1</VCPU></RESIZE>")
    };
    changes("resize", || Kvm::resize(id(), data(&sizes(32))));
    let hotplug = || format!("{}<MEMORY_RESIZE_MODE>HOTPLUG</MEMORY_RESIZE_MODE>", sizes(96));
    changes("resize by hotplug", || Kvm::resize(id(), data(&hotplug())));
    changes("resize_disk", || {
        Kvm::resize_disk(id(), 0, 96, data(""))?;
        Kvm::resize_disk(id(), 0, 128, data(""))
    });
    changes("exec", || Kvm::exec(1, text("node1"), text("true"), vec![]));
    changes("exec_cancel", || Kvm::exec_cancel(1, text("node1")));
}
