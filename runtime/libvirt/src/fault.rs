//! What libvirt's errors mean to a driver.

use remotes_effect::text::{one_line, shortened};
use remotes_effect::types::{Failure, FailureKind};
use virt::error::{Error, ErrorDomain, ErrorNumber};

use crate::link::Link;

/// No message is longer than this many bytes; QEMU's whole log may be part of one.
const LONGEST_MESSAGE: usize = 8 * 1024;

/// An error of libvirt's. (Crate virt's own cannot be made up, as tests have to.)
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub code: ErrorNumber,
    /// which part of libvirt it comes from
    pub domain: ErrorDomain,
    pub message: String,
}

impl From<Error> for Said {
    fn from(error: Error) -> Self {
        Self { code: error.code(), domain: error.domain(), message: error.message().to_owned() }
    }
}

/// Why a call did not succeed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// libvirt refused something that changes nothing.
    Asking(Said),
    /// libvirt refused something that changes something.
    Changing(Said),
    /// It did not get as far as libvirt, or more is known of the outcome than libvirt says.
    Refused(Failure),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Asking(error.into())
    }
}

impl From<Said> for Fault {
    fn from(said: Said) -> Self {
        Self::Asking(said)
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Self::Refused(failure)
    }
}

/// Marks the call of an effect that changes something.
pub(crate) trait Change<T> {
    /// Its failure is one of a change.
    fn changing(self) -> Result<T, Fault>;
}

impl<T, E: Into<Said>> Change<T> for Result<T, E> {
    fn changing(self) -> Result<T, Fault> {
        self.map_err(|error| Fault::Changing(error.into()))
    }
}

/// After a change was sent, a question that fails leaves its outcome open.
pub(crate) fn after_change(fault: Fault) -> Fault {
    match fault {
        Fault::Asking(said) => Fault::Changing(said),
        fault => fault,
    }
}

impl Fault {
    /// Whether what failed may have changed something.
    pub fn changing(&self) -> bool {
        matches!(self, Self::Changing(_))
    }

    /// Whether it failed because the connection was lost.
    pub fn lost(&self, link: &impl Link) -> bool {
        match self {
            Self::Refused(_) => false,
            // The daemon hands on errors of its own connections, to virtlogd say: only one that answers no
            // more is lost.
            Self::Asking(said) | Self::Changing(said) => !link.alive() || (said.on_the_way() && !link.answers()),
        }
    }

    /// The failure, on a connection that is as good as before.
    pub fn failure(&self, subject: &str) -> Failure {
        match self {
            Self::Refused(failure) => failure.clone(),
            Self::Asking(error) | Self::Changing(error) => {
                Failure { kind: error.kind(), message: format!("{subject}: {}", error.words()) }
            }
        }
    }

    /// The failure, where the connection was lost.
    pub fn after_loss(&self, subject: &str, uri: &str) -> Failure {
        match self {
            Self::Refused(failure) => failure.clone(),
            Self::Asking(error) => {
                Failure::unavailable(format!("{subject}: the connection to {uri} was lost: {}", error.words()))
            }
            Self::Changing(error) => Failure::unknown(format!(
                "{subject}: the connection to {uri} was lost before the answer came, so it may or may not have been \
                 done; look before it is repeated: {}",
                error.words()
            )),
        }
    }
}

/// The failure of an attempt to connect.
pub(crate) fn connecting(error: Error, uri: &str) -> Failure {
    let said = Said::from(error);
    let kind = match said.kind() {
        kind @ (FailureKind::Denied | FailureKind::Invalid | FailureKind::Unsupported) => kind,
        _ => FailureKind::Unavailable,
    };
    Failure { kind, message: format!("libvirt at {uri} cannot be reached: {}", said.words()) }
}

impl Said {
    /// libvirt's own words, in one line.
    pub fn words(&self) -> String {
        shortened(&one_line(&self.message), LONGEST_MESSAGE)
    }

    /// The kind that drivers see.
    pub fn kind(&self) -> FailureKind {
        kind(self.code, &self.message)
    }

    /// Whether the error may be one of the way to the daemon. `is_alive` alone would not do:
    /// a connection that delivered half a message is open and yet of no use.
    pub fn on_the_way(&self) -> bool {
        use ErrorNumber as E;
        self.domain == ErrorDomain::Rpc
            && matches!(self.code, E::SystemError | E::InternalError | E::Rpc | E::GnutlsError)
    }
}

