//! restore

use remotes_sdk::testing::{Agent, Call, Guest, Host, Outcome, Simulation, State};
use remotes_sdk::{Failure, FailureKind, Vmm};
use vmm_kvm::Kvm;

use crate::deploy::snapshot;
use crate::fixture::*;
use crate::save::save;

fn restore_as(host: &Host, action: String) -> Call<()> {
    host.call(|| Kvm::restore(CHECKPOINT.into(), "node1".into(), UUID.into(), 1, action))
}

fn restore(host: &Host) -> Call<()> {
    restore_as(host, action("", "qcow2"))
}

/// The host after this domain was saved.
fn saved(description: &str) -> Simulation {
    let host = host(running(description));
    save(&host, "qcow2").value();
    host.simulation()
}

fn agent() -> Guest {
    Guest { agent: Agent::answering([]), ..Guest::default() }
}

fn could_not() -> String {
    format!("Could not restore from {CHECKPOINT}")
}

#[test]
fn the_domain_runs_and_the_checkpoint_is_gone() {
    let host = host(saved(&plain()).guest("one-1", agent()));
    let call = restore(&host);
    assert_eq!(
        call.names(),
        [
            "libvirt.find",
            "tools.available",
            "libvirt.saved-xml",
            "configuration.get",
            "configuration.get",
            "libvirt.restore",
            "filesystem.remove",
            "filesystem.remove",
            "filesystem.entries",
            "configuration.get",
            "libvirt.sync-time"
        ]
    );
    assert_eq!(call.paused(), 0);
    call.value();
    let simulation = host.simulation();
    assert_eq!(simulation.here.find(UUID).unwrap().state, State::Running);
    assert!(!simulation.here.exists(CHECKPOINT));
}

/// The description that libvirt was given, if any.
fn given(call: &Call<()>) -> Option<String> {
    call.done.iter().find_map(|(effect, _)| match effect {
        remotes_effect::Effect::Libvirt(remotes_effect::libvirt::Effect::Restore { xml, .. }) => xml.clone(),
        _ => None,
    })
}

fn with_disks(paths: &[&str]) -> String {
    let disks: String = paths.iter().map(|path| format!("<disk type='file'><source file='{path}'/></disk>")).collect();
    domain(&format!("{OS}<devices>{disks}<graphics type='vnc' port='5901'/></devices>"))
}

#[test]
fn paths_follow_the_checkpoint_to_another_datastore() {
    let before = with_disks(&[
        "/var/lib/one//datastores/99/1/disk.0",
        "/var/lib/one/datastores/99/1/disk.1.snap/0",
        "/var/lib/one//datastores/101/1/disk.2",
        "/var/lib/one/datastores/99/11/disk.0",
        "/var/lib/one/datastores/99/1x/disk.0",
        "/var/lib/one/datastores/ab/1/disk.0",
        "/mnt/var/lib/one/datastores/99/1/disk.0",
        "/var/lib/one/datastores/5/abcdef",
    ]);
    let policy = POLICY.replace("[paths]\n", "[paths]\n\"/mnt/var/lib/one/datastores\" = \"rw\"\n");
    let host = Host::new(saved(&before), &policy);
    let call = restore(&host);
    let after = with_disks(&[
        "/var/lib/one//datastores/101/1/disk.0",
        "/var/lib/one//datastores/101/1/disk.1.snap/0",
        "/var/lib/one//datastores/101/1/disk.2",
        "/var/lib/one/datastores/99/11/disk.0",
        "/var/lib/one/datastores/99/1x/disk.0",
        "/var/lib/one/datastores/ab/1/disk.0",
        "/mnt/var/lib/one/datastores/99/1/disk.0",
        "/var/lib/one/datastores/5/abcdef",
    ]);
    assert_eq!(given(&call).unwrap().trim_end(), after.trim_end());
    call.value();
}

#[test]
fn the_metadata_name_the_new_folder() {
    let host = host(saved(&plain().replace("/101/1]", "/99/1]")));
    restore(&host).value();
    let simulation = host.simulation();
    assert!(simulation.here.find(UUID).unwrap().xml().contains(&format!("<![CDATA[{FOLDER}]]>")));
}

#[test]
fn without_a_move_libvirts_own_copy_is_used() {
    for path in ["/var/lib/one//datastores/101/1/disk.0", "/var/lib/one/datastores/101/1/disk.0"] {
        let host = host(saved(&with_disks(&[path])));
        let call = restore(&host);
        assert_eq!(given(&call), None, "{path}");
        call.value();
    }
}

#[test]
fn the_consoles_password_is_put_back() {
    let host = host(saved(&with_disks(&["/var/lib/one/datastores/99/1/disk.0"])));
    let call = restore_as(&host, action("<GRAPHICS><PASSWD><![CDATA[it's & so]]></PASSWD></GRAPHICS>", "qcow2"));
    let given = given(&call).unwrap();
    assert!(given.contains("<graphics passwd='it&apos;s &amp; so' type='vnc'"), "{given}");
    call.value();
}

