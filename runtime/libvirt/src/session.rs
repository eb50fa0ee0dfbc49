//! One connection, made when it is first needed and made again when it was lost.

use std::ops::Deref;
use std::time::Duration;

use remotes_effect::deadline::Deadline;
use remotes_effect::frame::Hello;
use remotes_effect::policy::{LibvirtGrant, PathGrants};
use remotes_effect::types::{Failure, Node};
use virt::connect::Connect;

use crate::fault::{Fault, connecting};
use crate::link::Link;
use crate::raw;

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
    pub uri: &'a str,
    pub connection: &'a Connection,
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
        // Taken out, so that a panic drops it.
        let mut connection = self.connection.take();
        let open = || Connection::open(&self.uri, &self.grant);
        let result = repeated(&mut connection, open, |connection| work(&self.view(connection)), subject, &self.uri);
        self.connection = connection;
        result
    }

    fn view<'a>(&'a self, connection: &'a Connection) -> View<'a> {
        View {
            uri: &self.uri,
            connection,
            grant: &self.grant,
            paths: &self.paths,
            deadline: self.deadline,
            local: is_local(&self.uri),
        }
    }
}

/// Does `work` on what is in the slot or, where nothing is, on what `open` opens. What was lost leaves the
/// slot; the work is done once more where it had not sent anything that changes something.
fn repeated<L: Link, T>(
    slot: &mut Option<L>,
    open: impl Fn() -> Result<L, Failure>,
    work: impl Fn(&L) -> Result<T, Fault>,
    subject: &str,
    uri: &str,
) -> Result<T, Failure> {
    let mut again = true;
    loop {
        let link = match slot.take() {
            Some(link) => link,
            None => open()?,
        };
        let fault = match work(&link) {
            Ok(value) => {
                *slot = Some(link);
                return Ok(value);
            }
            Err(fault) => fault,
        };
        if !fault.lost(&link) {
            *slot = Some(link);
            return Err(fault.failure(subject));
        }
        if fault.changing() || !again {
            return Err(fault.after_loss(subject, uri));
        }
        again = false;
    }
}

/// Seconds of silence after which a daemon is asked for a sign of life, and how often in vain.
const KEEP_ALIVE: (i32, u32) = (5, 6);

/// An open connection, closed when dropped (crate virt's is not).
pub(crate) struct Connection(Connect);

impl Connection {
    fn open(uri: &str, grant: &LibvirtGrant) -> Result<Self, Failure> {
        Self::open_checked(uri, || grant.check_uri(uri))
    }

    fn open_checked(uri: &str, check: impl FnOnce() -> Result<(), Failure>) -> Result<Self, Failure> {
        // Without a scheme it could be an alias in a libvirt.conf, for a URI that nobody granted.
        if !uri.contains("://") || uri.contains('\0') {
            return Err(Failure::invalid(format!("libvirt URI {uri:?}: expected DRIVER://…, such as qemu:///system")));
        }
        check()?;
        Connect::open(Some(uri)).map(Self).map_err(|error| connecting(error, uri))
    }

    /// A connection on which events arrive, and which ends when the daemon falls silent: for work that
    /// waits. It costs a thread and a connection more, so it is opened by those who need it.
    pub fn attentive(uri: &str, check: impl FnOnce() -> Result<(), Failure>) -> Result<Self, Failure> {
        raw::listen().map_err(|error| Failure::failed(format!("libvirt's event loop cannot be started: {error}")))?;
        let connection = Self::open_checked(uri, check)?;
        // Drivers without a daemon do not know of it.
        let _ = connection.0.set_keep_alive(KEEP_ALIVE.0, KEEP_ALIVE.1);
        Ok(connection)
    }
}

impl Link for Connection {
    fn alive(&self) -> bool {
        self.0.is_alive().unwrap_or(false)
    }

    fn answers(&self) -> bool {
        self.0.get_lib_version().is_ok()
    }
}

impl Deref for Connection {
    type Target = Connect;

    fn deref(&self) -> &Connect {
        &self.0
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
    #![allow(clippy::unwrap_used)]
    use std::cell::{Cell, RefCell};

    use remotes_effect::types::{Failure, FailureKind};
    use virt::error::{ErrorDomain, ErrorNumber};

    use super::{is_local, repeated};
    use crate::fault::{Fault, Said};
    use crate::link::Link;

    /// How a connection is after a fault.
    #[derive(Clone, Copy, Default, PartialEq)]
    enum After {
        #[default]
        Good,
        /// open, but nothing comes back
        Silent,
        Closed,
    }

    #[derive(Default)]
    struct Fake(Cell<After>);

    impl Link for Fake {
        fn alive(&self) -> bool {
            self.0.get() != After::Closed
        }

        fn answers(&self) -> bool {
            self.0.get() == After::Good
        }
    }

    fn said(code: ErrorNumber, domain: ErrorDomain) -> Said {
        Said { code, domain, message: "it says".to_owned() }
    }

    /// Does work that fails in these ways, one after the other, and then succeeds: what comes of it, how
    /// many connections were made, and whether one is left.
    fn after(faults: Vec<Fault>, then: After) -> (Result<(), FailureKind>, u32, bool) {
        let (mut slot, opened, faults) = (None, Cell::new(0), RefCell::new(faults.into_iter()));
        let open = || {
            opened.set(opened.get() + 1);
            Ok(Fake::default())
        };
        let work = |link: &Fake| match faults.borrow_mut().next() {
            Some(fault) => {
                link.0.set(then);
                Err(fault)
            }
            None => Ok(()),
        };
        let result = repeated(&mut slot, open, work, "domain x", "fake://").map_err(|failure| failure.kind);
        (result, opened.get(), slot.is_some())
    }

    #[test]
    fn what_was_not_sent_is_done_again_and_what_was_is_not() {
        use After::{Closed, Good, Silent};
        let broken = || said(ErrorNumber::SystemError, ErrorDomain::Rpc);
        let ordinary = || said(ErrorNumber::NoDomain, ErrorDomain::Qemu);
        assert_eq!(after(vec![], Good), (Ok(()), 1, true));
        assert_eq!(after(vec![Fault::Asking(broken())], Silent), (Ok(()), 2, true));
        assert_eq!(after(vec![Fault::Asking(ordinary())], Closed), (Ok(()), 2, true), "whatever libvirt said");
        assert_eq!(after(vec![Fault::Asking(ordinary())], Good), (Err(FailureKind::NotFound), 1, true));
        let twice = vec![Fault::Asking(broken()), Fault::Asking(broken())];
        assert_eq!(after(twice, Silent), (Err(FailureKind::Unavailable), 2, false));
        assert_eq!(after(vec![Fault::Changing(broken())], Silent), (Err(FailureKind::Unknown), 1, false));
        assert_eq!(after(vec![Fault::Changing(ordinary())], Closed), (Err(FailureKind::Unknown), 1, false));
        assert_eq!(after(vec![Fault::Changing(ordinary())], Good), (Err(FailureKind::NotFound), 1, true));
        let refused = vec![Fault::Refused(Failure::denied("no"))];
        assert_eq!(after(refused, Closed), (Err(FailureKind::Denied), 1, true), "libvirt was not asked");
    }

    #[test]
    fn an_error_of_the_daemons_own_connections_is_an_answer() {
        let handed_on = || said(ErrorNumber::SystemError, ErrorDomain::Rpc);
        for fault in [Fault::Asking(handed_on()), Fault::Changing(handed_on())] {
            assert_eq!(after(vec![fault], After::Good), (Err(FailureKind::Failed), 1, true));
        }
    }

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
