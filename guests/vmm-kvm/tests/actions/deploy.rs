//! deploy: files, links, the domain, snapshots

use remotes_sdk::testing::{Call, Host, Outcome, State};
use remotes_sdk::{Failure, FailureKind, Vmm};
use vmm_kvm::Kvm;

use crate::fixture::*;

pub fn deploy(host: &Host, description: &str) -> Call<String> {
    host.call(|| Kvm::deploy(DEPLOYMENT.into(), description.into(), "node1".into()))
}

#[test]
fn the_domain_runs_and_its_uuid_is_the_answer() {
    let host = host(empty());
    let call = deploy(&host, &plain());
    assert_eq!(
        call.names(),
        ["filesystem.make-directory", "filesystem.write", "configuration.get", "libvirt.create", "filesystem.entries"]
    );
    assert_eq!(call.value(), UUID);
    let simulation = host.simulation();
    assert_eq!(simulation.here.text(DEPLOYMENT), Some(plain().as_str()));
    let domain = simulation.here.find("one-1").unwrap();
    assert_eq!((domain.state, domain.config.is_some()), (State::Running, false));
}

#[test]
fn the_deployment_file_is_for_oneadmin_alone() {
    let host = host(empty());
    deploy(&host, &plain()).value();
    assert_eq!(host.simulation().here.files.file(DEPLOYMENT).unwrap().mode, 0o600);
}

#[test]
fn the_folder_is_made_where_it_is_missing() {
    let host = host(empty());
    let file = "/var/lib/one//datastores/105/7/deployment.3";
    host.call(|| Kvm::deploy(file.into(), plain(), "node1".into())).value();
    assert_eq!(host.simulation().here.text(file), Some(plain().as_str()));
}

#[test]
fn a_domain_that_runs_already_is_left_alone() {
    let host = host(running(&plain()));
    let call = deploy(&host, &plain());
    assert_eq!(call.failure(), &Failure::exists(format!("Could not create domain from {DEPLOYMENT}")));
    assert!(call.log()[0].contains("already active"), "{:?}", call.log());
    assert_eq!(host.simulation().here.find(UUID).unwrap().state, State::Running);
}

#[test]
fn a_description_that_is_none_changes_nothing() {
    for text in ["", "<domain", "<domain><name>one-1</name></domain", "<a>&b;</a>"] {
        let host = host(empty());
        let call = deploy(&host, text);
        assert_eq!(call.failure().kind, FailureKind::Invalid, "{text}");
        assert_eq!(call.failure().message, format!("Could not create domain from {DEPLOYMENT}"));
        assert_eq!(call.names(), Vec::<&str>::new());
    }
}

#[test]
fn a_description_of_another_domain_is_denied() {
    let host = host(empty());
    let call = deploy(&host, &plain().replace("one-1", "production-db"));
    assert_eq!(call.failure().kind, FailureKind::Denied);
    assert_eq!(host.simulation().domains().count(), 0);
}

/// The file disk `disk.N` with other attributes around, in either quotes.
fn disks(paths: &[&str]) -> String {
    let disks: String = paths
        .iter()
        .enumerate()
        .map(|(i, path)| {
            format!("<disk type='file' device='disk'><source file='{path}'/><target dev='vd{i}' bus='virtio'/></disk>")
        })
        .collect();
    domain(&format!("{OS}<devices>{disks}</devices>"))
}

#[test]
fn links_of_disks_are_resolved_one_level() {
    let folder = "/var/lib/one/datastores/101/1";
    let host = host(
        empty()
            .file(&format!("{folder}/disk.0.snap/1"), "image")
            .link(&format!("{folder}/disk.0"), "disk.0.snap/1")
            .file("/var/lib/one/datastores/100/image", "image")
            .link("/var/lib/one/datastores/100/link", "image")
            .link(&format!("{folder}/disk.1"), "/var/lib/one//datastores/100/link")
            .file(&format!("{folder}/disk.2"), "image")
            .link(&format!("{folder}/disk.3"), "nowhere")
            .link(&format!("{folder}/disk.x"), "disk.2"),
    );
    let paths = ["disk.0", "disk.1", "disk.2", "disk.3", "disk.x", "disk.4"].map(|name| format!("{FOLDER}/{name}"));
    let description = disks(&paths.each_ref().map(String::as_str));
    deploy(&host, &description).value();
    let expected = description
        .replace(&format!("{FOLDER}/disk.0'"), &format!("{FOLDER}/disk.0.snap/1'"))
        .replace(&format!("{FOLDER}/disk.1'"), "/var/lib/one//datastores/100/link'");
    let simulation = host.simulation();
    assert_eq!(simulation.here.text(DEPLOYMENT), Some(expected.as_str()));
    assert!(simulation.here.find("one-1").unwrap().xml().contains("disk.0.snap/1"));
}

#[test]
fn links_that_go_up_are_resolved_as_they_are_written() {
    let folder = "/var/lib/one/datastores/101/1";
    for (link, target) in [
        ("../../100/image", "/var/lib/one/datastores/100/image"),
        ("./x/.././image", "/var/lib/one/datastores/101/1/image"),
        ("/var/lib/one/datastores/../datastores/100/image", "/var/lib/one/datastores/100/image"),
    ] {
        let host = host(empty().file(target, "image").link(&format!("{folder}/disk.0"), link));
        deploy(&host, &disks(&[&format!("{FOLDER}/disk.0")])).value();
        let simulation = host.simulation();
        assert!(simulation.here.text(DEPLOYMENT).unwrap().contains(&format!("'{target}'")), "{link}");
    }
    for link in [
        "../../../../../../etc/shadow",
        "../../../../../../../../../etc/shadow",
        "/var/lib/one/datastores/../../../../etc/shadow",
    ] {
        let host = host(empty().file("/etc/shadow", "secret").link(&format!("{folder}/disk.0"), link));
        let call = deploy(&host, &disks(&[&format!("{FOLDER}/disk.0")]));
        assert_eq!(call.failure().kind, FailureKind::Denied, "{link}");
        assert!(!host.simulation().here.exists(DEPLOYMENT));
    }
}