/// The kind that drivers see.
fn kind(code: ErrorNumber, message: &str) -> FailureKind {
    use ErrorNumber as E;
    use FailureKind as K;
    match code {
        E::NoDomain | E::NoDomainSnapshot | E::NoDomainCheckpoint | E::NoDomainMetadata | E::DeviceMissing => {
            K::NotFound
        }
        E::DomExist => K::Exists,
        E::OperationTimeout | E::AgentCommandTimeout => K::Timeout,
        E::NoConnect
        | E::InvalidConn
        | E::Rpc
        | E::GnutlsError
        | E::Ssh
        | E::Libssh
        | E::UnknownHost
        | E::NoHostname
        | E::NoServer
        | E::NoClient
        | E::AgentUnresponsive
        | E::AgentUnsynced => K::Unavailable,
        E::NoSupport | E::CallFailed | E::OperationUnsupported | E::ArgumentUnsupported | E::ConfigUnsupported => {
            K::Unsupported
        }
        E::InvalidArg
        | E::XmlError
        | E::XmlDetail
        | E::XmlInvalidSchema
        | E::InvalidMac
        | E::Overflow
        | E::OsType
        | E::NoName
        | E::NoOs
        | E::NoDevice
        | E::NoSource
        | E::NoTarget => by_message(message, K::Invalid),
        E::ResourceBusy | E::BlockCopyActive => K::Busy,
        // Migration that could lose data: the operator may permit it, so it is as good as a denial.
        E::MigrateUnsafe => K::Denied,
        E::AccessDenied | E::OperationDenied | E::AuthFailed | E::AuthCancelled | E::AuthUnavailable => K::Denied,
        _ => by_message(message, K::Failed),
    }
}

/// libvirt reports some of what drivers react to only in words. Where its messages are translated the
/// kind stays the general one.
fn by_message(message: &str, otherwise: FailureKind) -> FailureKind {
    let says = |words: &[&str]| words.iter().any(|words| message.contains(words));
    if says(&["does not have an active block job", "no device found with alias"]) {
        FailureKind::NotFound
    } else if says(&["active block job", "is in use", "is busy", "not ready for pivot"]) {
        FailureKind::Busy
    } else if says(&["already exists", "is already defined", "is already active"]) {
        FailureKind::Exists
    } else if says(&["unsupported flags"]) {
        FailureKind::Unsupported
    } else {
        otherwise
    }
}

#[cfg(test)]
mod tests {
    use super::kind;
    use ErrorNumber as E;
    use remotes_effect::types::FailureKind as K;
    use virt::error::ErrorNumber;

    #[test]
    fn codes_and_words_become_kinds() {
        for (code, message, expected) in [
            (E::NoDomain, "Domain not found", K::NotFound),
            (E::NoDomainSnapshot, "", K::NotFound),
            (E::NoDomainCheckpoint, "", K::NotFound),
            (E::DeviceMissing, "", K::NotFound),
            (E::InternalError, "no device found with alias net9", K::NotFound),
            (E::InvalidArg, "disk vda does not have an active block job", K::NotFound),
            (E::NoDomainMetadata, "", K::NotFound),
            (E::OperationFailed, "domain 'one-5' already exists with uuid x", K::Exists),
            (E::OperationInvalid, "domain is already active as 'one-5'", K::Exists),
            (E::OperationTimeout, "cannot acquire state change lock", K::Timeout),
            (E::AgentUnresponsive, "QEMU guest agent is not connected", K::Unavailable),
            (E::NoConnect, "", K::Unavailable),
            (E::OperationUnsupported, "", K::Unsupported),
            (E::ConfigUnsupported, "vhost-net was requested for an interface, but is unavailable", K::Unsupported),
            (E::XmlError, "", K::Invalid),
            (E::BlockCopyActive, "domain has active block job", K::Busy),
            (E::OperationInvalid, "domain has active block job", K::Busy),
            (E::InternalError, "Node 'x' is busy: block device is in use by block job: backup", K::Busy),
            (E::ResourceBusy, "", K::Busy),
            (E::OperationInvalid, "block copy still active: disk 'vda' not ready for pivot yet", K::Busy),
            (E::AccessDenied, "", K::Denied),
            (E::MigrateUnsafe, "Unsafe migration: Migration without shared storage is unsafe", K::Denied),
            (E::OperationAborted, "operation aborted: migration out job: canceled by client", K::Failed),
            (E::OperationInvalid, "domain is not running", K::Failed),
            (E::InternalError, "", K::Failed),
            (E::Last, "", K::Failed),
        ] {
            assert_eq!(kind(code, message), expected, "{code:?} {message}");
        }
    }
}
