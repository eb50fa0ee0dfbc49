//! What the operator grants a driver: one TOML file a driver, everything else denied.
//!
//! ```toml
//! schema = 1
//!
//! [libvirt]
//! uris = ["qemu:///system", "qemu+ssh://*/system"]
//! domains = ["one-*"]
//!
//! [paths]
//! "/var/lib/one/datastores" = "rw"
//!
//! [limits]
//! memory-mib = 64
//! ```
//!
//! A denial names the effect and the line that would allow it.

mod amounts;
mod check;
mod document;
mod domain;
mod exceptions;
mod file;
mod iptables;
mod libvirt;
mod limits;
mod links;
mod networks;
mod openvswitch;
mod paths;
mod pattern;
mod reach;
mod sriov;
mod tools;
mod tproxy;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use document::{check_encoding, domain_name};
pub use domain::{NamedFile, check_document, check_domain_document, named_images};
pub use file::PolicyError;
pub use iptables::IptablesGrant;
pub use libvirt::{DomainAccess, LibvirtGrant, is_uuid};
pub use limits::Limits;
pub use links::LinksGrant;
pub use networks::GrantedNetwork;
pub use openvswitch::OpenvswitchGrant;
pub use paths::{Access, PathGrants, beside, normalized};
pub use pattern::Pattern;
pub use sriov::SriovGrant;
pub use tools::{ArgumentPattern, ToolGrant};
pub use tproxy::TproxyGrant;

/// The version of the file's schema that this runtime reads.
pub const SCHEMA: u32 = 1;

/// One driver's grants.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Policy {
    /// Version of this schema; see [`SCHEMA`].
    pub schema: u32,
    /// The hypervisor; absent: no access.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub libvirt: Option<LibvirtGrant>,
    /// The packet filter; absent: no access.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iptables: Option<IptablesGrant>,
    /// Network links; absent: no access.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<LinksGrant>,
    /// Open vSwitch; absent: no access.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub openvswitch: Option<OpenvswitchGrant>,
    /// Virtual functions of network cards; absent: no access.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sriov: Option<SriovGrant>,
    /// Transparent proxies; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tproxy: Option<TproxyGrant>,
    /// Folders, with `ro` or `rw`.
    #[serde(default)]
    pub paths: PathGrants,
    /// Programs by name.
    #[serde(default)]
    pub tools: BTreeMap<String, ToolGrant>,
    /// Other hosts on which effects may happen, as patterns of names.
    #[serde(default)]
    pub hosts: Vec<Pattern>,
    /// The folder that these hosts have the remotes tree in; absent: where OpenNebula puts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_directory: Option<String>,
    /// Locks that it may take, as patterns of names.
    #[serde(default)]
    pub locks: Vec<Pattern>,
    /// Actions whose hooks may be run.
    #[serde(default)]
    pub hooks: Vec<String>,
    /// Configuration files, below the tree's `etc`, that the driver's keys are read from; later ones win.
    #[serde(default)]
    pub configuration: Vec<String>,
    /// File that every effect is appended to; absent: none is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<String>,
    /// What an action may use up.
    #[serde(default)]
    pub limits: Limits,
}
