//! A virtual machine as OpenNebula makes it, and a host for it.

use remotes_sdk::testing::{Host, Simulation, State};

pub const UUID: &str = "64d22b1a-1812-4841-ba2f-39a123ed6898";
/// The virtual machine's folder as oned writes it.
pub const FOLDER: &str = "/var/lib/one//datastores/101/1";
pub const CHECKPOINT: &str = "/var/lib/one//datastores/101/1/checkpoint";
pub const DEPLOYMENT: &str = "/var/lib/one//datastores/101/1/deployment.0";
pub const POLICY: &str = include_str!("../../policy.toml");

/// A domain's description; `inside` goes between its parts.
pub fn domain(inside: &str) -> String {
    format!(
        "<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\n\
         \t<name>one-1</name>\n\t<title>vm & co</title>\n\t<uuid>{UUID}</uuid>\n\t<memory>65536</memory>\n{inside}\n\
         \t<features>\n\t\t<acpi/>\n\t</features>\n\
         \t<metadata><one:vm xmlns:one=\"http://opennebula.org/xmlns/libvirt/1.0\">\
         <one:system_datastore><![CDATA[{FOLDER}]]></one:system_datastore></one:vm></metadata>\n</domain>\n"
    )
    .replace("vm & co", "vm &amp; co")
}

pub const OS: &str = "\t<os><type arch='x86_64' machine='q35'>hvm</type></os>";

/// The plainest description.
pub fn plain() -> String {
    domain(OS)
}

/// oned's document for an action, with these parts in the template and in the datastore's.
pub fn action(template: &str, driver: &str) -> String {
    format!(
        "<VMM_DRIVER_ACTION_DATA><HOST>node1</HOST><VM><ID>1</ID><TEMPLATE>{template}</TEMPLATE></VM>\
         <DATASTORE><ID>101</ID><TM_MAD><![CDATA[{driver}]]></TM_MAD>\
         <BASE_PATH><![CDATA[/var/lib/one//datastores/101]]></BASE_PATH></DATASTORE></VMM_DRIVER_ACTION_DATA>\n"
    )
}

/// kvmrc as it is shipped, as far as these actions use it.
pub fn configured(simulation: Simulation) -> Simulation {
    simulation
        .configuration("LIBVIRT_URI", "qemu:///system")
        .configuration("SHUTDOWN_TIMEOUT", "180")
        .configuration("FORCE_DESTROY", "yes")
        .configuration("SYNC_TIME", "yes")
        .configuration("VIRSH_RETRIES", "3")
        .configuration("CLEANUP_MEMORY_ON_STOP", "no")
        .configuration("OVMF_NVRAM", "/usr/share/OVMF/OVMF_VARS.fd")
        .directory("/var/lib/one/datastores/101/1")
}

/// The host with the domain of this description running.
pub fn running(description: &str) -> Simulation {
    configured(Simulation::new()).domain(description, State::Running)
}

/// The host without a domain.
pub fn empty() -> Simulation {
    configured(Simulation::new())
}

pub fn host(simulation: Simulation) -> Host {
    Host::new(simulation, POLICY)
}

/// Arguments of a tool's runs.
pub fn runs(host: &Host, tool: &str) -> Vec<Vec<String>> {
    let simulation = host.simulation();
    simulation
        .here
        .tools
        .0
        .get(tool)
        .map(|tool| tool.runs.iter().map(|run| run.arguments.clone()).collect())
        .unwrap_or_default()
}
