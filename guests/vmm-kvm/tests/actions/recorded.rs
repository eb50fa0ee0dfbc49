//! Calls as a front-end made them, with what the stock driver answered.

use std::path::{Path, PathBuf};

use remotes_effect::vmm::{Call, Reply};
use remotes_sdk::call_vmm;
use remotes_sdk::testing::{Host, State};
use remotes_sdk::vm::Action;
use serde::Deserialize;
use vmm_kvm::Kvm;

use crate::fixture::{POLICY, domain, empty, host};

#[derive(Deserialize)]
struct Recorded {
    argv: Vec<String>,
    stdin: String,
    exit: i32,
    stdout: String,
    stderr: String,
    order: u64,
}

fn recorded(action: &str) -> Vec<(PathBuf, Recorded)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/frontend/vmm");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.retain(|file| file.file_name().unwrap().to_str().unwrap().starts_with(&format!("kvm-{action}-")));
    assert!(!files.is_empty(), "no recorded call of {action}");
    files
        .into_iter()
        .map(|file| (file.clone(), serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()))
        .collect()
}

/// What the convention makes of the arguments.
fn call(action: &str, recorded: &Recorded) -> Call {
    let argument = |index: usize| recorded.argv[index].clone();
    let document = recorded.stdin.clone();
    match action {
        "deploy" => Call::Deploy { deployment_file: argument(0), domain: document, host: argument(1) },
        "shutdown" => Call::Shutdown { deploy_id: argument(0), host: argument(1), action: document },
        "cancel" => Call::Cancel { deploy_id: argument(0), host: argument(1), action: document },
        "reboot" => Call::Reboot { deploy_id: argument(0), host: argument(1), action: document },
        "reset" => Call::Reset { deploy_id: argument(0), host: argument(1), action: document },
        "save" => Call::Save {
            deploy_id: argument(0),
            checkpoint: argument(1),
            host: argument(2),
            vm_id: argument(3).parse().unwrap(),
            action: document,
        },
        "restore" => Call::Restore {
            checkpoint: argument(0),
            host: argument(1),
            deploy_id: argument(2),
            vm_id: argument(3).parse().unwrap(),
            action: document,
        },
        "migrate" => Call::Migrate {
            deploy_id: argument(0),
            destination: argument(1),
            source: argument(2),
            vm_id: argument(3).parse().unwrap(),
            action: document,
        },
        "attach_disk" => Call::AttachDisk {
            deploy_id: argument(0),
            path: argument(1),
            target: argument(2),
            target_index: argument(3).parse().unwrap(),
            action: document,
        },
        "detach_disk" => Call::DetachDisk {
            deploy_id: argument(0),
            path: argument(1),
            target: argument(2),
            target_index: argument(3).parse().unwrap(),
            action: document,
        },
        "attach_nic" => Call::AttachNic {
            deploy_id: argument(0),
            mac: argument(1),
            bridge: argument(2),
            model: argument(3),
            vn_mad: argument(4),
            target: argument(5),
            action: document,
        },
        "detach_nic" => Call::DetachNic { deploy_id: argument(0), mac: argument(1), action: document },
        "prereconfigure" => Call::Prereconfigure { deploy_id: argument(0), target: argument(1), action: document },
        "reconfigure" => {
            Call::Reconfigure { deploy_id: argument(0), target: argument(1), iso: argument(2), action: document }
        }
        "snapshot_create" => {
            Call::SnapshotCreate { deploy_id: argument(0), snapshot_id: argument(1).parse().unwrap(), action: document }
        }
        "snapshot_revert" => Call::SnapshotRevert { deploy_id: argument(0), snapshot: argument(1), action: document },
        "snapshot_delete" => Call::SnapshotDelete { deploy_id: argument(0), snapshot: argument(1), action: document },
        "resize" => Call::Resize { deploy_id: argument(0), action: document },
        "resize_disk" => Call::ResizeDisk {
            deploy_id: argument(0),
            disk_id: argument(1).parse().unwrap(),
            size: argument(2).parse().unwrap(),
            action: document,
        },
        "exec" => Call::Exec {
            vm_id: argument(0).parse().unwrap(),
            host: argument(1),
            command: argument(2),
            stdin: Vec::new(),
        },
        other => panic!("no such action: {other}"),
    }
}

/// The host before the call: the domain that it is about, running.
fn before(id: &str, uuid: &str) -> remotes_sdk::testing::Simulation {
    let description = domain("<os><type>hvm</type></os>").replace("one-1<", &format!("one-{id}<"));
    empty().domain(&description.replace(crate::fixture::UUID, uuid), State::Running)
}

