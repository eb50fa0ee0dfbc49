//! Asking a guest for a device, and hearing whether it lets go.

use std::ffi::CString;
use std::time::Duration;

use remotes_effect::deadline::Deadline;
use remotes_effect::types::Failure;
use virt::domain::Domain;

use crate::arguments::{bounded, c_string};
use crate::fault::{Change, Fault, Said, after_change};
use crate::link::Link;
use crate::raw::{self, Outcome};
use crate::session::{Connection, View};

/// How long a lost connection may go unnoticed.
const SLICE: Duration = Duration::from_secs(1);

/// Left of the action's time for saying how it ended.
const RESERVE: Duration = Duration::from_secs(1);

/// What the wait needs of libvirt.
trait Device {
    /// Asks the guest for the device.
    fn ask(&self) -> Result<(), Said>;
    /// What the guest did about it, if that is heard within this time.
    fn next(&self, wait: Duration) -> Option<Outcome>;
    /// Whether events can still arrive.
    fn listening(&self) -> bool;
    /// Whether the running domain still has the device.
    fn there(&self) -> Result<bool, Fault>;
}

impl View<'_> {
    /// Takes the device of this alias from the running domain. False where the guest refused, or had not
    /// let go of it after `seconds`; never longer than the action may take.
    pub fn unplug(&self, domain: &Domain, alias: &str, seconds: u32) -> Result<bool, Fault> {
        let (c_alias, uuid) = (c_string("the alias", alias)?, domain.get_uuid_string()?);
        let connection = Connection::attentive(self.uri, || self.grant.check_uri(self.uri))?;
        let attentive = Domain::lookup_by_uuid_string(&connection, &uuid)?;
        let watch = raw::Watch::new(&connection, &attentive)?;
        let device = Real { domain: &attentive, connection: &connection, watch, alias, c_alias };
        let left = self.deadline.left().saturating_sub(RESERVE);
        unplug(&device, Duration::from_secs(seconds.into()).min(left)).map_err(|fault| {
            // The session's own connection may be as good as before.
            match fault.lost(&connection) {
                true => Fault::Refused(fault.after_loss(&format!("domain {uuid}"), self.uri)),
                false => fault,
            }
        })
    }
}

fn unplug(device: &impl Device, patience: Duration) -> Result<bool, Fault> {
    match device.ask() {
        // An earlier action gave up waiting; the guest may let go yet.
        Err(said) if said.message.contains("already in the process of unplug") => {}
        result => result.changing()?,
    }
    let end = Deadline::after(patience);
    while !end.passed() && device.listening() {
        match device.next(end.left().min(SLICE)) {
            Some(Outcome::Removed) => return Ok(true),
            Some(Outcome::Refused) => return Ok(false),
            None => {}
        }
    }
    // An event may have been missed.
    device.there().map(|there| !there).map_err(after_change)
}

struct Real<'a> {
    domain: &'a Domain,
    connection: &'a Connection,
    watch: raw::Watch<'a>,
    alias: &'a str,
    c_alias: CString,
}

impl Device for Real<'_> {
    fn ask(&self) -> Result<(), Said> {
        Ok(raw::detach_alias(self.domain, &self.c_alias)?)
    }

    fn next(&self, wait: Duration) -> Option<Outcome> {
        self.watch.next(self.alias, wait)
    }

    fn listening(&self) -> bool {
        self.connection.alive()
    }

    fn there(&self) -> Result<bool, Fault> {
        Ok(has_alias(&bounded(self.domain.get_xml_desc(0)?)?, self.alias)?)
    }
}

