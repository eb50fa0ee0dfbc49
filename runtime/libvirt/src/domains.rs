//! Finding domains, and saying what they are.

use std::collections::BTreeSet;

use remotes_effect::libvirt::{Domain as Description, State};
use remotes_effect::policy::is_uuid;
use virt::domain::Domain;
use virt::error::Error;
use virt::sys;

use crate::arguments::{bounded_list, plain};
use crate::fault::Fault;
use crate::raw;
use crate::session::View;

impl View<'_> {
    /// The domain of this name or UUID, if its name is granted.
    pub fn domain(&self, reference: &str) -> Result<Domain, Fault> {
        plain("the domain's name", reference)?;
        if !is_uuid(reference) {
            // Before the look-up: whether another's domain exists is none of the driver's business.
            self.grant.check_domain(reference)?;
            return Ok(Domain::lookup_by_name(self.connection, reference)?);
        }
        let domain = Domain::lookup_by_uuid_string(self.connection, reference)?;
        self.grant.check_domain(&domain.get_name()?)?;
        Ok(domain)
    }

    /// The active domains that are granted, with two calls whatever their number. One that becomes
    /// persistent or transient meanwhile is still there.
    pub fn domains(&self) -> Result<Vec<Description>, Fault> {
        let active = bounded_list("active domains", raw::active(self.connection)?)?;
        let flags = sys::VIR_CONNECT_LIST_DOMAINS_ACTIVE | sys::VIR_CONNECT_LIST_DOMAINS_PERSISTENT;
        let persistent = self.connection.list_all_domains(flags)?;
        let persistent: BTreeSet<String> = persistent.iter().map(Domain::get_uuid_string).collect::<Result<_, _>>()?;
        let granted = active.into_iter().filter(|domain| self.grant.check_domain(&domain.name).is_ok());
        Ok(granted
            .map(|domain| Description {
                persistent: persistent.contains(&domain.uuid),
                name: domain.name,
                uuid: domain.uuid,
                id: domain.id,
                state: domain.state.map_or(State::NoState, state),
            })
            .collect())
    }
}

/// Everything about a domain that drivers are told.
pub(crate) fn describe(domain: &Domain) -> Result<Description, Error> {
    let (now, _) = domain.get_state()?;
    Ok(Description { state: state(now), persistent: domain.is_persistent()?, ..identify(domain)? })
}

/// What is known of a domain without asking the hypervisor.
pub(crate) fn identify(domain: &Domain) -> Result<Description, Error> {
    Ok(Description {
        name: domain.get_name()?,
        uuid: domain.get_uuid_string()?,
        id: domain.get_id(),
        state: State::NoState,
        persistent: false,
    })
}

fn state(raw: sys::virDomainState) -> State {
    match raw {
        sys::VIR_DOMAIN_RUNNING => State::Running,
        sys::VIR_DOMAIN_BLOCKED => State::Blocked,
        sys::VIR_DOMAIN_PAUSED => State::Paused,
        sys::VIR_DOMAIN_SHUTDOWN => State::ShuttingDown,
        sys::VIR_DOMAIN_SHUTOFF => State::ShutOff,
        sys::VIR_DOMAIN_CRASHED => State::Crashed,
        sys::VIR_DOMAIN_PMSUSPENDED => State::Suspended,
        _ => State::NoState,
    }
}
