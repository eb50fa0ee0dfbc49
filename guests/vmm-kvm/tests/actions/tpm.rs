//! deploy and shutdown: the state of an emulated TPM

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remotes_sdk::testing::{Outcome, Simulation};

use crate::deploy::deploy;
use crate::fixture::*;
use crate::shutdown::shutdown;

const KEPT: &str = "/var/lib/one/datastores/101/1/tpm/tpm2-00.permall";
const CLEAN: &str = "/var/lib/one/datastores/101/1";

fn with_tpm() -> String {
    domain(&format!("{OS}<devices><tpm model='tpm-tis'><backend type='emulator' version='2.0'/></tpm></devices>"))
}

/// `vm.xml` with this state in the user's template.
fn vm(state: &str) -> String {
    format!("<VM><ID>1</ID><USER_TEMPLATE><TPM_STATE><![CDATA[{state}]]></TPM_STATE></USER_TEMPLATE></VM>")
}

/// An archive as a backup has it.
pub fn archive(files: &[(&str, &str)]) -> String {
    let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        builder.append_data(&mut header, path, content.as_bytes()).unwrap();
    }
    STANDARD.encode(builder.into_inner().unwrap().finish().unwrap())
}

fn tool(simulation: Simulation) -> Simulation {
    simulation.tool("vtpm_setup")
}

#[test]
fn the_kept_state_is_handed_to_libvirt() {
    let host = host(tool(empty().file(KEPT, "state")));
    deploy(&host, &with_tpm()).value();
    assert_eq!(runs(&host, "vtpm_setup"), [["recover", UUID, CLEAN]]);
}

#[test]
fn without_a_tpm_nothing_is_done() {
    let host = host(tool(empty().file(KEPT, "state")));
    deploy(&host, &plain()).value();
    shutdown(&host).value();
    assert_eq!(runs(&host, "vtpm_setup"), Vec::<Vec<String>>::new());
}

#[test]
fn after_a_restored_backup_the_state_comes_from_the_template() {
    let state = archive(&[("tpm/tpm2-00.permall", "from backup")]);
    let host = host(tool(empty().file(&format!("{FOLDER}/vm.xml"), vm(&state))));
    deploy(&host, &with_tpm()).value();
    assert_eq!(host.simulation().here.text(KEPT), Some("from backup"));
    assert!(!host.simulation().here.exists(&format!("{CLEAN}/.tpm-state")));
    assert_eq!(runs(&host, "vtpm_setup").len(), 1);
}

#[test]
fn an_archive_cannot_touch_the_machines_other_files() {
    let state = archive(&[("disk.0", "evil"), ("vm.xml", "evil"), ("tpm/tpm2-00.permall", "x")]);
    let host =
        host(tool(empty().file(&format!("{FOLDER}/vm.xml"), vm(&state)).file(&format!("{FOLDER}/disk.0"), "disk")));
    deploy(&host, &with_tpm()).value();
    let simulation = host.simulation();
    assert_eq!(simulation.here.text(&format!("{FOLDER}/disk.0")), Some("disk"));
    assert_eq!(simulation.here.text(&format!("{FOLDER}/vm.xml")), Some(vm(&state).as_str()));
    assert_eq!(simulation.here.text(KEPT), Some("x"));
}

#[test]
fn a_broken_state_is_logged_and_the_machine_starts() {
    for state in ["%%%", "aGVsbG8=", &archive(&[("other", "x")])] {
        let host = host(tool(empty().file(&format!("{FOLDER}/vm.xml"), vm(state))));
        let call = deploy(&host, &with_tpm());
        assert!(
            call.log()[0].starts_with("warning: TPM_STATE of the virtual machine's template is not used"),
            "{state}"
        );
        call.value();
        assert!(!host.simulation().here.exists(&format!("{CLEAN}/tpm")));
    }
}

#[test]
fn a_kept_state_that_cannot_be_handed_over_ends_the_deploy() {
    let failed = Outcome { status: 1, stdout: vec![], stderr: b"cp: cannot stat\n".to_vec() };
    let host = host(empty().file(KEPT, "state").tool_outcome("vtpm_setup", failed));
    let call = deploy(&host, &with_tpm());
    assert_eq!(call.failure().message, format!("Could not create domain from {DEPLOYMENT}"));
    assert_eq!(host.simulation().domains().count(), 0);
}

