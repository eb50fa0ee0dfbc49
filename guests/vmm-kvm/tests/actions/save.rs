//! save

use remotes_sdk::testing::{Call, Host, Outcome, Simulation, State};
use remotes_sdk::{Failure, Vmm};
use vmm_kvm::Kvm;

use crate::fixture::*;

pub fn save(host: &Host, driver: &str) -> Call<()> {
    host.call(|| Kvm::save(UUID.into(), CHECKPOINT.into(), "node1".into(), 1, action("", driver)))
}

fn could_not() -> String {
    format!("Could not save {UUID} to {CHECKPOINT}")
}

fn names(host: &Host) -> Vec<String> {
    let simulation = host.simulation();
    match simulation.here.files.entry(FOLDER) {
        Some(remotes_simulation::Entry::Directory(directory)) => directory.entries.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

#[test]
fn the_memory_is_in_a_file_that_qemu_could_write() {
    let host = host(running(&plain()));
    let call = save(&host, "qcow2");
    assert_eq!(
        call.names(),
        ["libvirt.find", "filesystem.stat", "filesystem.write", "libvirt.save", "configuration.get", "tools.available"]
    );
    call.value();
    let simulation = host.simulation();
    assert_eq!(simulation.domains().count(), 0);
    let file = simulation.here.files.file(CHECKPOINT).unwrap();
    assert_eq!(file.mode, 0o666);
    assert!(file.size > 0);
}

#[test]
fn an_old_checkpoint_is_moved_aside() {
    let host = host(running(&plain()).file(CHECKPOINT, "old"));
    let call = save(&host, "qcow2");
    assert_eq!(call.log(), [format!("info: Moving old checkpoint file {CHECKPOINT}")]);
    call.value();
    let simulation = host.simulation();
    assert_eq!(simulation.here.text(&format!("{CHECKPOINT}.1767225600")), Some("old"));
    assert!(simulation.here.text(CHECKPOINT).unwrap().starts_with("LibvirtQemudSave"));
}

#[test]
fn an_empty_one_is_no_checkpoint_to_keep() {
    let host = host(running(&plain()).file(CHECKPOINT, ""));
    save(&host, "qcow2").value();
    assert_eq!(names(&host), ["checkpoint"]);
}

#[test]
fn an_old_checkpoint_that_cannot_be_moved_ends_it() {
    let host =
        host(running(&plain()).file(CHECKPOINT, "old").failing("filesystem.rename", 1, Failure::failed("EROFS")));
    let call = save(&host, "qcow2");
    assert_eq!(call.failure().message, format!("Could not move {CHECKPOINT} to {CHECKPOINT}.1767225600"));
    assert_eq!(host.simulation().here.text(CHECKPOINT), Some("old"));
    assert_eq!(host.simulation().domains().count(), 1);
}

#[test]
fn the_checkpoint_of_a_domain_that_is_gone_is_left_alone() {
    let host = host(empty().file(CHECKPOINT, "the only one"));
    let call = save(&host, "qcow2");
    assert_eq!(call.failure(), &Failure::not_found(could_not()));
    assert_eq!(host.simulation().here.text(CHECKPOINT), Some("the only one"));
    assert_eq!(names(&host), ["checkpoint"]);
}

#[test]
fn an_active_block_job_is_waited_for() {
    let busy = || Failure::busy("block copy still active: domain has active block job");
    let simulation = running(&plain()).failing("libvirt.save", 1, busy()).failing("libvirt.save", 2, busy());
    let host1 = host(simulation.clone());
    let call = save(&host1, "qcow2");
    assert_eq!((call.count("libvirt.save"), call.paused()), (3, 10_000));
    call.value();

    let host2 = host(simulation.failing("libvirt.save", 3, busy()));
    let call = save(&host2, "qcow2");
    assert_eq!(call.failure(), &Failure::busy(could_not()));
    assert_eq!(call.log(), ["error: block copy still active: domain has active block job"]);
    assert_eq!(names(&host2), Vec::<String>::new());
}

#[test]
fn other_failures_are_not_tried_again_and_leave_no_empty_checkpoint() {
    let host = host(running(&plain()).failing("libvirt.save", 1, Failure::failed("No space left on device")));
    let call = save(&host, "qcow2");
    assert_eq!(call.count("libvirt.save"), 1);
    assert_eq!(call.failure(), &Failure::failed(could_not()));
    assert_eq!(names(&host), Vec::<String>::new());
    assert_eq!(host.simulation().here.find(UUID).unwrap().state, State::Running);
}

#[test]
fn a_checkpoint_whose_answer_was_lost_is_kept() {
    let host = host(running(&plain()).losing("libvirt.save", 1, Failure::unknown("connection lost")));
    assert_eq!(save(&host, "qcow2").failure(), &Failure::unknown(could_not()));
    assert_eq!(names(&host), ["checkpoint"]);
}

#[test]
fn a_link_in_the_checkpoints_place_is_the_operators() {
    let host = host(
        running(&plain())
            .link(CHECKPOINT, "/var/lib/one/datastores/101/fast")
            .file("/var/lib/one/datastores/101/fast", ""),
    );
    save(&host, "qcow2").value();
    assert!(host.simulation().here.text("/var/lib/one/datastores/101/fast").unwrap().starts_with("LibvirtQemudSave"));
}

fn with_hook(status: i32) -> Simulation {
    let stderr = if status == 0 { vec![] } else { b"rbd: import failed\n".to_vec() };
    running(&plain()).tool_outcome("save.ceph", Outcome { status, stdout: vec![], stderr })
}

#[test]
fn the_transfer_drivers_hook_stores_the_checkpoint() {
    let host = host(with_hook(0));
    save(&host, "ceph").value();
    let simulation = host.simulation();
    let run = &simulation.here.tools.0["save.ceph"].runs[0];
    assert_eq!(run.arguments, [UUID, CHECKPOINT, "node1", "1", "node1"]);
    assert_eq!(run.stdin, action("", "ceph").into_bytes());
}

#[test]
fn other_transfer_drivers_have_none() {
    let host = host(with_hook(0));
    save(&host, "qcow2").value();
    assert_eq!(runs(&host, "save.ceph").len(), 0);
    let host = crate::fixture::host(with_hook(0));
    host.call(|| Kvm::save(UUID.into(), CHECKPOINT.into(), "node1".into(), 1, String::new())).value();
    assert_eq!(runs(&host, "save.ceph").len(), 0);
}

#[test]
fn a_checkpoint_that_cannot_be_stored_is_undone() {
    let host = host(with_hook(1));
    let call = save(&host, "ceph");
    assert_eq!(call.failure(), &Failure::failed(could_not()));
    assert_eq!(call.log()[0], "error: save.ceph: rbd: import failed");
    assert_eq!(host.simulation().here.find(UUID).unwrap().state, State::Running);
    assert_eq!(names(&host), Vec::<String>::new());
}

#[test]
fn what_cannot_be_undone_is_kept() {
    let host = host(with_hook(1).failing("libvirt.restore", 1, Failure::failed("no")));
    let call = save(&host, "ceph");
    assert_eq!(call.failure(), &Failure::failed(could_not()));
    assert!(call.log().contains(&format!("error: the domain stays saved in {CHECKPOINT}: no")), "{:?}", call.log());
    assert_eq!(names(&host), ["checkpoint"]);
}

#[test]
fn a_document_that_cannot_be_read_fails_before_the_guest_is_touched() {
    for action in ["garbage", "<VM/>", "<a>"] {
        let host = host(running(&plain()).file(CHECKPOINT, "old"));
        let call = host.call(|| Kvm::save(UUID.into(), CHECKPOINT.into(), "node1".into(), 1, action.into()));
        assert_eq!(call.failure().message, could_not());
        assert_eq!(call.names(), [""; 0], "{action}");
        assert_eq!(host.simulation().here.find(UUID).unwrap().state, State::Running);
    }
}

#[test]
fn a_checkpoint_outside_of_the_datastores_is_denied() {
    let host = host(running(&plain()));
    let call = host.call(|| Kvm::save(UUID.into(), "/etc/cron.d/x".into(), "node1".into(), 1, String::new()));
    assert_eq!(call.failure().kind, remotes_sdk::FailureKind::Denied);
    assert_eq!(host.simulation().domains().count(), 1);
}
