//! What the system says, as failures an operator can act on.

use std::ffi::OsStr;

use remotes_effect::text::one_line;
use remotes_effect::types::Failure;
use rustix::io::Errno;

/// A name or path as one line of a message; bytes that are no UTF-8 are replaced.
pub fn shown(name: impl AsRef<OsStr>) -> String {
    one_line(&name.as_ref().to_string_lossy())
}

/// The failure of doing `what` to `subject`: "cannot WHAT: the system's words".
pub fn failure(subject: impl AsRef<OsStr>, what: &str, errno: Errno) -> Failure {
    let subject = shown(subject);
    let message = format!("{subject}: cannot {what}: {}", std::io::Error::from(errno));
    match errno {
        Errno::NOENT => Failure::not_found(format!("{subject}: does not exist (wanted to {what})")),
        Errno::NOTDIR => Failure::not_found(format!("{subject}: a part of the path is no folder (wanted to {what})")),
        Errno::EXIST => Failure::exists(format!("{subject}: exists already (wanted to {what})")),
        Errno::NOTEMPTY => Failure::exists(format!("{subject}: cannot {what}: the folder is not empty")),
        Errno::BUSY | Errno::TXTBSY | Errno::AGAIN => Failure::busy(message),
        Errno::XDEV => {
            Failure::unsupported(format!("{subject}: cannot {what} across file systems; copy, then remove the source"))
        }
        Errno::LOOP | Errno::NAMETOOLONG | Errno::ISDIR | Errno::INVAL => Failure::invalid(message),
        Errno::ACCESS | Errno::PERM => {
            let user = rustix::process::geteuid().as_raw();
            Failure::failed(format!("{message}; the runtime's user (uid {user}) lacks the permission"))
        }
        _ => Failure::failed(message),
    }
}

/// The failure of an operation of the standard library.
pub fn io_failure(subject: impl AsRef<OsStr>, what: &str, error: &std::io::Error) -> Failure {
    match Errno::from_io_error(error) {
        Some(errno) => failure(subject, what, errno),
        None => {
            let message = format!("{}: cannot {what}: {}", shown(subject), one_line(&error.to_string()));
            match error.kind() {
                std::io::ErrorKind::InvalidInput => Failure::invalid(message),
                _ => Failure::failed(message),
            }
        }
    }
}

/// The action's deadline came while `what` was under way.
pub fn timeout(subject: impl AsRef<OsStr>, what: &str) -> Failure {
    Failure::timeout(format!(
        "{}: the action's time (limits.time-seconds or limits.action-seconds in the driver's policy) was over during {what}",
        shown(subject)
    ))
}
