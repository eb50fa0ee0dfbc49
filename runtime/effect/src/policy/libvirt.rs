//! The hypervisor: which daemons, which domains.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::amounts::check_amounts_of;
use super::domain::{check_document, check_domain_document};
use super::pattern::{Pattern, any, listed};
use super::reach::KINDS;
use super::{Access, PathGrants};
use crate::libvirt::{Effect, Migration};
use crate::types::Failure;

/// The table `[libvirt]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LibvirtGrant {
    /// Patterns of connection URIs.
    pub uris: Vec<Pattern>,
    /// Patterns of domain names.
    pub domains: Vec<Pattern>,
    /// Patterns of the daemons' URIs that running domains may be moved to.
    #[serde(default)]
    pub migration_targets: Vec<Pattern>,
    /// Commands of the guest agent that may be sent.
    #[serde(default)]
    pub guest_agent: Vec<String>,
    /// Programs that a domain may name: emulators, helpers of file systems, scripts of interfaces.
    #[serde(default)]
    pub programs: Vec<Pattern>,
    /// What may be done to domains.
    #[serde(default)]
    pub access: DomainAccess,
    /// Kinds of host devices that a domain may have: some of [`KINDS`].
    #[serde(default)]
    pub host_devices: Vec<String>,
    /// Protocols of storage reached by network, some of [`PROTOCOLS`]: `gluster` for raw images, `gluster+qcow2` for
    /// those of another format.
    #[serde(default)]
    pub network_storage: Vec<String>,
    /// Whether elements of the emulators' own namespaces (`qemu:commandline`) may pass options unseen.
    #[serde(default)]
    pub emulator_options: bool,
}

/// What may be done to the domains of a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DomainAccess {
    /// They may be looked at.
    Look,
    /// Bandwidth of their interfaces may be set as well.
    Bandwidth,
    /// Everything.
    #[default]
    Full,
}

impl DomainAccess {
    /// As a policy spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Look => "look",
            Self::Bandwidth => "bandwidth",
            Self::Full => "full",
        }
    }
}

/// A command of the guest agent. Parsed strictly: of a key that is there twice, another parser might take
/// the other value.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AgentCommand {
    execute: String,
    #[serde(default, rename = "arguments")]
    _arguments: IgnoredAny,
    #[serde(default, rename = "id")]
    _id: IgnoredAny,
}

/// Protocols of storage that libvirt knows, and `volume`, storage of libvirt's own pools.
const PROTOCOLS: [&str; 14] = [
    "ftp", "ftps", "gluster", "http", "https", "iscsi", "nbd", "nfs", "rbd", "sheepdog", "ssh", "tftp", "volume",
    "vxhs",
];

impl LibvirtGrant {
    /// Whether all that it names is known; otherwise what is not.
    pub(super) fn validate(&self) -> Result<(), String> {
        for (key, names, known) in
            [("host-devices", &self.host_devices, &KINDS[..]), ("network-storage", &self.network_storage, &PROTOCOLS)]
        {
            // Storage may have a format behind it.
            let plain = |name: &str| match name.split_once('+') {
                Some((protocol, format)) if key == "network-storage" && !format.is_empty() => protocol.to_owned(),
                _ => name.to_owned(),
            };
            if let Some(name) = names.iter().find(|name| !known.contains(&plain(name).as_str())) {
                return Err(format!("[libvirt]: {key}: {name:?} is not known; expected {}", known.join(", ")));
            }
        }
        Ok(())
    }

    /// Whether this daemon may be connected to.
    pub fn check_uri(&self, uri: &str) -> Result<(), Failure> {
        match any_uri(&self.uris, uri) {
            true => Ok(()),
            false => Err(Failure::denied(format!(
                "libvirt URI {uri}: granted are {}; `uris` under [libvirt] in the driver's policy would allow it",
                listed(&self.uris)
            ))),
        }
    }

    /// Whether a domain may be moved this way. What the daemons are to listen at, and connect to, is the
    /// operator's own configuration where it names no other host.
    pub fn check_migration(&self, how: &Migration) -> Result<(), Failure> {
        if !any_uri(&self.migration_targets, &how.uri) {
            return Err(Failure::denied(format!(
                "migration to {}: granted are {}; `migration-targets` under [libvirt] in the driver's policy would \
                 allow it",
                how.uri,
                listed(&self.migration_targets)
            )));
        }
        match &how.migrate_uri {
            Some(uri) if !any_uri(&self.migration_targets, uri) => Err(Failure::denied(format!(
                "migration by way of {uri}: granted are {}; `migration-targets` under [libvirt] in the driver's policy \
                 would allow it",
                listed(&self.migration_targets)
            ))),
            _ => Ok(()),
        }
    }

    /// Whether the domain of this name may be touched.
    pub fn check_domain(&self, name: &str) -> Result<(), Failure> {
        match any(&self.domains, name) {
            true => Ok(()),
            false => Err(Failure::denied(format!(
                "domain {name}: granted are {}; `domains` under [libvirt] in the driver's policy would allow it",
                listed(&self.domains)
            ))),
        }
    }

    /// A name is checked here; a UUID by the executor, which knows the name behind it.
    fn check_reference(&self, domain: &str) -> Result<(), Failure> {
        if is_uuid(domain) { Ok(()) } else { self.check_domain(domain) }
    }

