//! deploy: UEFI variables

use remotes_sdk::testing::{Image, Simulation};
use remotes_sdk::{Failure, FailureKind};

use crate::deploy::deploy;
use crate::fixture::*;

const NVRAM: &str = "/var/lib/one/datastores/101/1/vm_VARS.fd";
const TEMPLATE: &str = "/usr/share/OVMF/OVMF_VARS.fd";

fn uefi(attributes: &str) -> String {
    domain(&format!(
        "<os><type arch='x86_64'>hvm</type><loader>/usr/share/OVMF/OVMF_CODE.fd</loader>\
         <nvram{attributes}>{FOLDER}/vm_VARS.fd</nvram></os>"
    ))
}

fn with_template(image: Image) -> Simulation {
    empty().here(|machine| machine.image(TEMPLATE, image))
}

#[test]
fn a_new_machine_gets_a_copy_of_the_template() {
    let host = host(empty().file(TEMPLATE, "variables"));
    let call = deploy(&host, &uefi(""));
    assert_eq!((call.count("filesystem.copy"), call.count("image.convert")), (1, 0));
    call.value();
    assert_eq!(host.simulation().here.text(NVRAM), Some("variables"));
}

#[test]
fn a_template_of_another_format_is_converted() {
    for (format, wanted, attributes) in [("raw", "qcow2", " format=\"qcow2\""), ("qcow2", "raw", "")] {
        let host = host(with_template(Image::new(format, 540_672)));
        let call = deploy(&host, &uefi(attributes));
        assert_eq!((call.count("filesystem.copy"), call.count("image.convert")), (0, 1));
        call.value();
        let simulation = host.simulation();
        assert_eq!(simulation.here.files.file(NVRAM).unwrap().header().format, wanted);
    }
}

#[test]
fn the_guests_variables_are_never_reset() {
    for attributes in ["", " format=\"qcow2\""] {
        let host = host(with_template(Image::new("raw", 540_672)).file(NVRAM, "the guest's boot order"));
        let call = deploy(&host, &uefi(attributes));
        assert_eq!(call.count("image.inspect"), 0);
        call.value();
        assert_eq!(host.simulation().here.text(NVRAM), Some("the guest's boot order"));
    }
}

#[test]
fn without_a_template_libvirt_is_asked_all_the_same() {
    let host = host(empty());
    let call = deploy(&host, &uefi(""));
    assert!(call.log()[0].starts_with("warning: OVMF_NVRAM: "), "{:?}", call.log());
    assert_eq!(call.value(), UUID);
}

#[test]
fn the_template_is_the_shipped_one_unless_kvmrc_says_otherwise() {
    let other = "/usr/share/AAVMF/AAVMF_VARS.fd";
    let host = host(empty().configuration("OVMF_NVRAM", other).file(other, "arm"));
    deploy(&host, &uefi("")).value();
    assert_eq!(host.simulation().here.text(NVRAM), Some("arm"));

    let mut simulation = empty().file(TEMPLATE, "shipped");
    simulation.configuration.remove("OVMF_NVRAM");
    let host = crate::fixture::host(simulation);
    deploy(&host, &uefi("")).value();
    assert_eq!(host.simulation().here.text(NVRAM), Some("shipped"));
}

#[test]
fn a_template_outside_of_the_grant_is_not_read() {
    let host = host(empty().configuration("OVMF_NVRAM", "/etc/shadow").file("/etc/shadow", "secret"));
    assert_eq!(deploy(&host, &uefi("")).failure().kind, FailureKind::Denied);
    assert!(!host.simulation().here.exists(NVRAM));
}

#[test]
fn a_machine_named_to_escape_is_denied() {
    let host = host(empty().file(TEMPLATE, "variables"));
    let description = uefi("").replace("/vm_VARS.fd", "/../../5/disk.0_VARS.fd");
    assert_eq!(deploy(&host, &description).failure().kind, FailureKind::Denied);
}

#[test]
fn a_copy_that_fails_ends_the_deploy() {
    let simulation = empty().file(TEMPLATE, "variables");
    let host = host(simulation.failing("filesystem.copy", 1, Failure::failed("no space left on device")));
    let call = deploy(&host, &uefi(""));
    assert_eq!(call.log(), ["error: no space left on device"]);
    assert_eq!(call.failure().message, format!("Could not create domain from {DEPLOYMENT}"));
    assert_eq!(host.simulation().domains().count(), 0);
}
