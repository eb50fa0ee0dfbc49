//! One connection, made when it is first needed and made again when it was lost.

use std::time::Duration;

use remotes_effect::deadline::Deadline;
use remotes_effect::frame::Hello;
use remotes_effect::policy::{LibvirtGrant, PathGrants};
use remotes_effect::types::{Failure, Node};
use virt::connect::Connect;

use crate::fault::{Fault, connecting};

/// Longest deadline that is kept account of.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

/// What serves one client: a URI and what its policy grants there.
pub struct Session {
    uri: String,
    grant: LibvirtGrant,
    paths: PathGrants,
    deadline: Deadline,
    connection: Option<Connection>,
}

/// What a call may use.
pub(crate) struct View<'a> {
    pub connection: &'a Connect,
    pub grant: &'a LibvirtGrant,
    pub paths: &'a PathGrants,
    pub deadline: Deadline,
    /// Whether the hypervisor sees the files that this process sees.
    pub local: bool,
}

impl Session {
    /// Nothing is connected yet. Without a table `[libvirt]` in the policy nothing ever is.
    ///
    /// From now on libvirt does not print its errors on this process's standard error.
    pub fn new(uri: &str, hello: &Hello) -> Self {
        virt::error::clear_error_callback();
        Self {
            uri: uri.to_owned(),
            grant: hello.policy.libvirt.clone().unwrap_or_default(),
            paths: hello.policy.paths.clone(),
            deadline: Deadline::after(Duration::from_millis(hello.deadline_ms).min(LONGEST)),
            connection: None,
        }
    }

    /// Does `work` on the connection; a second time, on a new one, where the first was lost before
    /// anything was sent that changes something. `subject` stands in front of failures.
    pub(crate) fn attempt<T>(
        &mut self,
        on: &Node,
        subject: &str,
        work: impl Fn(&View<'_>) -> Result<T, Fault>,
    ) -> Result<T, Failure> {
        if let Node::Host(name) = on {
            return Err(Failure::unsupported(format!("host {name}: this server serves only the host it runs on")));
        }
        let mut again = true;
        loop {
            // Taken out, so that a panic drops it.
            let connection = match self.connection.take() {
                Some(connection) => connection,
                None => Connection::open(&self.uri, &self.grant)?,
            };
            let fault = match work(&self.view(&connection)) {
                Ok(value) => {
                    self.connection = Some(connection);
                    return Ok(value);
                }
                Err(fault) => fault,
            };
            if !fault.lost(&connection.0) {
                self.connection = Some(connection);
                return Err(fault.failure(subject));
            }
            if fault.changing() || !again {
                return Err(fault.after_loss(subject, &self.uri));
            }
            again = false;
        }
    }

    fn view<'a>(&'a self, connection: &'a Connection) -> View<'a> {
        View {
            connection: &connection.0,
            grant: &self.grant,
            paths: &self.paths,
            deadline: self.deadline,
            local: is_local(&self.uri),
        }
    }
}

/// An open connection, closed when dropped (crate virt's is not).
struct Connection(Connect);

impl Connection {
    fn open(uri: &str, grant: &LibvirtGrant) -> Result<Self, Failure> {
        // Without a scheme it could be an alias in a libvirt.conf, for a URI that nobody granted.
        if !uri.contains("://") || uri.contains('\0') {
            return Err(Failure::invalid(format!("libvirt URI {uri:?}: expected DRIVER://…, such as qemu:///system")));
        }
        grant.check_uri(uri)?;
        Connect::open(Some(uri)).map(Self).map_err(|error| connecting(&error, uri))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Says only whether others hold it still; nobody does.
        let _ = self.0.close();
    }
}

/// Whether the URI names no host: the daemon is on this machine.
fn is_local(uri: &str) -> bool {
    uri.split_once("://").is_some_and(|(_, rest)| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn a_uri_with_a_host_is_not_local() {
        for uri in ["qemu:///system", "qemu+unix:///session?socket=/x", "test:///default"] {
            assert!(is_local(uri), "{uri}");
        }
        for uri in ["qemu+ssh://node7/system", "qemu://node7/system", "qemu+ssh://root@localhost/system", "qemu:"] {
            assert!(!is_local(uri), "{uri}");
        }
    }
}
