//! What the tests of this crate share.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use remotes_effect::frame::Hello;
use remotes_effect::libvirt::{CopyTarget, Effect, Migration, Scope};
use remotes_effect::policy::{Access, LibvirtGrant, PathGrants, Pattern, Policy};
use remotes_effect::types::Node;
use remotes_libvirt::Session;

pub const HERE: Node = Node::Here;
pub const FOREIGN_UUID: &str = "00000000-0000-4000-8000-000000000666";

/// A policy for domains `one-*` at this URI, with this folder to write in.
pub fn policy(uri: &str, folder: &Path) -> Policy {
    Policy {
        schema: 1,
        libvirt: Some(LibvirtGrant {
            uris: vec![Pattern(uri.to_owned())],
            domains: vec![Pattern("one-*".to_owned())],
            migration_targets: vec![Pattern(DESTINATION.to_owned())],
            guest_agent: vec!["guest-ping".to_owned()],
            programs: vec![Pattern("/usr/bin/qemu-system-*".to_owned())],
            ..LibvirtGrant::default()
        }),
        paths: PathGrants(BTreeMap::from([
            (folder.to_str().unwrap().to_owned(), Access::ReadWrite),
            ("/nowhere".to_owned(), Access::ReadWrite),
        ])),
        ..Policy::default()
    }
}

/// A session under [`policy`].
pub fn session(uri: &str, folder: &Path) -> Session {
    session_under(uri, policy(uri, folder))
}

/// A session under any policy.
pub fn session_under(uri: &str, policy: Policy) -> Session {
    Session::new(uri, &Hello::new(policy, Duration::from_secs(600)))
}

/// XML of a domain for libvirt's test driver.
pub fn domain_xml(name: &str, uuid: &str) -> String {
    format!(
        "<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory>8192</memory><currentMemory>4096</currentMemory>\
         <vcpu current='1'>4</vcpu><os><type>hvm</type></os>\
         <devices><disk type='file' device='disk'><source file='/nowhere/disk.0'/><target dev='vda'/></disk></devices>\
         </domain>"
    )
}

/// A URI of the test driver with a running domain `foreign`. Other than with `test:///default`, every
/// connection to it starts from this state.
pub fn node(folder: &Path) -> String {
    let file = folder.join("node.xml");
    std::fs::write(&file, format!("<node>{}</node>", domain_xml("foreign", FOREIGN_UUID))).unwrap();
    format!("test://{}", file.display())
}

/// A daemon that domains may be moved to.
pub const DESTINATION: &str = "test:///default";

/// A migration to this daemon, and nothing special about it.
pub fn migration(uri: &str) -> Migration {
    Migration {
        uri: uri.to_owned(),
        paused: false,
        disks: vec![],
        allow_unsafe: false,
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

/// A raw file to copy to.
pub fn copy_target(path: &str) -> CopyTarget {
    CopyTarget { path: path.to_owned(), format: "raw".to_owned(), block: false }
}

/// Every function that names a domain, about this one.
pub fn about(domain: &str, path: &str) -> Vec<Effect> {
    let (on, domain, path) = (HERE, domain.to_owned(), path.to_owned());
    let (xml, text) = ("<x/>".to_owned(), "x".to_owned());
    let scope = Scope::Live;
    macro_rules! effects {
        ($($name:ident { $($field:ident $(: $value:expr)?),* },)*) => {
            vec![$(Effect::$name { on: on.clone(), domain: domain.clone() $(, $field $(: $value)?)* },)*]
        };
    }
    effects! {
        Undefine {}, Find {}, Xml {}, Shutdown {}, Destroy {}, Reboot {}, Reset {}, Suspend {}, Resume {}, WakeUp {},
        SyncTime {},
        Save { path: path.clone() },
        AttachDevice { xml: xml.clone(), scope },
        DetachDevice { xml: xml.clone(), scope },
        UpdateDevice { xml: xml.clone(), scope, force: true },
        ResizeBlock { device: text.clone(), bytes: 1 << 20 },
        SetVcpus { count: 1, scope, hotpluggable: false },
        SetMemory { kib: 1024, scope },
        Metadata { uri: text.clone() },
        SetMetadata { uri: text.clone(), key: text.clone(), xml: xml.clone(), scope },
        Snapshots {}, SnapshotCurrent {},
        SnapshotXml { snapshot: text.clone() },
        SnapshotCreate { xml: "<domainsnapshot/>".to_owned() },
        SnapshotRedefine { xml: "<domainsnapshot/>".to_owned(), current: true },
        SnapshotRevert { snapshot: text.clone(), force: true },
        SnapshotDelete { snapshot: text.clone(), metadata_only: false },
        GuestAgent { command: r#"{"execute":"guest-ping"}"#.to_owned(), seconds: 1 },
        UnplugDevice { alias: text.clone(), seconds: 0 },
        Migrate { how: migration(DESTINATION) },
        AbortJob {},
        BlockCopy { disk: text.clone(), target: copy_target(&path), shallow: false },
        BlockJob { disk: text.clone() },
        EndBlockJob { disk: text.clone(), pivot: true },
        Freeze { mount_points: vec![text.clone()] },
        Thaw { mount_points: vec![] },
        Checkpoints {},
        CheckpointXml { checkpoint: text.clone() },
        CheckpointCreate { xml: "<domaincheckpoint/>".to_owned(), redefine: false },
        CheckpointDelete { checkpoint: text.clone(), metadata_only: false },
        SetBandwidth { interface: text.clone(), inbound: None, outbound: None },
    }
}
