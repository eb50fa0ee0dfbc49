//! A domain's snapshots.

use virt::domain::Domain;
use virt::domain_snapshot::DomainSnapshot;
use virt::error::ErrorNumber;
use virt::sys;

use crate::arguments::{bounded_list, plain};
use crate::fault::Fault;

/// The snapshot of this name.
pub(crate) fn find(domain: &Domain, name: &str) -> Result<DomainSnapshot, Fault> {
    Ok(DomainSnapshot::lookup_by_name(domain, plain("the snapshot's name", name)?, 0)?)
}

/// All names, parents before their children.
pub(crate) fn names(domain: &Domain) -> Result<Vec<String>, Fault> {
    let all = bounded_list("snapshots", domain.list_all_snapshots(sys::VIR_DOMAIN_SNAPSHOT_LIST_TOPOLOGICAL)?)?;
    Ok(all.iter().map(DomainSnapshot::get_name).collect::<Result<_, _>>()?)
}

/// The name of the current one, if there is one.
pub(crate) fn current(domain: &Domain) -> Result<Option<String>, Fault> {
    match DomainSnapshot::current(domain, 0) {
        Ok(snapshot) => Ok(Some(snapshot.get_name()?)),
        Err(error) if error.code() == ErrorNumber::NoDomainSnapshot => Ok(None),
        Err(error) => Err(error.into()),
    }
}
