//! What libvirt's errors mean to a driver.

use remotes_effect::text::{one_line, shortened};
use remotes_effect::types::{Failure, FailureKind};
use virt::connect::Connect;
use virt::error::{Error, ErrorDomain, ErrorNumber};

/// No message is longer than this many bytes; QEMU's whole log may be part of one.
const LONGEST_MESSAGE: usize = 8 * 1024;

/// Why a call did not succeed.
pub(crate) enum Fault {
    /// libvirt refused something that changes nothing.
    Asking(Error),
    /// libvirt refused something that changes something.
    Changing(Error),
    /// It did not get as far as libvirt.
    Refused(Failure),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Asking(error)
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

impl<T> Change<T> for Result<T, Error> {
    fn changing(self) -> Result<T, Fault> {
        self.map_err(Fault::Changing)
    }
}

impl Fault {
    /// Whether what failed may have changed something.
    pub fn changing(&self) -> bool {
        matches!(self, Self::Changing(_))
    }

    /// Whether it failed because the connection was lost.
    pub fn lost(&self, connection: &Connect) -> bool {
        match self {
            Self::Refused(_) => false,
            Self::Asking(error) | Self::Changing(error) => {
                // The daemon hands on errors of its own connections, to virtlogd say: only one that answers
                // no more is lost.
                !connection.is_alive().unwrap_or(false) || (transport(error) && connection.get_lib_version().is_err())
            }
        }
    }

    /// The failure, on a connection that is as good as before.
    pub fn failure(&self, subject: &str) -> Failure {
        match self {
            Self::Refused(failure) => failure.clone(),
            Self::Asking(error) | Self::Changing(error) => {
                Failure { kind: kind(error.code(), error.message()), message: format!("{subject}: {}", message(error)) }
            }
        }
    }

    /// The failure, where the connection was lost.
    pub fn after_loss(&self, subject: &str, uri: &str) -> Failure {
        match self {
            Self::Refused(failure) => failure.clone(),
            Self::Asking(error) => {
                Failure::unavailable(format!("{subject}: the connection to {uri} was lost: {}", message(error)))
            }
            Self::Changing(error) => Failure::unknown(format!(
                "{subject}: the connection to {uri} was lost before the answer came, so it may or may not have been \
                 done; look before it is repeated: {}",
                message(error)
            )),
        }
    }
}

/// The failure of an attempt to connect.
pub(crate) fn connecting(error: &Error, uri: &str) -> Failure {
    let kind = match kind(error.code(), error.message()) {
        kind @ (FailureKind::Denied | FailureKind::Invalid | FailureKind::Unsupported) => kind,
        _ => FailureKind::Unavailable,
    };
    Failure { kind, message: format!("libvirt at {uri} cannot be reached: {}", message(error)) }
}

/// libvirt's own words, in one line.
fn message(error: &Error) -> String {
    shortened(&one_line(error.message()), LONGEST_MESSAGE)
}

/// Whether the error may be one of the way to the daemon. `is_alive` alone would not do: a connection that
/// delivered half a message is open and yet of no use.
fn transport(error: &Error) -> bool {
    use ErrorNumber as E;
    error.domain() == ErrorDomain::Rpc
        && matches!(error.code(), E::SystemError | E::InternalError | E::Rpc | E::GnutlsError)
}

/// The kind that drivers see.
fn kind(code: ErrorNumber, message: &str) -> FailureKind {
    use ErrorNumber as E;
    use FailureKind as K;
    match code {
        E::NoDomain | E::NoDomainSnapshot | E::NoDomainMetadata | E::DeviceMissing => K::NotFound,
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
        E::AccessDenied | E::OperationDenied | E::AuthFailed | E::AuthCancelled | E::AuthUnavailable => K::Denied,
        _ => by_message(message, K::Failed),
    }
}

/// libvirt reports some of what drivers react to only in words. Where its messages are translated the
/// kind stays the general one.
fn by_message(message: &str, otherwise: FailureKind) -> FailureKind {
    let says = |words: &[&str]| words.iter().any(|words| message.contains(words));
    if says(&["active block job", "is in use", "is busy"]) {
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
            (E::AccessDenied, "", K::Denied),
            (E::OperationInvalid, "domain is not running", K::Failed),
            (E::InternalError, "", K::Failed),
            (E::Last, "", K::Failed),
        ] {
            assert_eq!(kind(code, message), expected, "{code:?} {message}");
        }
    }
}