fn run(host: &Host, action: &str, recorded: &Recorded) -> Result<String, String> {
    let call = call(action, recorded);
    let reply = host.call(|| Ok(call_vmm::<Kvm>(call))).value();
    match reply {
        Reply::Deploy(result) | Reply::SnapshotCreate(result) => {
            result.map(|id| format!("{id}\n")).map_err(|failure| failure.message)
        }
        other => match other.failure() {
            None => Ok(String::new()),
            Some(failure) => Err(failure.message.clone()),
        },
    }
}

#[test]
fn a_deploy_answers_as_the_stock_driver_did() {
    for (file, recorded) in recorded("deploy") {
        let host = match recorded.exit {
            0 => host(empty()),
            _ => {
                host(empty().failing("libvirt.create", 1, remotes_sdk::Failure::unsupported("vhost-net was requested")))
            }
        };
        let answer = run(&host, "deploy", &recorded);
        match recorded.exit {
            0 => assert_eq!(answer.unwrap(), recorded.stdout, "{}", file.display()),
            _ => assert_eq!(answer.unwrap_err(), format!("Could not create domain from {}", recorded.argv[0])),
        }
        // oned's description goes to libvirt as it came.
        assert_eq!(host.simulation().here.text(&recorded.argv[0]), Some(recorded.stdin.as_str()));
    }
}

#[test]
fn other_actions_answer_as_the_stock_driver_did() {
    for action in ["shutdown", "cancel", "reboot", "reset", "save"] {
        for (file, recorded) in recorded(action) {
            let id = &recorded.argv[recorded.argv.len() - 2];
            let world = before(id, &recorded.argv[0]).directory(&format!("/var/lib/one/datastores/105/{id}"));
            let world = world.directory(&format!("/var/lib/one/datastores/101/{id}"));
            let host = host(world.directory(&format!("/var/lib/one/datastores/103/{id}")));
            assert_eq!(run(&host, action, &recorded), Ok(recorded.stdout.clone()), "{}", file.display());
            let left = usize::from(matches!(action, "reboot" | "reset"));
            assert_eq!(host.simulation().domains().count(), left, "{}", file.display());
        }
    }
}

#[test]
fn a_restore_answers_as_the_stock_driver_did() {
    for (file, recorded) in recorded("restore") {
        let (checkpoint, uuid, id) = (&recorded.argv[0], &recorded.argv[2], &recorded.argv[3]);
        let world = before(id, uuid).directory(remotes_sdk::parent(&remotes_sdk::clean(checkpoint)));
        let host = Host::new(world, POLICY);
        host.call(|| remotes_sdk::libvirt::save(&remotes_sdk::here(), uuid, checkpoint)).value();
        assert_eq!(run(&host, "restore", &recorded), Ok(recorded.stdout.clone()), "{}", file.display());
        assert_eq!(host.simulation().domains().count(), 1);
    }
}

/// Between two hosts as those were: shared storage on what libvirt takes for none, and storage of their own.
#[test]
fn migrations_answer_as_the_stock_driver_did() {
    for (file, recorded) in recorded("migrate") {
        let (uuid, destination, id) = (&recorded.argv[0], &recorded.argv[1], &recorded.argv[3]);
        let document = Action::parse(&recorded.stdin).unwrap();
        let shared = document.text("DATASTORE/TEMPLATE/SHARED") == Some("YES");
        let folder = format!("{}/{id}", remotes_sdk::clean(document.text("DATASTORE/BASE_PATH").unwrap()));
        let description = domain(&format!(
            "<os><type>hvm</type></os><devices><disk type='file' device='disk'>             <driver name='qemu' type='qcow2' cache='none'/><source file='{folder}/disk.0.snap/0'/><target dev='vda'/></disk>             <disk type='file' device='cdrom'><driver name='qemu' type='raw'/><source file='{folder}/disk.1'/>             <target dev='sda'/><readonly/></disk></devices>"
        ));
        let description = description.replace("one-1<", &format!("one-{id}<")).replace(crate::fixture::UUID, uuid);
        let files = |machine: remotes_sdk::testing::Machine| {
            let image = remotes_sdk::testing::Image::new("qcow2", 1 << 26);
            machine
                .checked_disks()
                .image(&format!("{folder}/disk.0.snap/0"), image)
                .link(&format!("{folder}/disk.0"), "disk.0.snap/0")
                .file(&format!("{folder}/disk.1"), "context")
        };
        let other = remotes_sdk::testing::Machine::new().checked_disks().directory("/var/lib/one/datastores");
        let other = if shared { files(other) } else { other };
        let world = empty().here(files).domain(&description, State::Running).host(destination, other);
        // kvmrc said so in all calls but the first one.
        let unsafe_ones = recorded.stderr.contains("--unsafe");
        let world = world.configuration("MIGRATE_OPTIONS", if unsafe_ones { "--unsafe" } else { "" });
        let host = host(world);
        let answer = run(&host, "migrate", &recorded);
        let simulation = host.simulation();
        let there = simulation.hosts[destination].find(uuid);
        match recorded.exit {
            0 => {
                assert_eq!(answer, Ok(recorded.stdout), "{}", file.display());
                assert_eq!(there.map(|domain| domain.state), Some(State::Running));
                assert!(simulation.here.find(uuid).is_none());
            }
            _ => {
                let line =
                    format!("Error migrating VM {uuid}: Unsafe migration: Migration without shared storage is unsafe");
                assert_eq!(answer, Err(line.clone()));
                // oned shows the same sentence.
                assert!(recorded.stderr.contains(&line.replace(": Unsafe", ": error: Unsafe")));
                assert!(there.is_none() && simulation.here.find(uuid).is_some());
            }
        }
    }
}