    fn check_agent(&self, command: &str) -> Result<(), Failure> {
        let AgentCommand { execute, .. } = serde_json::from_str(command)
            .map_err(|error| Failure::invalid(format!("guest agent: expected one command as JSON object: {error}")))?;
        match self.guest_agent.contains(&execute) {
            true => Ok(()),
            false => Err(Failure::denied(format!(
                "guest agent command {execute:?}: `guest-agent` under [libvirt] in the driver's policy would allow it"
            ))),
        }
    }

    /// Whether domains may be treated so at all.
    fn check_access(&self, effect: &Effect) -> Result<(), Failure> {
        let wanted = match effect {
            Effect::SetBandwidth { .. } => DomainAccess::Bandwidth,
            effect if effect.changes() => DomainAccess::Full,
            _ => DomainAccess::Look,
        };
        if wanted <= self.access {
            return Ok(());
        }
        let (granted, wanted) = (self.access.name(), wanted.name());
        Err(Failure::denied(format!(
            "a change of a domain: granted is {granted:?}; `access = {wanted:?}` under [libvirt] in the driver's policy \
             would allow it"
        )))
    }

    /// Checks everything that the effect itself shows.
    pub(super) fn check(&self, effect: &Effect, paths: &PathGrants) -> Result<(), Failure> {
        self.check_access(effect)?;
        match effect {
            Effect::Create { xml, .. } | Effect::Define { xml, .. } => {
                check_domain_document(self, paths, xml).map(drop)
            }
            Effect::Domains { .. } => Ok(()),
            Effect::Undefine { domain, .. }
            | Effect::Find { domain, .. }
            | Effect::Xml { domain, .. }
            | Effect::Shutdown { domain, .. }
            | Effect::Destroy { domain, .. }
            | Effect::Reboot { domain, .. }
            | Effect::Reset { domain, .. }
            | Effect::Suspend { domain, .. }
            | Effect::Resume { domain, .. }
            | Effect::WakeUp { domain, .. }
            | Effect::SyncTime { domain, .. }
            | Effect::ResizeBlock { domain, .. }
            | Effect::SetVcpus { domain, .. }
            | Effect::SetMemory { domain, .. }
            | Effect::Metadata { domain, .. }
            | Effect::SetMetadata { domain, .. }
            | Effect::Snapshots { domain, .. }
            | Effect::SnapshotCurrent { domain, .. }
            | Effect::SnapshotXml { domain, .. }
            | Effect::SnapshotRevert { domain, .. }
            | Effect::SnapshotDelete { domain, .. }
            | Effect::UnplugDevice { domain, .. }
            | Effect::AbortJob { domain, .. }
            | Effect::BlockJob { domain, .. }
            | Effect::EndBlockJob { domain, .. }
            | Effect::Freeze { domain, .. }
            | Effect::Thaw { domain, .. }
            | Effect::Checkpoints { domain, .. }
            | Effect::CheckpointXml { domain, .. }
            | Effect::CheckpointDelete { domain, .. }
            | Effect::SetBandwidth { domain, .. } => self.check_reference(domain),
            // What goes may name anything.
            Effect::DetachDevice { domain, xml, .. } => {
                self.check_reference(domain)?;
                check_amounts_of(xml)
            }
            Effect::AttachDevice { domain, xml, .. }
            | Effect::UpdateDevice { domain, xml, .. }
            | Effect::SnapshotCreate { domain, xml, .. }
            | Effect::SnapshotRedefine { domain, xml, .. }
            | Effect::CheckpointCreate { domain, xml, .. } => {
                self.check_reference(domain)?;
                check_document(self, paths, xml).map(drop)
            }
            Effect::Save { domain, path, .. } => {
                self.check_reference(domain)?;
                paths.check(path, Access::ReadWrite)
            }
            Effect::Migrate { domain, how, .. } => {
                self.check_reference(domain)?;
                self.check_migration(how)
            }
            Effect::BlockCopy { domain, target, .. } => {
                self.check_reference(domain)?;
                paths.check(&target.path, Access::ReadWrite)
            }
            Effect::SavedXml { path, .. } => paths.check(path, Access::ReadOnly),
            Effect::Restore { path, xml, .. } => {
                paths.check(path, Access::ReadOnly)?;
                xml.as_deref().map_or(Ok(()), |xml| check_domain_document(self, paths, xml).map(drop))
            }
            Effect::GuestAgent { domain, command, .. } => {
                self.check_reference(domain)?;
                self.check_agent(command)
            }
        }
    }
}

/// A wildcard stands for hosts and names. It never stands for parameters, which name commands and sockets,
/// for a user, or for what ssh could take for an option.
fn any_uri(granted: &[Pattern], uri: &str) -> bool {
    let authority = uri.split_once("://").map_or(uri, |(_, rest)| rest.split('/').next().unwrap_or_default());
    let host = authority.rsplit('@').next().unwrap_or_default();
    let exact = uri.contains(['?', '#']) || authority.contains('%') || host.starts_with('-');
    granted.iter().any(|pattern| {
        let user = !authority.contains('@') || pattern.0.contains('@');
        pattern.0 == uri || (!exact && user && pattern.matches(uri))
    })
}

/// Whether this is a UUID in the form libvirt writes it.
pub fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}
