//! Calls as a front-end made them, with what the stock driver answered.

use std::path::{Path, PathBuf};

use remotes_effect::vmm::{Call, Reply};
use remotes_sdk::call_vmm;
use remotes_sdk::testing::{Host, State};
use serde::Deserialize;
use vmm_kvm::Kvm;

use crate::fixture::{POLICY, domain, empty, host};

#[derive(Deserialize)]
struct Recorded {
    argv: Vec<String>,
    stdin: String,
    exit: i32,
    stdout: String,
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
        Reply::Deploy(result) => result.map(|id| format!("{id}\n")).map_err(|failure| failure.message),
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
