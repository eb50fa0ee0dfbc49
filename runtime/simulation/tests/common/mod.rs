//! What the tests share: documents as oned writes them, and effects without ceremony.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use remotes_effect::libvirt::{self, Bandwidth, BlockProgress, CopyTarget, Domain, Migration, Scope};
use remotes_effect::types::{Failure, FailureKind, Node, Place};
use remotes_effect::{Answer, Effect, Executor, clock, filesystem, image, tools};

pub const UUID: &str = "04bd6431-19fa-40bc-bc18-13c12d876b18";
pub const OTHER_UUID: &str = "64d22b1a-1812-4841-ba2f-39a123ed6898";
pub const ONE: &str = "http://opennebula.org/xmlns/libvirt/1.0";

/// A description as oned writes it: single quotes, CDATA, two `<devices>`.
pub fn description(name: &str, uuid: &str) -> String {
    format!(
        "<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
	<name>{name}</name>
	<title>a &amp; b</title>
	<uuid>{uuid}</uuid>
	<vcpu current='1'><![CDATA[4]]></vcpu>
	<memory>65536</memory>
	<os><type arch='x86_64' machine='q35'>hvm</type></os>
	<devices>
		<emulator><![CDATA[/usr/bin/qemu-kvm-one]]></emulator>
		<disk type='file' device='disk'>
			<source file='/var/lib/one//datastores/0/5/disk.0'/>
			<target dev='vda' bus='virtio'/>
			<driver name='qemu' type='qcow2' cache='none'/>
		</disk>
		<disk type='file' device='cdrom'>
			<source file='/var/lib/one//datastores/0/5/disk.1'/>
			<target dev='sda' bus='sata'/>
			<readonly/>
			<driver name='qemu' type='raw'/>
		</disk>
		<interface type='bridge'>
			<source bridge='onebr1'/>
			<mac address='02:00:0a:32:00:0a'/>
			<model type='virtio'/>
		</interface>
	</devices>
	<features><acpi/></features>
	<devices>
		<channel type='unix'><source mode='bind'/><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
	</devices>
	<metadata>
		<one:vm xmlns:one=\"{ONE}\"><one:system_datastore><![CDATA[/var/lib/one//datastores/0/5]]></one:system_datastore><one:uid>0</one:uid></one:vm>
	</metadata>
</domain>
"
    )
}

pub fn one_5() -> String {
    description("one-5", UUID)
}

pub fn here(path: &str) -> Place {
    Place { on: Node::Here, path: path.to_owned() }
}

/// Calls one function of an executor as an effect, and takes the answer apart.
macro_rules! calls {
    ($($capability:ident $module:ident: $name:ident $variant:ident($($argument:ident: $type:ty = $value:expr),*) -> $answer:ty;)*) => {
        $(
            pub fn $name<E: Executor>(executor: &mut E, $($argument: $type),*) -> Result<$answer, Failure> {
                let effect = $module::Effect::$variant { $($argument: $value),* };
                match executor.execute(&Effect::$capability(effect)) {
                    Answer::$capability($module::Answer::$variant(result)) => result,
                    other => panic!("answered {other:?}"),
                }
            }
        )*
    };
}

pub mod fs {
    use super::*;

    calls! {
        Filesystem filesystem: stat Stat(at: &str = here(at)) -> filesystem::Metadata;
        Filesystem filesystem: entries Entries(at: &str = here(at)) -> Vec<String>;
        Filesystem filesystem: read Read(at: &str = here(at)) -> Vec<u8>;
        Filesystem filesystem: write Write(at: &str = here(at), content: &[u8] = content.to_vec(), mode: u32 = mode) -> ();
        Filesystem filesystem: make_directory MakeDirectory(at: &str = here(at), mode: u32 = mode) -> ();
        Filesystem filesystem: read_link ReadLink(at: &str = here(at)) -> String;
        Filesystem filesystem: rename Rename(source: &str = here(source), target: &str = here(target)) -> ();
        Filesystem filesystem: copy Copy(source: &str = here(source), target: &str = here(target)) -> ();
        Filesystem filesystem: set_mode SetMode(at: &str = here(at), mode: u32 = mode) -> ();
        Filesystem filesystem: remove Remove(at: &str = here(at), recursive: bool = recursive) -> ();
        Filesystem filesystem: unpack Unpack(at: &str = here(at), archive: &[u8] = archive.to_vec()) -> u32;
        Image image: inspect Inspect(at: &str = here(at)) -> image::Info;
        Image image: create Create(at: &str = here(at), format: &str = format.to_owned(), size: Option<u64> = size, based_on: Option<image::Backing> = based_on) -> ();
        Image image: convert Convert(source: &str = here(source), source_format: &str = source_format.to_owned(), target: &str = here(target), format: &str = format.to_owned()) -> ();
    }
}

