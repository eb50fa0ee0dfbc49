//! Every action is killed at every effect; then it is repeated, and on another copy of the host undone. The right
//! state is what the action in one go, or its undo after that, comes to. How many kills these were is printed.

use std::collections::BTreeSet;

use remotes_sdk::testing::{Host, Simulation};
use remotes_sdk::xml::{Document, Element};
use remotes_sdk::{Failure, Vmm};
use vmm_kvm::Kvm;

use crate::fixture::*;
use crate::interrupted::{cancel, demanding, deploy, equipped};

const PARTS: &str = "<DISK><ATTACH>YES</ATTACH><DISK_ID>2</DISK_ID><TARGET>vdb</TARGET></DISK>\
    <DISK><DISK_ID>0</DISK_ID><TARGET>vda</TARGET></DISK>\
    <NIC><ATTACH>YES</ATTACH><MAC>02:00:00:00:00:02</MAC><BRIDGE>b</BRIDGE><TARGET>one-1-1</TARGET></NIC>";

type Action = Box<dyn Fn() -> Result<(), Failure>>;

/// What counts of a host.
#[derive(Debug, Clone, PartialEq)]
struct Facts {
    /// domains with their states, devices and sizes
    domains: Vec<String>,
    files: BTreeSet<String>,
}

fn facts(simulation: &Simulation) -> Facts {
    let mut facts = Vec::new();
    for domain in simulation.domains() {
        let document = Document::parse(domain.xml()).unwrap();
        let text = |path: &str| document.text(path).unwrap_or_default().to_owned();
        facts.push(format!("{} {:?} {} {}", domain.name, domain.state, text("memory"), text("currentMemory")));
        facts.extend(document.elements("vcpu").iter().map(|vcpu| format!("{:?}", vcpu.attribute("current"))));
        let devices = document.elements("devices").into_iter().flat_map(Element::children).collect::<Vec<_>>();
        for device in devices.into_iter().filter(|device| matches!(device.name(), "disk" | "interface")) {
            let of = |name: &str, key: &str| device.first(name).and_then(|it| it.attribute(key)).unwrap_or("-");
            facts.push(format!("{} {} {}", of("target", "dev"), of("source", "file"), of("mac", "address")));
        }
        facts.extend(domain.snapshots.keys().cloned());
    }
    facts.sort();
    Facts { domains: facts, files: names("", &simulation.here.files.root).into_iter().collect() }
}

fn names(above: &str, directory: &remotes_simulation::Directory) -> Vec<String> {
    let mut all = Vec::new();
    for (name, entry) in &directory.entries {
        let path = format!("{above}/{name}");
        if let remotes_simulation::Entry::Directory(below) = entry {
            all.extend(names(&path, below));
        }
        all.push(path);
    }
    all
}

/// Kills the action before each effect, which is also after the one before, and after the last. Returns how often.
fn everywhere(name: &str, start: &Simulation, action: &Action, undo: Option<&Action>) -> usize {
    let whole = host(start.clone());
    let effects = whole.call(action).done.len();
    let done = facts(&whole.simulation());
    let before = facts(start);
    let undone = undo.map(|undo| {
        whole.call(undo).value();
        facts(&whole.simulation())
    });
    let mut kills = 0;
    let mut killed = |index: usize| -> Host {
        let host = host(start.clone());
        // Behind the last effect the action has done all, and oned does not know.
        let killed = host.stop_before(index).call(action).result.is_none();
        assert_eq!(killed, index < effects, "{name} at effect {index}");
        kills += 1;
        host
    };
    for index in 0..=effects {
        let again = killed(index);
        let repeat = again.call(action).result.unwrap();
        if repeat.is_err() && facts(&again.simulation()) != done {
            // As oned does: what is half there is undone, and done anew.
            let undo = undo.unwrap_or_else(|| panic!("{name} killed at effect {index}, repeated: {repeat:?}"));
            again.call(undo).value();
            again.call(action).value();
        }
        assert_eq!(facts(&again.simulation()), done, "{name} killed at effect {index} and repeated");
        if let (Some(undo), Some(undone)) = (undo, &undone) {
            let back = killed(index);
            let result = back.call(undo).result.unwrap();
            let found = facts(&back.simulation());
            // What was never done may be refused to be undone; it is undone all the same.
            assert_eq!(found.domains, undone.domains, "{name} killed at effect {index}, undone: {result:?}");
            // Of files, what the action makes may or may not be there yet, and what it unpacked is removed by the
            // next deploy or with the machine's folder, as is a checkpoint that a save has moved aside; nothing else is
            // there, and nothing is lost.
            let strange: Vec<_> = found.files.difference(&(&before.files | &undone.files)).cloned().collect();
            let strange: Vec<_> =
                strange.iter().filter(|path| !path.contains("/.") && !path.contains("/checkpoint.")).collect();
            let lost: Vec<_> = (&before.files & &undone.files).difference(&found.files).cloned().collect();
            assert!(strange.is_empty() && lost.is_empty(), "{name} at effect {index}: {strange:?}, lost {lost:?}");
        }
    }
    println!("{name}: {kills} kills at {effects} effects");
    kills
}

