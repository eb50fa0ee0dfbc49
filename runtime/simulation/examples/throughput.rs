//! Simulated effects a second, through policy and journal: what a driver does in the life of a machine,
//! over and over. Prints one line a journal.
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::Arc;
use std::time::Instant;

use remotes_effect::journal::{Journal, Lines, Nothing};
use remotes_effect::pipeline::Pipeline;
use remotes_effect::policy::Policy;
use remotes_effect::types::{Node, Place};
use remotes_effect::{Effect, clock, configuration, filesystem, libvirt, log};
use remotes_simulation::Simulation;

const XML: &str = "<domain type='kvm'><name>one-5</name><uuid>04bd6431-19fa-40bc-bc18-13c12d876b18</uuid>
<memory>65536</memory><vcpu>1</vcpu><os><type arch='x86_64' machine='q35'>hvm</type></os><devices>
<disk type='file' device='disk'><source file='/var/lib/one/datastores/0/5/disk.0'/><target dev='vda' bus='virtio'/></disk>
</devices><features><acpi/></features></domain>";
const POLICY: &str = "schema = 1
[libvirt]
uris = [\"qemu:///system\"]
domains = [\"one-*\"]
[paths]
\"/var/lib/one/datastores\" = \"rw\"
[limits]
effects = 100000000
";

/// One life: deploy, look, reboot, save, restore, shut down, wait.
fn life() -> Vec<Effect> {
    let at = |name: &str| Place { on: Node::Here, path: format!("/var/lib/one//datastores/0/5/{name}") };
    let on = || Node::Here;
    let domain = || "04bd6431-19fa-40bc-bc18-13c12d876b18".to_owned();
    let checkpoint = || at("checkpoint").path;
    let get = |key: &str| Effect::Configuration(configuration::Effect::Get { key: key.to_owned() });
    let mut effects = vec![
        get("CLEANUP_MEMORY_ON_START"),
        Effect::Filesystem(filesystem::Effect::MakeDirectory { at: at(""), mode: 0o755 }),
        Effect::Filesystem(filesystem::Effect::Write { at: at("deployment.0"), content: XML.into(), mode: 0o644 }),
        Effect::Filesystem(filesystem::Effect::Stat { at: at("disk.0") }),
        Effect::Libvirt(libvirt::Effect::Create { on: on(), xml: XML.to_owned(), paused: false }),
        Effect::Filesystem(filesystem::Effect::Entries { at: at("") }),
        Effect::Libvirt(libvirt::Effect::Xml { on: on(), domain: domain() }),
        Effect::Libvirt(libvirt::Effect::Reboot { on: on(), domain: domain() }),
        Effect::Filesystem(filesystem::Effect::Stat { at: at("checkpoint") }),
        Effect::Filesystem(filesystem::Effect::Rename { source: at("checkpoint"), target: at("checkpoint.1") }),
        Effect::Libvirt(libvirt::Effect::Save { on: on(), domain: domain(), path: checkpoint() }),
        Effect::Libvirt(libvirt::Effect::SavedXml { on: on(), path: checkpoint() }),
        Effect::Libvirt(libvirt::Effect::Restore { on: on(), path: checkpoint(), xml: None }),
        Effect::Log(log::Effect::Write { level: log::Level::Info, message: "restored".to_owned() }),
        get("SHUTDOWN_TIMEOUT"),
        Effect::Libvirt(libvirt::Effect::Shutdown { on: on(), domain: domain() }),
    ];
    for _ in 0..2 {
        effects.push(Effect::Libvirt(libvirt::Effect::Find { on: on(), domain: domain() }));
        effects.push(Effect::Clock(clock::Effect::Sleep { milliseconds: 1000 }));
    }
    effects
}

fn measure(name: &str, journal: impl Journal) {
    let mut policy = Policy::parse(POLICY, "policy.toml".as_ref()).unwrap();
    policy.limits.log_kib = u64::MAX / 1024;
    let policy = Arc::new(policy);
    let world = Simulation::new().file("/var/lib/one/datastores/0/5/disk.0", "x").policy(policy.clone());
    let mut pipeline = Pipeline::new(policy, journal, world);
    let life = life();
    let started = Instant::now();
    for _ in 0..5_000 {
        for effect in &life {
            pipeline.perform(effect.clone()).unwrap();
        }
    }
    let rate = pipeline.effects() as f64 / started.elapsed().as_secs_f64();
    println!("{name}: {} effects, {rate:.0} a second", pipeline.effects());
}

fn main() {
    measure("journal: none", Nothing);
    let file = std::fs::File::create("/dev/null").unwrap();
    measure("journal: lines to /dev/null", Lines::new(file, "vmm/kvm/life".to_owned(), |_| ()));
}