#[test]
fn a_checkpoint_that_is_none_is_told() {
    for simulation in [empty(), empty().file(CHECKPOINT, "")] {
        let host = host(simulation);
        let call = restore(&host);
        assert_eq!(call.failure().message, format!("Could not recalculate paths in {CHECKPOINT}.xml"));
        assert_eq!(call.count("libvirt.restore"), 0);
    }
}

#[test]
fn another_domains_checkpoint_is_denied() {
    let foreign = saved(&plain()).here.text(CHECKPOINT).unwrap().replace("one-1", "production-db");
    let call = restore(&host(empty().file(CHECKPOINT, foreign)));
    assert_eq!(call.failure().kind, FailureKind::Denied);
}

#[test]
fn it_is_tried_as_often_as_the_operator_says() {
    let failing = |times| {
        (1..=times)
            .fold(saved(&plain()), |world, nth| world.failing("libvirt.restore", nth, Failure::failed("segfault")))
    };
    let host1 = host(failing(2));
    let call = restore(&host1);
    assert_eq!((call.count("libvirt.restore"), call.log().len()), (3, 3), "{:?}", call.log());
    call.value();

    let host2 = host(failing(3));
    let call = restore(&host2);
    assert_eq!((call.count("libvirt.restore"), call.paused()), (3, 2000));
    assert_eq!(call.failure(), &Failure::failed(could_not()));
    assert!(host2.simulation().here.exists(CHECKPOINT));

    let call = restore(&host(failing(1).configuration("VIRSH_RETRIES", "1")));
    assert_eq!(call.count("libvirt.restore"), 1);
    call.failure();
}

#[test]
fn a_denial_is_not_tried_again() {
    let host = host(saved(&plain()).failing("libvirt.restore", 1, Failure::denied("no")));
    assert_eq!(restore(&host).count("libvirt.restore"), 1);
}

#[test]
fn a_restore_whose_answer_is_lost_counts_by_what_it_did() {
    let host = host(saved(&plain()).losing("libvirt.restore", 1, Failure::unknown("connection lost")));
    let call = restore(&host);
    assert_eq!(call.count("libvirt.restore"), 1);
    call.value();
    assert!(!host.simulation().here.exists(CHECKPOINT));
}

#[test]
fn a_sleeping_guest_is_woken_and_the_checkpoint_untouched() {
    let host1 = host(empty().domain(&plain(), State::Suspended).file(CHECKPOINT, "checkpoint"));
    let call = restore(&host1);
    assert_eq!(call.names(), ["libvirt.find", "libvirt.wake-up"]);
    call.value();
    let simulation = host1.simulation();
    assert_eq!(simulation.here.find("one-1").unwrap().state, State::Running);
    assert_eq!(simulation.here.text(CHECKPOINT), Some("checkpoint"));

    let simulation = empty().domain(&plain(), State::Suspended);
    let host2 = host(simulation.failing("libvirt.wake-up", 1, Failure::failed("no")));
    assert_eq!(restore(&host2).failure().message, "Could not wake up VM from suspended state");
}

#[test]
fn a_domain_that_runs_already_makes_its_checkpoint_obsolete() {
    let host = host(running(&plain()).file(CHECKPOINT, "stale"));
    let call = restore(&host);
    assert_eq!(call.count("libvirt.restore"), 0);
    call.value();
    assert!(!host.simulation().here.exists(CHECKPOINT));
}

/// The checkpoint is the only copy of the machine's memory.
#[test]
fn another_machine_of_its_name_makes_no_checkpoint_obsolete() {
    const OTHER: &str = "11111111-2222-4333-8444-555555555555";
    for state in [State::Running, State::Suspended] {
        let before = saved(&plain());
        let checkpoint = before.here.text(CHECKPOINT).unwrap().to_owned();
        let host = host(before.domain(&plain().replace(UUID, OTHER), state));
        let call = restore(&host);
        assert_eq!(call.failure().message, could_not());
        assert!(call.log().iter().any(|line| line.contains("already exists with uuid")), "{:?}", call.log());
        assert_eq!(call.count("libvirt.wake-up"), 0);
        assert_eq!(host.simulation().here.text(CHECKPOINT), Some(checkpoint.as_str()));
    }
}

#[test]
fn a_lost_answer_does_not_count_where_another_machine_runs() {
    let before = saved(&plain());
    let other = plain().replace(UUID, "11111111-2222-4333-8444-555555555555");
    let world = before.domain(&other, State::Running);
    let world = (1..=3).fold(world, |world, nth| world.failing("libvirt.restore", nth, Failure::unknown("lost")));
    let host = host(world);
    restore(&host).failure();
    assert!(host.simulation().here.exists(CHECKPOINT));
}