fn action_of(call: impl Fn() -> Result<(), Failure> + 'static) -> Action {
    Box::new(call)
}

fn data(inside: &str) -> String {
    action(&format!("{PARTS}{inside}"), "qcow2")
}

fn sizes(from: u64, to: u64) -> String {
    data(&format!(
        "<MEMORY>{to}</MEMORY><VCPU>{}</VCPU><RESIZE><MEMORY>{from}</MEMORY><VCPU>{}</VCPU></RESIZE>",
        to / 16,
        from / 16
    ))
}

/// A host on which this was done.
fn after(start: Simulation, call: &Action) -> Simulation {
    let host = host(start);
    host.call(call).value();
    host.simulation()
}

#[test]
fn every_action_is_killed_at_every_effect() {
    let id = || UUID.to_owned();
    let word = |text: &str| text.to_owned();
    let file = |name: &str| format!("{FOLDER}/{name}");
    let here = || "node1".to_owned();
    let attach_disk = action_of(move || Kvm::attach_disk(id(), file("disk.2"), word("vdb"), 1, data("")));
    let detach_disk = action_of(move || Kvm::detach_disk(id(), file("disk.2"), word("vdb"), 1, data("")));
    let dash = || "-".to_owned();
    let attach_nic = action_of(move || Kvm::attach_nic(id(), dash(), dash(), dash(), dash(), dash(), data("")));
    let detach_nic = action_of(move || Kvm::detach_nic(id(), word("02:00:00:00:00:02"), data("")));
    let prereconfigure = action_of(move || Kvm::prereconfigure(id(), word("sda"), data("")));
    let reconfigure = action_of(move || Kvm::reconfigure(id(), word("sda"), file("disk.1"), data("")));
    let create = action_of(move || Kvm::snapshot_create(id(), 0, data("")).map(drop));
    let delete = action_of(move || Kvm::snapshot_delete(id(), word("snap-0"), data("")));
    let revert = action_of(move || Kvm::snapshot_revert(id(), word("snap-0"), data("")));
    let shrink = action_of(move || Kvm::resize(id(), sizes(64, 32)));
    let grow = action_of(move || Kvm::resize(id(), sizes(32, 64)));
    let resize_disk = action_of(move || Kvm::resize_disk(id(), 0, 128, data("")));
    let exec = action_of(move || Kvm::exec(1, here(), word("true"), vec![]));
    let exec_cancel = action_of(move || Kvm::exec_cancel(1, here()));
    let save = action_of(move || Kvm::save(id(), CHECKPOINT.into(), here(), 1, data("")));
    let restore = action_of(move || Kvm::restore(CHECKPOINT.into(), here(), id(), 1, data("")));
    let shutdown = action_of(move || Kvm::shutdown(id(), here(), data("")));
    let reboot = action_of(move || Kvm::reboot(id(), here(), data("")));
    let reset = action_of(move || Kvm::reset(id(), here(), data("")));
    let (deploy, cancel) = (action_of(deploy), action_of(cancel));

    let running = equipped();
    let with = |call: &Action| after(running.clone(), call);
    let trials: Vec<(&str, Simulation, &Action, Option<&Action>)> = vec![
        ("deploy", demanding(), &deploy, Some(&cancel)),
        ("shutdown", running.clone(), &shutdown, None),
        ("cancel", running.clone(), &cancel, None),
        ("reboot", running.clone(), &reboot, None),
        ("reset", running.clone(), &reset, None),
        ("save", running.clone(), &save, Some(&restore)),
        ("restore", with(&save), &restore, Some(&save)),
        ("attach_disk", running.clone(), &attach_disk, Some(&detach_disk)),
        ("detach_disk", with(&attach_disk), &detach_disk, Some(&attach_disk)),
        ("attach_nic", running.clone(), &attach_nic, Some(&detach_nic)),
        ("detach_nic", with(&attach_nic), &detach_nic, Some(&attach_nic)),
        ("prereconfigure", running.clone(), &prereconfigure, Some(&reconfigure)),
        ("reconfigure", with(&prereconfigure), &reconfigure, Some(&prereconfigure)),
        ("snapshot_create", running.clone(), &create, Some(&delete)),
        ("snapshot_delete", with(&create), &delete, None),
        ("snapshot_revert", with(&create), &revert, None),
        ("resize", running.clone(), &shrink, Some(&grow)),
        ("resize_disk", running.clone(), &resize_disk, None),
        ("exec", running.clone(), &exec, Some(&exec_cancel)),
        ("exec_cancel", with(&exec), &exec_cancel, None),
    ];
    let moves = ["migrate", "migrate_local"];
    for action in Kvm::ACTIONS.iter().filter(|action| !moves.contains(action)) {
        assert!(trials.iter().any(|(name, ..)| name == action), "{action} is not killed");
    }
    let kills: usize = trials.iter().map(|(name, start, action, undo)| everywhere(name, start, action, *undo)).sum();
    println!("{} actions: {kills} kills", trials.len());
}
