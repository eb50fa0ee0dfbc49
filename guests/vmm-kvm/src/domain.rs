//! What the actions need to know of a domain.

use remotes_sdk::libvirt::{self, Domain};
use remotes_sdk::wait::retry_when;
use remotes_sdk::xml::Document;
use remotes_sdk::{Failure, FailureKind, Node, here};

use crate::metadata;

/// The domain while it is active; none when libvirt says that it is not. A failure is neither: a lost
/// connection must not pass for a domain that is gone.
pub fn active(id: &str) -> Result<Option<Domain>, Failure> {
    active_on(&here(), id)
}

/// The same on any machine. A clean-up may not know a name: none has none.
pub fn active_on(on: &Node, id: &str) -> Result<Option<Domain>, Failure> {
    if id.is_empty() {
        return Ok(None);
    }
    match libvirt::find(on, id) {
        Ok(domain) => Ok(Some(domain).filter(|domain| domain.id.is_some())),
        Err(failure) if failure.kind == FailureKind::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Ends the domain at once. That it is gone already is fine.
pub fn destroy(id: &str) -> Result<(), Failure> {
    destroy_on(&here(), id)
}

/// The same on any machine.
pub fn destroy_on(on: &Node, id: &str) -> Result<(), Failure> {
    match libvirt::destroy(on, id) {
        Err(failure) if failure.kind == FailureKind::NotFound => Ok(()),
        other => other,
    }
}

/// Whether the failure may pass by itself: the domain is held by a block job or by another call.
pub fn busy(failure: &Failure) -> bool {
    failure.kind == FailureKind::Busy || failure.message.contains("active block job")
}

/// Tries again while a block job holds the domain: three times, five seconds apart.
pub fn while_busy<T>(attempt: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
    retry_when(3, 5, busy, attempt)
}

/// Whether asking again may be answered otherwise.
pub fn passing(failure: &Failure) -> bool {
    use FailureKind::{Denied, Invalid, NotFound, Unsupported};
    !matches!(failure.kind, Denied | Invalid | NotFound | Unsupported)
}

/// The folder that oned notes. Metadata of others, which a template may bring along, come after its own.
fn directory(domain: &Document<'_>) -> Option<String> {
    let all = domain.elements("metadata/vm");
    let own = all.iter().find(|vm| vm.namespace() == Some(metadata::URI));
    own.or(all.first())?.text("system_datastore").map(|folder| folder.trim().to_owned())
}

/// What a domain's description says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// the domain's UUID
    pub uuid: Option<String>,
    /// the virtual machine's folder, as oned noted it in the metadata
    pub directory: Option<String>,
    /// there is a TPM whose state libvirt keeps on this host
    pub emulated_tpm: bool,
    /// a device of the host is passed through, a vGPU perhaps
    pub host_devices: bool,
    /// the guest can be told to power off
    pub acpi: bool,
}

impl Facts {
    /// Reads a description.
    pub fn of(domain: &Document<'_>) -> Self {
        let text = |path| domain.text(path).map(|text| text.trim().to_owned());
        Self {
            uuid: text("uuid"),
            directory: directory(domain),
            emulated_tpm: domain
                .elements("devices/tpm/backend")
                .iter()
                .any(|b| b.attribute("type") == Some("emulator")),
            host_devices: domain.first("devices/hostdev").is_some(),
            acpi: domain.first("features/acpi").is_some(),
        }
    }

    /// Asks for the description of a domain and reads it.
    pub fn live(id: &str) -> Result<Self, Failure> {
        let xml = libvirt::xml(&here(), id)?;
        Ok(Self::of(&Document::parse(&xml)?))
    }
}
