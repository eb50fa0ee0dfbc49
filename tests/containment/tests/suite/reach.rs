//! Drivers that have the hypervisor reach past their machine: into files, devices and programs of the host, to
//! other daemons, into other people's disks. It acts with more rights than they have.

use remotes_containment::guest::{COPIES, DEVICES, DOCUMENTS, JOBS, LISTING, MIGRATIONS};
use remotes_containment::{Ended, Guest, Trial};
use remotes_effect::libvirt::State;
use remotes_effect::policy::Policy;
use remotes_effect::types::FailureKind;
use remotes_effect::vmm::Call;
use remotes_sandbox::RunError;
use remotes_simulation::Simulation;

use crate::common::{FOREIGN, LIBVIRT, assert_refused, assert_unchanged, host};

/// What a driver of machines usually has.
fn grants() -> String {
    format!(
        "{LIBVIRT}migration-targets = [\"qemu+ssh://node*/system\"]\nprograms = [\"/usr/bin/qemu-system-*\"]\n\
         network-storage = [\"rbd\"]\n[paths]\n\"/var/lib/one/datastores\" = \"rw\"\n\"/usr/share/OVMF\" = \"ro\"\n"
    )
}

/// Devices that reach past the machine they are plugged into; `L` is the folder of the driver's own files.
const DEVICES_OUT: &[&str] = &[
    // Plainly.
    "<disk type='file'><source file='/etc/shadow'/><target dev='vdb'/></disk>",
    "<disk type='block'><source dev='/dev/sda'/><target dev='vdb'/></disk>",
    "<disk type='dir'><source dir='/etc'/><target dev='vdb'/></disk>",
    "<disk type='file'><source file='/usr/share/OVMF/OVMF_CODE.fd'/><target dev='vdb'/></disk>",
    "<disk type='network'><source protocol='nbd' name='x'><host name='db' port='1'/></source></disk>",
    "<disk type='network'><source protocol='http' name='latest'><host name='169.254.169.254'/></source></disk>",
    "<disk type='network'><source protocol='ssh' name='/etc/shadow'><host name='localhost'/></source></disk>",
    "<disk type='volume'><source pool='default' volume='x'/></disk>",
    "<filesystem type='mount'><source dir='/'/><target dir='root'/></filesystem>",
    "<hostdev mode='subsystem' type='usb'><source><vendor id='1'/><product id='2'/></source></hostdev>",
    "<hostdev mode='subsystem' type='pci'><source><address bus='0'/></source></hostdev>",
    "<hostdev mode='capabilities' type='storage'><source><block>/dev/sda</block></source></hostdev>",
    "<interface type='hostdev'><source><address type='pci' bus='0'/></source></interface>",
    "<interface type='ethernet'><script path='L/up'/></interface>",
    "<interface type='vhostuser'><source type='unix' path='/run/libvirt/libvirt-sock' mode='client'/></interface>",
    "<serial type='file'><source path='/etc/cron.d/x'/></serial>",
    "<serial type='dev'><source path='/dev/mem'/></serial>",
    "<serial type='pipe'><source path='/run/initctl'/></serial>",
    "<console type='pty'><log file='/root/.ssh/authorized_keys'/></console>",
    "<channel type='unix'><source mode='connect' path='/run/libvirt/libvirt-sock'/></channel>",
    "<rng model='virtio'><backend model='random'>/etc/shadow</backend></rng>",
    "<tpm><backend type='passthrough'><device path='/dev/tpm0'/></backend></tpm>",
    "<input type='passthrough'><source evdev='/dev/input/event0'/></input>",
    "<redirdev bus='usb' type='tcp'><source mode='connect' host='db' service='1'/></redirdev>",
    "<memory model='nvdimm'><source><path>/dev/sda</path></source></memory>",
    "<emulator>/bin/sh</emulator>",
    "<graphics type='vnc' socket='/run/x'/>",
    // Behind something harmless.
    "<disk type='file'><source file='L/disk.2'/><backingStore type='file'><source file='/etc/shadow'/></backingStore></disk>",
    "<disk type='file'><source file='L/disk.2'><dataStore type='file'><source file='/etc/shadow'/></dataStore></source></disk>",
    "<disk type='file'><source file='L/disk.2'/><mirror type='file'><source file='/etc/x'/></mirror></disk>",
    "<disk type='file'><source file='L/disk.2'/><source file='/etc/shadow'/></disk>",
    "<disk type='file'><source file='L/disk.2' startupPolicy='optional'><reservations><source path='/run/x'/></reservations></source></disk>",
    // Spelt so that it is missed.
    "<disk type='file'><source file='&#47;etc&#x2f;shadow'/></disk>",
    "<disk type='file'><source file='L/../../../../../../etc/shadow'/></disk>",
    "<disk type='file'><source file='//etc//shadow'/></disk>",
    "<disk type='file'><source file='etc/shadow'/></disk>",
    "<disk type='block'><source dev='dev/sda'/></disk>",
    "<disk type='file'><source file='json:{\"driver\":\"file\",\"filename\":\"/etc/shadow\"}'/></disk>",
    "<disk type='file'><source file='nbd:unix:/run/x'/></disk>",
    "<disk type='file'><source xmlns:x='u' file='L/disk.2' x:file='/etc/shadow'/></disk>",
    "<x:disk xmlns:x='u' type='file'><source file='/etc/shadow'/></x:disk>",
    "<disk xmlns='u' type='file'><source file='/etc/shadow'/></disk>",
    "<disk type='network'><source xmlns:x='u' x:protocol='nbd' name='x'/></disk>",
    "<interface xmlns:x='u' x:type='hostdev' type='bridge'><source bridge='br0'/></interface>",
    "<disk type='file'><!-- --><source file='/etc/shadow'/><!-- --></disk>",
    "<!DOCTYPE disk [<!ENTITY e '/etc/shadow'>]><disk type='file'><source file='&e;'/></disk>",
    "<!DOCTYPE disk SYSTEM 'file:///etc/shadow'><disk/>",
    "<?xml version='1.0' encoding='UTF-7'?><disk type='file'><source file='+AC8-etc+AC8-shadow'/></disk>",
    "<disk type='file'><metadata><source file='/etc/shadow'/></metadata></disk>",
    "<disk type='file'><readonly/><source file='/etc/shadow'/></disk>",
    "<rng model='virtio'><backend model='random'>/dev/<b>mem</b></backend></rng>",
];

