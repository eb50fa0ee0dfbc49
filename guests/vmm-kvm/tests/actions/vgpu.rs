//! deploy, shutdown and cancel: vGPUs

use remotes_sdk::Vmm;
use remotes_sdk::testing::{Outcome, Simulation};
use vmm_kvm::Kvm;

use crate::deploy::deploy;
use crate::fixture::*;
use crate::shutdown::shutdown;

const FILE: &str = "/var/lib/one/datastores/101/1/vm.xml";

fn with_device() -> String {
    domain(&format!(
        "{OS}<devices><hostdev mode='subsystem' type='mdev' model='vfio-pci'><source><address uuid='{UUID}'/></source>\
         </hostdev></devices>"
    ))
}

fn vm(simulation: Simulation, pci: &str) -> Simulation {
    let xml = format!("<VM><ID>1</ID><TEMPLATE><PCI><ADDRESS>00:01</ADDRESS>{pci}</PCI></TEMPLATE></VM>");
    simulation.file(FILE, xml)
}

const VGPU: &str = "<UUID><![CDATA[e4042b96-e63d-56cf-bcc8-4e6eecccf12e]]></UUID>";

#[test]
fn a_vgpu_is_made_before_and_removed_after() {
    let host = host(vm(empty(), VGPU).tool("vgpu"));
    let call = deploy(&host, &with_device());
    let names = call.names();
    assert!(names.iter().position(|n| *n == "tools.run") < names.iter().position(|n| *n == "libvirt.create"));
    call.value();
    assert_eq!(runs(&host, "vgpu"), [["CREATE", FILE]]);
    let names = shutdown(&host).names();
    assert!(names.iter().position(|n| *n == "libvirt.shutdown") < names.iter().position(|n| *n == "tools.run"));
    assert_eq!(runs(&host, "vgpu"), [["CREATE", FILE], ["DELETE", FILE]]);
}

#[test]
fn cancel_removes_it_once_the_domain_is_gone() {
    let host = host(vm(running(&with_device()), VGPU).tool("vgpu"));
    let call = host.call(|| Kvm::cancel(UUID.into(), "node1".into(), String::new()));
    assert_eq!(
        call.names(),
        [
            "libvirt.find",
            "libvirt.xml",
            "libvirt.destroy",
            "libvirt.find",
            "filesystem.read",
            "tools.available",
            "tools.run",
            "configuration.get"
        ]
    );
    call.value();
    assert_eq!(runs(&host, "vgpu"), [["DELETE", FILE]]);
}

#[test]
fn a_plain_device_of_the_host_needs_no_tool() {
    let host = host(vm(empty(), "").tool("vgpu"));
    let call = deploy(&host, &with_device());
    assert_eq!(call.count("tools.available"), 0);
    call.value();
    let call = deploy(&crate::fixture::host(empty().tool("vgpu")), &plain());
    assert_eq!(call.count("filesystem.read"), 0);
}

#[test]
fn a_failing_tool_does_not_stop_the_action() {
    let failed = || Outcome { status: 1, stdout: vec![], stderr: b"Error creating mediated device\n".to_vec() };
    let host = host(vm(empty(), VGPU).tool_outcome("vgpu", failed()));
    let call = deploy(&host, &with_device());
    assert_eq!(call.log()[0], "error: vgpu: Error creating mediated device");
    call.value();
    shutdown(&host).value();
}

#[test]
fn a_missing_vm_xml_does_not_stop_the_action() {
    let host = host(empty().tool("vgpu"));
    let call = deploy(&host, &with_device());
    assert!(call.log()[0].starts_with("warning: vGPUs are not created"), "{:?}", call.log());
    call.value();
}