/// Whether a device of the domain has this alias.
fn has_alias(xml: &str, alias: &str) -> Result<bool, Failure> {
    let document = roxmltree::Document::parse(xml)
        .map_err(|error| Failure::failed(format!("libvirt's description of the domain cannot be parsed: {error}")))?;
    let mut aliases = document.descendants().filter(|node| node.has_tag_name("alias"));
    Ok(aliases.any(|node| node.attribute("name") == Some(alias)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::cell::{Cell, RefCell};

    use remotes_effect::types::FailureKind;
    use virt::error::{ErrorDomain, ErrorNumber};

    use super::*;

    /// A guest that does what the test says, and a clock-free wait: `next` returns at once.
    struct Fake {
        answer: Result<(), Said>,
        events: RefCell<Vec<Option<Outcome>>>,
        waits: Cell<u32>,
        lost: Cell<bool>,
        there: bool,
    }

    impl Fake {
        fn new(events: &[Option<Outcome>], there: bool) -> Self {
            let events = RefCell::new(events.iter().rev().copied().collect());
            Self { answer: Ok(()), events, waits: Cell::new(0), lost: Cell::new(false), there }
        }

        fn saying(code: ErrorNumber, message: &str) -> Self {
            let said = Said { code, domain: ErrorDomain::Qemu, message: message.to_owned() };
            Self { answer: Err(said), ..Self::new(&[], false) }
        }
    }

    impl Device for Fake {
        fn ask(&self) -> Result<(), Said> {
            self.answer.clone()
        }

        fn next(&self, wait: Duration) -> Option<Outcome> {
            assert!(wait <= SLICE, "a lost connection is noticed");
            self.waits.set(self.waits.get() + 1);
            let next = self.events.borrow_mut().pop();
            // After the last event the daemon dies.
            self.lost.set(next.is_none());
            next.flatten()
        }

        fn listening(&self) -> bool {
            !self.lost.get()
        }

        fn there(&self) -> Result<bool, Fault> {
            match self.lost.get() && self.there {
                true => Err(Fault::Asking(Said {
                    code: ErrorNumber::SystemError,
                    domain: ErrorDomain::Rpc,
                    message: "Broken pipe".to_owned(),
                })),
                false => Ok(self.there),
            }
        }
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn an_event_ends_the_wait() {
        for (events, gone) in [
            (&[Some(Outcome::Removed)][..], true),
            (&[Some(Outcome::Refused)], false),
            (&[None, None, Some(Outcome::Removed)], true),
        ] {
            // What the description says does not matter then.
            for there in [true, false] {
                let device = Fake::new(events, there);
                assert_eq!(unplug(&device, HOUR).unwrap(), gone, "{events:?}");
                assert_eq!(device.waits.get() as usize, events.len());
            }
        }
    }

    #[test]
    fn a_missed_event_does_not_matter() {
        assert!(unplug(&Fake::new(&[], false), HOUR).unwrap(), "the connection was lost, and the device is gone");
        assert!(unplug(&Fake::new(&[], false), Duration::ZERO).unwrap());
        let device = Fake::new(&[], true);
        assert!(!unplug(&device, Duration::ZERO).unwrap());
        assert_eq!(device.waits.get(), 0, "no time, no wait");
    }

    #[test]
    fn what_was_asked_for_and_cannot_be_looked_at_is_a_change() {
        let fault = unplug(&Fake::new(&[], true), HOUR).unwrap_err();
        assert!(fault.changing());
        assert_eq!(fault.after_loss("x", "y").kind, FailureKind::Unknown);
    }

    #[test]
    fn a_request_that_is_pending_is_waited_for() {
        let device = Fake::saying(ErrorNumber::OperationFailed, "Device net0 is already in the process of unplug");
        device.events.borrow_mut().push(Some(Outcome::Removed));
        assert!(unplug(&device, HOUR).unwrap());
        let device = Fake::saying(ErrorNumber::DeviceMissing, "no device found with alias net9");
        let fault = unplug(&device, HOUR).unwrap_err();
        assert_eq!(fault.failure("x").kind, FailureKind::NotFound);
        assert_eq!(device.waits.get(), 0);
    }

    #[test]
    fn an_alias_is_that_of_a_device() {
        let xml = "<domain><name>net0</name><devices><interface><alias name='net0'/></interface></devices></domain>";
        assert!(has_alias(xml, "net0").unwrap());
        for other in ["net", "net00", ""] {
            assert!(!has_alias(xml, other).unwrap(), "{other}");
        }
        assert!(has_alias("<domain", "net0").is_err());
    }
}