/// Parts of a domain's description that reach past the machine, outside of `<devices>`.
const PARTS_OUT: &[&str] = &[
    "<os><kernel>/boot/vmlinuz</kernel></os>",
    "<os><initrd>L/../../../../../../etc/shadow</initrd></os>",
    "<os><kernel>L/<b>../../../../../../etc/shadow</b></kernel></os>",
    "<os><nvram>/etc/cron.d/x</nvram></os>",
    "<os><nvram template='/etc/shadow'>L/vm_VARS.fd</nvram></os>",
    "<os><loader>/etc/shadow</loader></os>",
    "<os><acpi><table type='slic'>/etc/shadow</table></acpi></os>",
    "<devices/><devices><disk type='file'><source file='/etc/shadow'/></disk></devices>",
    "<x:devices xmlns:x='u'><hostdev mode='subsystem' type='usb'/></x:devices>",
    "<q:commandline xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'><q:arg value='-S'/></q:commandline>",
    "<commandline xmlns='http://libvirt.org/schemas/domain/qemu/1.0'><arg value='-S'/></commandline>",
    "<q:override xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'/>",
    "<seclabel type='none'/>",
    "<seclabel type='static' model='dac'><label>root:root</label></seclabel>",
    "<sysinfo type='fwcfg'><entry name='opt/x' file='/etc/shadow'/></sysinfo>",
    "<bootloader>/bin/sh</bootloader>",
    // Over which libvirt's daemon would work for minutes, or end.
    "<vcpu>4000000000</vcpu>",
    "<iothreads>4294967290</iothreads>",
    "<devices><disk type='file'><target dev='hdaaaaaa'/></disk></devices>",
    "<devices><disk type='file'><address type='drive' controller='100000'/></disk></devices>",
];

fn placed(text: &str) -> String {
    text.replace('L', "/var/lib/one/datastores/0/5")
}

/// The host, asking the policy as the real executor does.
fn asked(trial: &Trial) -> Simulation {
    host().policy(Policy::clone(&trial.policy()))
}