pub mod virt {
    use super::*;

    macro_rules! virt {
        ($($name:ident $variant:ident($($argument:ident: $type:ty = $value:expr),*) -> $answer:ty;)*) => {
            $(
                pub fn $name<E: Executor>(executor: &mut E, $($argument: $type),*) -> Result<$answer, Failure> {
                    let effect = libvirt::Effect::$variant { on: Node::Here, $($argument: $value),* };
                    match executor.execute(&Effect::Libvirt(effect)) {
                        Answer::Libvirt(libvirt::Answer::$variant(result)) => result,
                        other => panic!("answered {other:?}"),
                    }
                }
            )*
        };
    }

    virt! {
        create Create(xml: &str = xml.to_owned(), paused: bool = paused) -> Domain;
        define Define(xml: &str = xml.to_owned()) -> Domain;
        undefine Undefine(domain: &str = domain.to_owned()) -> ();
        find Find(domain: &str = domain.to_owned()) -> Domain;
        domains Domains() -> Vec<Domain>;
        xml Xml(domain: &str = domain.to_owned()) -> String;
        shutdown Shutdown(domain: &str = domain.to_owned()) -> ();
        destroy Destroy(domain: &str = domain.to_owned()) -> ();
        reboot Reboot(domain: &str = domain.to_owned()) -> ();
        reset Reset(domain: &str = domain.to_owned()) -> ();
        suspend Suspend(domain: &str = domain.to_owned()) -> ();
        resume Resume(domain: &str = domain.to_owned()) -> ();
        wake_up WakeUp(domain: &str = domain.to_owned()) -> ();
        sync_time SyncTime(domain: &str = domain.to_owned()) -> ();
        save Save(domain: &str = domain.to_owned(), path: &str = path.to_owned()) -> ();
        saved_xml SavedXml(path: &str = path.to_owned()) -> String;
        restore Restore(path: &str = path.to_owned(), xml: Option<&str> = xml.map(str::to_owned)) -> ();
        attach AttachDevice(domain: &str = domain.to_owned(), xml: &str = xml.to_owned(), scope: Scope = scope) -> ();
        detach DetachDevice(domain: &str = domain.to_owned(), xml: &str = xml.to_owned(), scope: Scope = scope) -> ();
        update UpdateDevice(domain: &str = domain.to_owned(), xml: &str = xml.to_owned(), scope: Scope = scope, force: bool = force) -> ();
        resize_block ResizeBlock(domain: &str = domain.to_owned(), device: &str = device.to_owned(), bytes: u64 = bytes) -> ();
        set_vcpus SetVcpus(domain: &str = domain.to_owned(), count: u32 = count, scope: Scope = scope, hotpluggable: bool = hotpluggable) -> ();
        set_memory SetMemory(domain: &str = domain.to_owned(), kib: u64 = kib, scope: Scope = scope) -> ();
        metadata Metadata(domain: &str = domain.to_owned(), uri: &str = uri.to_owned()) -> String;
        set_metadata SetMetadata(domain: &str = domain.to_owned(), uri: &str = uri.to_owned(), key: &str = key.to_owned(), xml: &str = xml.to_owned(), scope: Scope = scope) -> ();
        snapshots Snapshots(domain: &str = domain.to_owned()) -> Vec<String>;
        snapshot_current SnapshotCurrent(domain: &str = domain.to_owned()) -> Option<String>;
        snapshot_xml SnapshotXml(domain: &str = domain.to_owned(), snapshot: &str = snapshot.to_owned()) -> String;
        snapshot_create SnapshotCreate(domain: &str = domain.to_owned(), xml: &str = xml.to_owned()) -> String;
        snapshot_redefine SnapshotRedefine(domain: &str = domain.to_owned(), xml: &str = xml.to_owned(), current: bool = current) -> ();
        snapshot_revert SnapshotRevert(domain: &str = domain.to_owned(), snapshot: &str = snapshot.to_owned(), force: bool = force) -> ();
        snapshot_delete SnapshotDelete(domain: &str = domain.to_owned(), snapshot: &str = snapshot.to_owned(), metadata_only: bool = metadata_only) -> ();
        unplug UnplugDevice(domain: &str = domain.to_owned(), alias: &str = alias.to_owned(), seconds: u32 = seconds) -> bool;
        migrate Migrate(domain: &str = domain.to_owned(), how: &Migration = how.clone()) -> ();
        abort_job AbortJob(domain: &str = domain.to_owned()) -> ();
        block_copy BlockCopy(domain: &str = domain.to_owned(), disk: &str = disk.to_owned(), target: CopyTarget = target, shallow: bool = shallow) -> ();
        block_job BlockJob(domain: &str = domain.to_owned(), disk: &str = disk.to_owned()) -> Option<BlockProgress>;
        end_block_job EndBlockJob(domain: &str = domain.to_owned(), disk: &str = disk.to_owned(), pivot: bool = pivot) -> ();
        freeze Freeze(domain: &str = domain.to_owned(), mount_points: Vec<String> = mount_points) -> u32;
        thaw Thaw(domain: &str = domain.to_owned(), mount_points: Vec<String> = mount_points) -> u32;
        checkpoints Checkpoints(domain: &str = domain.to_owned()) -> Vec<String>;
        checkpoint_xml CheckpointXml(domain: &str = domain.to_owned(), checkpoint: &str = checkpoint.to_owned()) -> String;
        checkpoint_create CheckpointCreate(domain: &str = domain.to_owned(), xml: &str = xml.to_owned(), redefine: bool = redefine) -> String;
        checkpoint_delete CheckpointDelete(domain: &str = domain.to_owned(), checkpoint: &str = checkpoint.to_owned(), metadata_only: bool = metadata_only) -> ();
        set_bandwidth SetBandwidth(domain: &str = domain.to_owned(), interface: &str = interface.to_owned(), inbound: Option<Bandwidth> = inbound, outbound: Option<Bandwidth> = outbound) -> ();
        guest_agent GuestAgent(domain: &str = domain.to_owned(), command: &str = command.to_owned(), seconds: u32 = seconds) -> String;
    }
}

