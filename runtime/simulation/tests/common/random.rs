//! Random effects on few names, so that they meet.

use proptest::collection::vec;
use proptest::prelude::*;
use remotes_effect::libvirt::{Bandwidth, CopyTarget, Scope};
use remotes_effect::types::{Node, Place};
use remotes_effect::{Effect, clock, filesystem, image, libvirt, tools, transfer};

use super::common::{ONE, OTHER_UUID, UUID, archive, description, migration};

/// What one random effect is made of.
#[derive(Debug, Clone)]
pub struct Seed {
    pub kind: u8,
    pub paths: (String, String),
    pub name: String,
    pub number: u64,
    pub document: String,
    pub flags: (bool, bool),
    pub which: usize,
    /// Where it happens, and where to: here or on the host `b`.
    pub away: (bool, bool),
}

/// Most of them below `/w`, where everything is; links are among the names.
fn path() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["a", "b", "c", "l", "m"]);
    prop_oneof![
        40 => vec(name, 1..4).prop_map(|names| format!("/w/{}", names.join("/"))),
        1 => Just("/w".to_owned()),
        1 => Just("/".to_owned()),
        1 => Just("//w/./a/".to_owned()),
        1 => Just("relative".to_owned()),
        1 => Just("/w/a/../b".to_owned()),
        1 => Just("/a".repeat(300)),
        1 => "/\\PC{0,8}",
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::sample::select(vec!["one-5", "one-6", UUID, OTHER_UUID]).prop_map(str::to_owned),
        1 => Just(UUID.to_uppercase()),
        1 => "\\PC{0,6}",
    ]
}