/// One that was imported, which keeps its name; oned may know it by that.
#[test]
fn a_machine_with_a_name_of_its_own_is_restored_alike() {
    let policy = POLICY.replace("domains = [\"one-*\"]", "domains = [\"one-*\", \"wild\"]");
    let description = plain().replace("<name>one-1</name>", "<name>wild</name>");
    let old = "00000000-1111-2222-3333-444444444444";
    let file = format!("{FOLDER}/snap-0.xml");
    for id in [UUID, "wild"] {
        let kept = snapshot(0, old).replace("<name>one-1</name>", "<name>wild</name>");
        let world = running(&description).guest("wild", agent()).file(&file, kept);
        let host = Host::new(world, &policy);
        host.call(|| Kvm::save(id.into(), CHECKPOINT.into(), "node1".into(), 1, String::new())).value();
        let restore = || host.call(|| Kvm::restore(CHECKPOINT.into(), "node1".into(), id.into(), 1, String::new()));
        let call = restore();
        assert_eq!((call.count("libvirt.sync-time"), call.log().len()), (1, 0), "{:?}", call.log());
        call.value();
        assert!(host.simulation().here.find(UUID).unwrap().snapshots.contains_key("snap-0"));
        // A repeat.
        let call = restore();
        assert_eq!(call.log(), ["info: domain wild runs already; its checkpoint is obsolete"]);
        call.value();
    }
    // Who has the name is not who was saved.
    let host = Host::new(running(&description), &policy);
    host.call(|| Kvm::save(UUID.into(), CHECKPOINT.into(), "node1".into(), 1, String::new())).value();
    let other = description.replace(UUID, "11111111-2222-4333-8444-555555555555");
    let host = Host::new(host.simulation().domain(&other, State::Running), &policy);
    host.call(|| Kvm::restore(CHECKPOINT.into(), "node1".into(), "wild".into(), 1, String::new())).failure();
    assert!(host.simulation().here.exists(CHECKPOINT));
}

#[test]
fn an_unreachable_hypervisor_is_no_absent_domain() {
    let host = host(saved(&plain()).failing("libvirt.find", 1, Failure::unavailable("cannot connect")));
    let call = restore(&host);
    assert_eq!(call.failure(), &Failure::unavailable(could_not()));
    assert_eq!(call.count("libvirt.restore"), 0);
}

#[test]
fn snapshots_are_redefined() {
    let old = "00000000-1111-2222-3333-444444444444";
    let host = host(saved(&plain()).file(&format!("{FOLDER}/snap-0.xml"), snapshot(0, old)));
    restore(&host).value();
    let simulation = host.simulation();
    assert!(simulation.here.find(UUID).unwrap().snapshots.contains_key("snap-0"));
    assert_eq!(simulation.here.text(&format!("{FOLDER}/snap-0.xml")), Some(snapshot(0, UUID).as_str()));
}

#[test]
fn the_clock_is_set_only_where_there_is_an_agent_and_never_fatal() {
    let quiet = |agent| saved(&plain()).guest("one-1", Guest { agent, ..Guest::default() });
    for (agent, tries, paused) in [(Agent::NotConfigured, 1, 0), (Agent::Disconnected, 2, 1000)] {
        let host = host(quiet(agent));
        let call = restore(&host);
        assert_eq!((call.count("libvirt.sync-time"), call.paused()), (tries, paused));
        assert!(call.log()[0].starts_with("info: the guest's clock is not set"), "{:?}", call.log());
        call.value();
    }
    let host = host(quiet(Agent::NotConfigured).configuration("SYNC_TIME", "no"));
    assert_eq!(restore(&host).count("libvirt.sync-time"), 0);
}

#[test]
fn the_transfer_drivers_hook_fetches_the_checkpoint() {
    let outcome = |status| Outcome { status, stdout: vec![], stderr: b"said\n".to_vec() };
    let host1 = host(saved(&plain()).tool_outcome("restore.ceph", outcome(0)));
    let call = restore_as(&host1, action("", "ceph"));
    assert_eq!(call.log()[0], "info: restore.ceph: said");
    call.value();
    assert_eq!(runs(&host1, "restore.ceph"), [[CHECKPOINT, "node1", UUID, "1", "node1"]]);

    // On a repeat it finds nothing to fetch any more.
    let host2 = host(saved(&plain()).tool_outcome("restore.ceph", outcome(2)));
    restore_as(&host2, action("", "ceph")).value();
}

#[test]
fn memory_is_compacted_before_it() {
    let host = host(saved(&plain()).configuration("CLEANUP_MEMORY_ON_START", "yes").tool("sysctl"));
    restore(&host).value();
    assert_eq!(runs(&host, "sysctl").len(), 1);
}