/// A plain migration.
pub fn migration(uri: String, paused: bool, allow_unsafe: bool) -> Migration {
    Migration {
        uri,
        paused,
        allow_unsafe,
        disks: Vec::new(),
        compressed: false,
        auto_converge: false,
        auto_converge_initial: None,
        auto_converge_increment: None,
        bandwidth: None,
        parallel_connections: None,
        peer_to_peer: false,
        tunnelled: false,
        tls: false,
        post_copy: false,
        abort_on_error: false,
        migrate_uri: None,
        listen_address: None,
        disks_port: None,
        compression: None,
        post_copy_bandwidth: None,
        suspend_after: None,
        post_copy_after: None,
    }
}

pub fn sleep<E: Executor>(executor: &mut E, milliseconds: u64) -> bool {
    match executor.execute(&Effect::Clock(clock::Effect::Sleep { milliseconds })) {
        Answer::Clock(clock::Answer::Sleep(reached)) => reached,
        other => panic!("answered {other:?}"),
    }
}

pub fn now<E: Executor>(executor: &mut E) -> u64 {
    match executor.execute(&Effect::Clock(clock::Effect::Now {})) {
        Answer::Clock(clock::Answer::Now(now)) => now,
        other => panic!("answered {other:?}"),
    }
}

pub fn run<E: Executor>(executor: &mut E, tool: &str, arguments: &[&str]) -> Result<tools::Outcome, Failure> {
    let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let effect = tools::Effect::Run { on: Node::Here, tool: tool.to_owned(), arguments, stdin: Vec::new() };
    match executor.execute(&Effect::Tools(effect)) {
        Answer::Tools(tools::Answer::Run(result)) => result,
        other => panic!("answered {other:?}"),
    }
}

/// The failure's kind and message.
pub fn refused<T: std::fmt::Debug>(result: Result<T, Failure>) -> (FailureKind, String) {
    let failure = result.unwrap_err();
    (failure.kind, failure.message)
}

/// A tar archive compressed by gzip: files where there is content, else folders.
pub fn archive(entries: &[(&str, Option<&[u8]>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (name, content) in entries {
        let mut header = tar::Header::new_ustar();
        // Written as it is: the library would refuse what a test wants to refuse.
        let bytes = name.as_bytes();
        header.as_mut_bytes()[..bytes.len()].copy_from_slice(bytes);
        header.set_mode(0o644);
        header.set_size(content.map_or(0, |content| content.len() as u64));
        header.set_entry_type(if content.is_some() { tar::EntryType::Regular } else { tar::EntryType::Directory });
        header.set_cksum();
        tar.append(&header, content.unwrap_or_default()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}