/// A machine with all that the recorded calls plug, unplug and change.
fn equipped(id: &str, uuid: &str, format: &str) -> remotes_sdk::testing::Simulation {
    let folder = format!("/var/lib/one/datastores/101/{id}");
    let disk = |name: &str, target: &str| {
        format!(
            "<disk type='file' device='disk'><driver name='qemu' type='{format}'/><source file='{folder}/{name}'/><target dev='{target}'/></disk>"
        )
    };
    let drive = "<disk type='file' device='cdrom'><target dev='sda'/><readonly/></disk>";
    let description = domain(&format!(
        "<vcpu current='1'>8</vcpu><currentMemory>65536</currentMemory><os><type>hvm</type></os><devices>{}{drive}</devices>",
        disk("disk.0", "vda")
    ));
    let description = description.replace("one-1<", &format!("one-{id}<")).replace(crate::fixture::UUID, uuid);
    let description =
        description.replace("<memory>65536<", "<memory>1048576<").replace("/101/1]", &format!("/101/{id}]"));
    let image = remotes_sdk::testing::Image::new(format, 1 << 26);
    empty().domain(&description, State::Running).here(|machine| machine.image(&format!("{folder}/disk.0"), image))
}

/// The calls of one machine in the order they were made: what one plugs in, another one unplugs.
fn lives(actions: &[&str]) -> Vec<(String, PathBuf, Recorded)> {
    let mut calls = Vec::new();
    for action in actions {
        calls.extend(recorded(action).into_iter().map(|(file, recorded)| ((*action).to_owned(), file, recorded)));
    }
    calls.sort_by_key(|(.., recorded)| recorded.order);
    calls
}

#[test]
fn devices_snapshots_and_sizes_answer_as_the_stock_driver_did() {
    let actions = [
        "attach_disk",
        "detach_disk",
        "attach_nic",
        "detach_nic",
        "prereconfigure",
        "reconfigure",
        "snapshot_create",
        "snapshot_revert",
        "snapshot_delete",
        "resize",
        "resize_disk",
    ];
    let mut hosts = std::collections::BTreeMap::new();
    for (action, file, recorded) in lives(&actions) {
        let uuid = recorded.argv[0].clone();
        let id = recorded.argv[recorded.argv.len() - 2].clone();
        let document = Action::parse(&recorded.stdin).unwrap();
        let root = document.devices("DISK").into_iter().find(|disk| disk.text("DISK_ID") == Some("0")).unwrap();
        let format = root.text("DRIVER").unwrap();
        let machine = hosts.entry(uuid.clone()).or_insert_with(|| host(equipped(&id, &uuid, format)));
        let answer = run(machine, &action, &recorded);
        match recorded.exit {
            0 => assert_eq!(answer, Ok(recorded.stdout), "{}", file.display()),
            // An internal snapshot of a raw disk.
            _ => assert!(answer.unwrap_err().starts_with("Could not create snapshot"), "{}", file.display()),
        }
    }
}

#[test]
fn an_exec_without_an_agent_fails_as_the_stock_driver_did() {
    for (file, recorded) in recorded("exec") {
        let answer = run(&host(before(&recorded.argv[0], crate::fixture::UUID)), "exec", &recorded);
        assert!(recorded.exit != 0 && recorded.stderr.contains("Guest agent is not responding"), "{}", file.display());
        let line = "Error executing the command: Guest agent is not responding: QEMU guest agent is not connected";
        assert_eq!(answer, Err(line.to_owned()));
    }
}