/// Hands a document to the guest: each of these effects is refused, and the host is as it was.
fn refused(guest: Guest, document: &str, effects: &[&str]) -> Ended<Simulation> {
    let checkpoint = "/var/lib/one/datastores/0/5/checkpoint".to_owned();
    let call = Call::Reboot { deploy_id: "one-5".into(), host: checkpoint, action: document.to_owned() };
    let trial = Trial::of(guest).granting(&grants()).calling(call);
    let before = asked(&trial);
    let ended = trial.on(before.clone());
    ended.assert_done();
    for effect in effects {
        let asked = ended.journal.entries.iter().filter(|entry| entry.effect.name() == *effect).count();
        let failures = ended.journal.failures(effect);
        assert!(asked > 0 && failures.len() == asked, "{effect} of {document}: {failures:?}");
        for failure in failures {
            assert!(matches!(failure.kind, FailureKind::Denied | FailureKind::Invalid), "{document}: {failure:?}");
        }
    }
    assert_unchanged(&before, &ended);
    ended
}

const PLUGGING: &[&str] = &[
    "libvirt.attach-device",
    "libvirt.update-device",
    "libvirt.snapshot-create",
    "libvirt.snapshot-redefine",
    "libvirt.checkpoint-create",
];

#[test]
pub fn devices() {
    for device in DEVICES_OUT {
        refused(DEVICES, &placed(device), PLUGGING);
    }
}

/// The same inside of what snapshots and checkpoints are described by.
#[test]
fn snapshots_that_name_others_files() {
    for document in [
        "<domainsnapshot><disks><disk name='vda' snapshot='external'><source file='/etc/x'/></disk></disks></domainsnapshot>",
        "<domainsnapshot><memory snapshot='external' file='/etc/x'/></domainsnapshot>",
        "<domainsnapshot><domain><devices><disk type='file'><source file='/etc/shadow'/></disk></devices></domain></domainsnapshot>",
        "<domainsnapshot><inactiveDomain><os><kernel>/etc/shadow</kernel></os></inactiveDomain></domainsnapshot>",
        "<domaincheckpoint><domain><devices><emulator>/bin/sh</emulator></devices></domain></domaincheckpoint>",
    ] {
        refused(DEVICES, document, PLUGGING);
    }
}

/// Documents that keep a parser busy are refused before one looks at them.
#[test]
fn devices_that_are_laborious() {
    let attributes: String = (0..160_000).map(|number| format!("a{number}='' ")).collect();
    for document in [
        format!("<disk {attributes}/>"),
        format!("<disk>{}</disk>", "<a/>".repeat(1_500_000)),
        "<disk>".repeat(100_000),
    ] {
        refused(DEVICES, &document, PLUGGING);
    }
}

#[test]
fn descriptions_that_reach_out() {
    let devices = DEVICES_OUT.iter().filter(|device| !device.starts_with("<!") && !device.starts_with("<?"));
    let devices = devices.map(|device| format!("<devices>{device}</devices>"));
    for inner in devices.chain(PARTS_OUT.iter().map(|part| (*part).to_owned())) {
        let document = format!("<domain type='kvm'><name>one-9</name>{}</domain>", placed(&inner));
        refused(DOCUMENTS, &document, &["libvirt.create", "libvirt.define", "libvirt.restore"]);
    }
}

#[test]
pub fn jobs() {
    let upper = FOREIGN.to_uppercase();
    for name in ["db-1", FOREIGN, &upper, "2", "", "one", "xone-5", "one-5/../../db-1", "db-1\none-5", "*"] {
        let path = "/var/lib/one/datastores/0/5/disk.0";
        let trial = Trial::of(JOBS).granting(&grants()).with(name, path);
        let before = asked(&trial);
        let ended = trial.on(before.clone());
        ended.assert_done();
        let mut tried = 0;
        for entry in ended.journal.entries.iter().filter(|entry| entry.effect.name().starts_with("libvirt.")) {
            let failure = entry.answer.as_ref().and_then(remotes_effect::Answer::failure);
            let failure = failure.unwrap_or_else(|| panic!("{name:?}: {:?} was not refused", entry.effect));
            assert_eq!(failure.kind, FailureKind::Denied, "{name:?}: {failure:?}");
            assert!(failure.message.contains("`domains` under [libvirt]"), "{failure:?}");
            tried += 1;
        }
        assert_eq!(tried, 13);
        assert_unchanged(&before, &ended);
    }
}