#[test]
fn only_disks_of_files_are_resolved() {
    let host = host(
        empty().link("/var/lib/one/datastores/101/1/disk.1", "disk.0").file("/var/lib/one/datastores/101/1/disk.0", ""),
    );
    let description = domain(&format!(
        "{OS}<devices><disk type='file' device='cdrom'><source file='{FOLDER}/disk.1'/><target dev='sda'/></disk>\
         <disk type='block' device='disk'><source dev='{FOLDER}/disk.1'/><target dev='vda'/></disk></devices>"
    ));
    let call = deploy(&host, &description);
    assert_eq!((call.count("filesystem.stat"), call.count("filesystem.read-link")), (0, 0));
    call.value();
}

#[test]
fn a_links_target_is_escaped_where_it_is_put() {
    let folder = "/var/lib/one/datastores/101/1";
    let host = host(empty().file(&format!("{folder}/a'b&c"), "").link(&format!("{folder}/disk.0"), "a'b&c"));
    deploy(&host, &disks(&[&format!("{FOLDER}/disk.0")])).value();
    let simulation = host.simulation();
    assert!(simulation.here.text(DEPLOYMENT).unwrap().contains("/a&apos;b&amp;c'"));
}

#[test]
fn a_link_out_of_the_granted_folders_ends_the_deploy() {
    let folder = "/var/lib/one/datastores/101/1";
    let host = host(empty().file("/etc/shadow", "secret").link(&format!("{folder}/disk.0"), "/etc/shadow"));
    let call = deploy(&host, &disks(&[&format!("{FOLDER}/disk.0")]));
    assert_eq!(call.failure().kind, FailureKind::Denied);
    assert_eq!(host.simulation().domains().count(), 0);
    assert!(!host.simulation().here.exists(DEPLOYMENT));
}

/// A snapshot's description as snapshot_create keeps it.
pub fn snapshot(id: u32, uuid: &str) -> String {
    let parent = if id > 0 { format!("<parent><name>snap-{}</name></parent>", id - 1) } else { String::new() };
    format!(
        "<domainsnapshot><name>snap-{id}</name><state>running</state>{parent}<creationTime>1700000000</creationTime>\n\
         <domain type='kvm'><name>one-1</name><uuid>{uuid}</uuid></domain>\n\
         <inactiveDomain type='kvm'><name>one-1</name><uuid>{uuid}</uuid></inactiveDomain></domainsnapshot>"
    )
}

#[test]
fn snapshots_are_redefined_parents_first_under_the_new_uuid() {
    let old = "00000000-1111-2222-3333-444444444444";
    let folder = "/var/lib/one/datastores/101/1";
    let mut simulation =
        empty().file(&format!("{folder}/snap-x.xml"), "junk").file(&format!("{folder}/snap-2"), "junk");
    for id in 0..12 {
        simulation = simulation.file(&format!("{folder}/snap-{id}.xml"), snapshot(id, old));
    }
    let host = host(simulation);
    let call = deploy(&host, &plain());
    assert!(call.log().iter().all(|line| line.contains("snap-x.xml")), "{:?}", call.log());
    call.value();
    let simulation = host.simulation();
    assert_eq!(simulation.here.find("one-1").unwrap().snapshots.len(), 12);
    assert_eq!(simulation.here.text(&format!("{folder}/snap-11.xml")), Some(snapshot(11, UUID).as_str()));
}

#[test]
fn a_snapshot_that_libvirt_refuses_does_not_stop_the_start() {
    let folder = "/var/lib/one/datastores/101/1";
    let host = host(
        empty()
            .file(&format!("{folder}/snap-0.xml"), snapshot(0, UUID))
            .file(&format!("{folder}/snap-1.xml"), snapshot(1, UUID))
            .failing("libvirt.snapshot-redefine", 1, Failure::failed("no")),
    );
    let call = deploy(&host, &plain());
    assert_eq!(call.log()[0], "warning: snap-0.xml is not redefined: no");
    assert_eq!(call.value(), UUID);
}

#[test]
fn an_unreachable_hypervisor_is_no_failed_domain() {
    let host = host(empty().failing("libvirt.create", 1, Failure::unavailable("cannot connect")));
    let call = deploy(&host, &plain());
    assert_eq!(call.failure(), &Failure::unavailable(format!("Could not create domain from {DEPLOYMENT}")));
    assert_eq!(call.log(), ["error: cannot connect"]);
}

#[test]
fn memory_is_compacted_where_the_operator_wants_it_and_can() {
    let wanted =
        |simulation: remotes_sdk::testing::Simulation| simulation.configuration("CLEANUP_MEMORY_ON_START", "yes");
    let host1 = host(wanted(empty().tool("sysctl")));
    deploy(&host1, &plain()).value();
    assert_eq!(runs(&host1, "sysctl"), [["vm.drop_caches=3", "vm.compact_memory=1"]]);

    let host2 = host(wanted(empty()));
    assert_eq!(deploy(&host2, &plain()).count("tools.run"), 0);

    let failed = Outcome { status: 1, stdout: vec![], stderr: b"sysctl: permission denied\n".to_vec() };
    let host3 = host(wanted(empty().tool_outcome("sysctl", failed)));
    let call = deploy(&host3, &plain());
    assert_eq!(call.log()[0], "error: sysctl: sysctl: permission denied");
    call.value();
}