fn outcome(status: i32, stderr: &str) -> Outcome {
    Outcome { status, stdout: vec![], stderr: stderr.into() }
}

/// The stock tool goes on after what failed: its status is that of its last command.
#[test]
fn a_hand_over_counts_by_what_is_there_and_what_is_said() {
    for (kept, said, starts) in [
        (Some("state"), "", true),
        (Some("state"), "sudo: unable to resolve host node1: Name or service not known\n", true),
        (Some("state"), "bash: warning: setlocale: LC_ALL: cannot change locale (C.UTF-8)\n", true),
        (Some("state"), "cp: cannot open '/d/tpm/tpm2-00.permall' for reading: Permission denied\n", false),
        (Some(""), "", false),
        (None, "", false),
    ] {
        let world = empty().tool_outcome("vtpm_setup", outcome(0, said)).directory(&format!("{CLEAN}/tpm"));
        let host = host(match kept {
            Some(content) => world.file(KEPT, content),
            None => world,
        });
        let call = deploy(&host, &with_tpm());
        assert_eq!(host.simulation().domains().count(), usize::from(starts), "{kept:?} {said}");
        match starts {
            true => drop(call.value()),
            false => assert_eq!(call.failure().message, format!("Could not create domain from {DEPLOYMENT}")),
        }
    }
}

#[test]
fn a_shutdown_says_where_nothing_was_kept() {
    let told = |world: Simulation| {
        let call = shutdown(&host(world));
        call.log().iter().any(|line| line.starts_with("warning: the TPM's state is not kept"))
    };
    let world = |said| running(&with_tpm()).tool_outcome("vtpm_setup", outcome(0, said));
    assert!(!told(world("").file(KEPT, "state")));
    assert!(told(world("")));
    assert!(told(world("").file(KEPT, "")));
    assert!(told(world("cp: error writing: No space left on device\n").file(KEPT, "state")));
}

#[test]
fn a_state_beside_what_programs_have_said_is_found() {
    let state = archive(&[("tpm/tpm2-00.permall", "from backup")]);
    let said = "<ERROR><![CDATA[\u{1b}[31mred]]></ERROR><TPM_STATE>";
    let vm = vm(&state).replace("<TPM_STATE>", said);
    let host = host(tool(empty().file(&format!("{FOLDER}/vm.xml"), vm)));
    deploy(&host, &with_tpm()).value();
    assert_eq!(host.simulation().here.text(KEPT), Some("from backup"));
}

#[test]
fn without_the_tool_the_state_is_left_alone() {
    let host = host(empty().file(KEPT, "state"));
    let call = deploy(&host, &with_tpm());
    assert!(call.log()[0].contains("vtpm_setup is not available"), "{:?}", call.log());
    call.value();
    assert_eq!(host.simulation().here.text(KEPT), Some("state"));
}

#[test]
fn a_shutdown_keeps_the_state_before_libvirt_drops_it() {
    let host = host(tool(running(&with_tpm())));
    let call = shutdown(&host);
    let names = call.names();
    let position = |name| names.iter().position(|other| *other == name).unwrap();
    assert!(position("tools.run") < position("libvirt.shutdown"));
    call.value();
    assert_eq!(runs(&host, "vtpm_setup"), [["backup", UUID, CLEAN]]);
}

/// What a template brings along must not send the state into another machine's folder.
#[test]
fn the_folder_is_the_one_that_oned_notes() {
    let other = "<x:vm xmlns:x='urn:x'><x:system_datastore>/var/lib/one/datastores/101/2</x:system_datastore></x:vm>";
    let description = with_tpm().replace("<metadata>", &format!("<metadata>{other}"));
    let host = host(tool(running(&description)));
    shutdown(&host).value();
    assert_eq!(runs(&host, "vtpm_setup"), [["backup", UUID, CLEAN]]);
}

#[test]
fn a_state_that_cannot_be_kept_does_not_keep_the_machine_running() {
    let failed = Outcome { status: 1, stdout: vec![], stderr: vec![] };
    let host = host(running(&with_tpm()).tool_outcome("vtpm_setup", failed));
    let call = shutdown(&host);
    assert!(call.log().iter().any(|line| line.starts_with("warning: the TPM's state is not kept")), "{:?}", call.log());
    call.value();
}