/// Documents of every kind, and what is nearly one.
fn document() -> impl Strategy<Value = String> {
    let machines = || {
        prop::sample::select(vec![("one-5", UUID), ("one-6", OTHER_UUID), ("one-6", UUID), ("one-5", OTHER_UUID)])
            .prop_map(|(name, uuid)| description(name, uuid))
    };
    let moment =
        "<domainsnapshot><name>NAME</name><state>running</state>PARENT<creationTime>7</creationTime></domainsnapshot>";
    prop_oneof![
        6 => machines(),
        3 => (machines(), any::<prop::sample::Index>(), "\\PC{0,3}").prop_map(|(mut text, at, with)| {
            let start = (0..=at.index(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            let end = (start + with.len()..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
            text.replace_range(start..end, &with);
            text
        }),
        6 => prop::sample::select(vec![
            "<disk type='file' device='disk'><source file='/w/a'/><target dev='vdb'/></disk>",
            "<disk type='file' device='cdrom'><target dev='sda'/></disk>",
            "<disk device='disk'><target dev='vda'/></disk>",
            "<interface type='bridge'><mac address='02:00:0a:32:00:0a'/></interface>",
            "<interface type='user'/>",
            "<hostdev mode='subsystem'><source><address bus='9' slot='1' function='0'/></source></hostdev>",
            "<memory model='dimm'><target><size unit='MiB'>64</size><node>0</node></target></memory>",
            "<channel type='unix'/>",
            "<interface type='bridge'><mac address='02:00:0a:32:00:0b'/><target dev='one-5-0'/></interface>",
            "<vm/>", "<disk/>", "<a", "",
        ]).prop_map(str::to_owned),
        6 => (prop::sample::select(vec!["s", "t", "u"]), prop::sample::select(vec!["", "s", "t", "u"])).prop_map(
            move |(name, parent)| {
                let parent = if parent.is_empty() { String::new() } else { format!("<parent><name>{parent}</name></parent>") };
                moment.replace("NAME", name).replace("PARENT", &parent)
            }
        ),
        3 => prop::sample::select(vec![
            "<domaincheckpoint><name>s</name></domaincheckpoint>",
            "<domaincheckpoint><name>t</name><creationTime>7</creationTime><parent><name>s</name></parent></domaincheckpoint>",
            "<domaincheckpoint><name>s</name><creationTime>7</creationTime><parent><name>t</name></parent></domaincheckpoint>",
            "<domaincheckpoint><disks><disk name='vda'/><disk name='sda' checkpoint='no'/></disks></domaincheckpoint>",
            "<domaincheckpoint><name>u</name><disks><disk name='sda' checkpoint='bitmap'/></disks></domaincheckpoint>",
        ]).prop_map(str::to_owned),
        1 => "\\PC{0,20}",
    ]
}

pub fn seed() -> impl Strategy<Value = Seed> {
    let numbers = prop_oneof![4 => 0u64..5, 2 => Just(0o644u64), 1 => any::<u64>(), 1 => Just(65_536u64)];
    let away = (prop::bool::weighted(0.2), prop::bool::weighted(0.4));
    ((0u8..60), (path(), path()), name(), numbers, document(), any::<(bool, bool)>(), 0usize..3, away).prop_map(
        |(kind, paths, name, number, document, flags, which, away)| Seed {
            kind,
            paths,
            name,
            number,
            document,
            flags,
            which,
            away,
        },
    )
}

impl Seed {
    /// The effect.
    pub fn effect(self) -> Effect {
        use filesystem::Effect as F;
        use libvirt::Effect as L;
        let node = |away| if away { Node::Host("b".to_owned()) } else { Node::Here };
        let on = node(self.away.0);
        let place = |path: &str| Place { on: on.clone(), path: path.to_owned() };
        let (at, target) = (place(&self.paths.0), place(&self.paths.1));
        let (domain, xml, path) = (self.name, self.document, self.paths.0.clone());
        let scope = [Scope::Live, Scope::Config, Scope::Both][self.which];
        let format = ["raw", "qcow2", "nope"][self.which].to_owned();
        let snapshot = ["s", "t", "u"][self.which].to_owned();
        let (mode, (yes, no)) = (self.number as u32, self.flags);
        let on_files = |effect| Effect::Filesystem(effect);
        match self.kind {
            0 => on_files(F::Stat { at }),
            1 => on_files(F::Entries { at }),
            2 => on_files(F::Read { at }),
            3 | 4 => on_files(F::Write { at, content: xml.into_bytes(), mode: mode & 0o777 }),
            5 | 6 => on_files(F::MakeDirectory { at, mode }),
            7 => on_files(F::ReadLink { at }),
            8 | 9 => on_files(F::Rename { source: at, target }),
            10 => on_files(F::Copy { source: at, target }),
            11 => on_files(F::SetMode { at, mode }),
            12 => on_files(F::Remove { at, recursive: yes }),
            13 => {
                let packed = match self.which {
                    0 => archive(&[("a/b", Some(b"1")), ("l/x", Some(b"2"))]),
                    1 => archive(&[("b", Some(b"1")), ("c/", None)]),
                    _ => xml.into_bytes(),
                };
                on_files(F::Unpack { at, archive: packed })
            }
            14 => Effect::Image(image::Effect::Inspect { at }),
            15 => {
                let based_on = no.then(|| image::Backing { path: target.path, format: "qcow2".into() });
                Effect::Image(image::Effect::Create { at, format, size: yes.then_some(self.number), based_on })
            }
            16 => {
                let source_format = if yes { "raw" } else { "qcow2" }.to_owned();
                Effect::Image(image::Effect::Convert { source: at, source_format, target, format })
            }
            17 => Effect::Clock(clock::Effect::Sleep { milliseconds: self.number }),
            18 => Effect::Tools(tools::Effect::Available { on, tool: domain }),
            19 | 20 => Effect::Libvirt(L::Create { on, xml, paused: yes }),
            21 => Effect::Libvirt(L::Define { on, xml }),
            22 => Effect::Libvirt(L::Undefine { on, domain }),
            23 => Effect::Libvirt(L::Find { on, domain }),
            24 => Effect::Libvirt(L::Domains { on }),
            25 => Effect::Libvirt(L::Xml { on, domain }),
            26 => Effect::Libvirt(L::Shutdown { on, domain }),
            27 => Effect::Libvirt(L::Destroy { on, domain }),
            28 => Effect::Libvirt(if yes { L::Reboot { on, domain } } else { L::Reset { on, domain } }),
            29 => Effect::Libvirt(if yes { L::Suspend { on, domain } } else { L::Resume { on, domain } }),
            30 => Effect::Libvirt(if yes { L::WakeUp { on, domain } } else { L::SyncTime { on, domain } }),
            31 => Effect::Libvirt(L::Save { on, domain, path }),
            32 => Effect::Libvirt(L::SavedXml { on, path }),
            33 => Effect::Libvirt(L::Restore { on, path, xml: yes.then_some(xml) }),
            34 => Effect::Libvirt(L::AttachDevice { on, domain, xml, scope }),
            35 => Effect::Libvirt(L::DetachDevice { on, domain, xml, scope }),
            36 => Effect::Libvirt(L::UpdateDevice { on, domain, xml, scope, force: no }),
            37 => Effect::Libvirt(L::ResizeBlock { on, domain, device: "vda".into(), bytes: self.number }),
            38 => Effect::Libvirt(L::SetVcpus { on, domain, count: mode, scope, hotpluggable: no }),
            39 => Effect::Libvirt(L::SetMemory { on, domain, kib: self.number, scope }),
            40 if yes => Effect::Libvirt(L::Metadata { on, domain, uri: ONE.into() }),
            40 => Effect::Libvirt(L::SetMetadata { on, domain, uri: ONE.into(), key: "one".into(), xml, scope }),
            41 if yes => Effect::Libvirt(L::Snapshots { on, domain }),
            41 => Effect::Libvirt(L::SnapshotCurrent { on, domain }),
            42 if yes => Effect::Libvirt(L::SnapshotXml { on, domain, snapshot }),
            42 => Effect::Libvirt(L::SnapshotCreate { on, domain, xml }),
            43 => Effect::Libvirt(L::SnapshotRedefine { on, domain, xml, current: yes }),
            44 if yes => Effect::Libvirt(L::SnapshotRevert { on, domain, snapshot, force: no }),
            44 => Effect::Libvirt(L::SnapshotDelete { on, domain, snapshot, metadata_only: no }),
            46 => on_files(F::Link { at, target: self.paths.1 }),
            47 => on_files(F::Link { at, target: ["c", "b/a", "/w/a"][self.which].to_owned() }),
            48 | 49 => {
                let target = Place { on: node(self.away.1), path: self.paths.1 };
                Effect::Transfer(transfer::Effect::Copy { source: at, target })
            }
            50 => {
                let alias = ["virtio-disk0", "net0", "sata0"][self.which].to_owned();
                Effect::Libvirt(L::UnplugDevice { on, domain, alias, seconds: mode % 50 })
            }
            51 | 52 => {
                let uri = ["qemu+ssh://b/system", "qemu:///system", "qemu+ssh://nobody/system"][self.which].to_owned();
                Effect::Libvirt(L::Migrate { on, domain, how: migration(uri, yes, no) })
            }
            53 if yes => Effect::Libvirt(L::AbortJob { on, domain }),
            53 => Effect::Libvirt(L::BlockJob { on, domain, disk: "vda".into() }),
            54 | 55 => {
                let copy = CopyTarget { path, format, block: yes };
                Effect::Libvirt(L::BlockCopy {
                    on,
                    domain,
                    disk: ["vda", "sda", "vdz"][self.which].into(),
                    target: copy,
                    shallow: no,
                })
            }
            56 => Effect::Libvirt(L::EndBlockJob { on, domain, disk: "vda".into(), pivot: yes }),
            57 if yes => Effect::Libvirt(L::Freeze { on, domain, mount_points: vec![path; self.which] }),
            57 => Effect::Libvirt(L::Thaw { on, domain, mount_points: Vec::new() }),
            58 => match self.which {
                0 => Effect::Libvirt(L::Checkpoints { on, domain }),
                1 => Effect::Libvirt(L::CheckpointXml { on, domain, checkpoint: snapshot }),
                _ if yes => {
                    Effect::Libvirt(L::CheckpointDelete { on, domain, checkpoint: snapshot, metadata_only: no })
                }
                _ => Effect::Libvirt(L::CheckpointCreate { on, domain, xml, redefine: no }),
            },
            59 => {
                let limit =
                    |wanted: bool| wanted.then_some(Bandwidth { average: mode, peak: 0, burst: self.which as u32 });
                let interface = "one-5-0".to_owned();
                Effect::Libvirt(L::SetBandwidth { on, domain, interface, inbound: limit(yes), outbound: limit(no) })
            }
            _ => Effect::Libvirt(L::GuestAgent { on, domain, command: xml, seconds: mode }),
        }
    }
}