/// Addresses that are other hosts, or hold commands, sockets or options.
#[test]
pub fn migrations() {
    let uris = [
        "qemu+ssh://elsewhere/system",
        "qemu+ssh://node2/session",
        "qemu:///system",
        "qemu+tcp://node2/system",
        "qemu+ext://node2/system?command=/bin/sh",
        "qemu+ssh://node2/system?netcat=/bin/sh",
        "qemu+ssh://node2/system?socket=/tmp/mine",
        "qemu+ssh://node2/system#x",
        "qemu+ssh://-oProxyCommand=id/system",
        "qemu+ssh://node2/system\n",
        "qemu+ssh://elsewhere/node2/system",
        "tcp://elsewhere:49152",
        "unix:///var/run/x",
        "",
        "-c",
    ];
    let call =
        Call::Reboot { deploy_id: "one-5".into(), host: "qemu+ssh://node2/system".into(), action: uris.join("\u{1f}") };
    let trial = Trial::of(MIGRATIONS).granting(&grants()).calling(call);
    let before = asked(&trial);
    let ended = trial.on(before.clone());
    ended.assert_done();
    let failures = ended.journal.failures("libvirt.migrate");
    assert_eq!(failures.len(), 2 * uris.len());
    for failure in failures {
        assert!(matches!(failure.kind, FailureKind::Denied | FailureKind::Invalid), "{failure:?}");
    }
    assert_unchanged(&before, &ended);
    // Without the grant there is nowhere to go.
    let trial = Trial::of(MIGRATIONS).granting(LIBVIRT).with("one-5", "qemu+ssh://node2/system");
    let before = asked(&trial);
    let ended = trial.on(before.clone());
    assert_refused(&ended, "libvirt.migrate", FailureKind::Denied, "`migration-targets` under [libvirt]");
    assert_unchanged(&before, &ended);
}

#[test]
pub fn copies() {
    let paths = [
        "/etc/cron.d/x",
        "/dev/sda",
        "/usr/share/OVMF/OVMF_VARS.fd",
        "/var/lib/one/datastores/../../../etc/x",
        "/var/lib/one/datastores2/x",
        "/var/lib/one/datastores",
        "etc/cron.d/x",
        "dev/sda",
        "json:{\"driver\":\"file\",\"filename\":\"/etc/x\"}",
        "nbd://elsewhere/x",
        "",
    ];
    let trial = Trial::of(COPIES).granting(&grants()).with("one-5", &paths.join("\n"));
    let before = asked(&trial);
    let ended = trial.on(before.clone());
    ended.assert_done();
    let failures = ended.journal.failures("libvirt.block-copy");
    assert_eq!(failures.len(), 3 * paths.len());
    for failure in failures {
        assert!(matches!(failure.kind, FailureKind::Denied | FailureKind::Invalid), "{failure:?}");
    }
    assert_unchanged(&before, &ended);
}

/// A host of 10,000 machines: those of others stay unseen, and the list counts against the driver's memory.
#[test]
fn a_host_of_ten_thousand_machines() {
    let mut crowd = host();
    for number in 0..10_000 {
        let name = if number % 100 == 0 { format!("one-{}", 100 + number) } else { format!("db-{}", 100 + number) };
        crowd = crowd.domain(&format!("<domain type='kvm'><name>{name}</name></domain>"), State::Running);
    }
    let trial = Trial::of(LISTING).granting(LIBVIRT);
    let before = crowd.clone().policy(Policy::clone(&trial.policy()));
    let ended = trial.on(before.clone());
    ended.assert_done();
    assert_eq!(ended.journal.logged().len(), 101);
    assert!(ended.journal.logged().iter().all(|name| name.starts_with("one-")));
    assert_unchanged(&before, &ended);
    // All of them granted, to a driver that has no room for them.
    let trial = Trial::of(LISTING).granting("[libvirt]\nuris = [\"qemu:///system\"]\ndomains = [\"**\"]\n");
    let trial = trial.limits(|limits| limits.memory_mib = 1);
    let before = crowd.policy(Policy::clone(&trial.policy()));
    let ended = trial.on(before.clone());
    assert!(!matches!(ended.error(), RunError::Deadline(_)), "{}", ended.error());
    assert_eq!(ended.journal.logged(), [""; 0]);
    assert_unchanged(&before, &ended);
}
