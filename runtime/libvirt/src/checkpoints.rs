//! A domain's checkpoints.

use virt::domain::Domain;
use virt::sys;

use crate::arguments::{bounded, bounded_list, c_string};
use crate::fault::{Change, Fault};
use crate::history::check_owner;
use crate::raw::Checkpoint;

/// All names, parents before their children.
pub(crate) fn names(domain: &Domain) -> Result<Vec<String>, Fault> {
    let all = bounded_list("checkpoints", Checkpoint::all(domain)?)?;
    Ok(all.iter().map(Checkpoint::name).collect::<Result<_, _>>()?)
}

/// The description of the checkpoint of this name.
pub(crate) fn xml(domain: &Domain, name: &str) -> Result<String, Fault> {
    Ok(bounded(find(domain, name)?.xml()?)?)
}

/// Makes one, or makes libvirt know one; says its name.
pub(crate) fn create(domain: &Domain, xml: &str, redefine: bool) -> Result<String, Fault> {
    check_owner("checkpoint", xml, &domain.get_name()?)?;
    let flags = if redefine { sys::VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE } else { 0 };
    Checkpoint::create(domain, &c_string("the document", xml)?, flags).changing()?.name().changing()
}

/// Deletes one; its children are kept.
pub(crate) fn delete(domain: &Domain, name: &str, metadata_only: bool) -> Result<(), Fault> {
    let flags = if metadata_only { sys::VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY } else { 0 };
    find(domain, name)?.delete(flags).changing()
}

fn find<'a>(domain: &'a Domain, name: &str) -> Result<Checkpoint<'a>, Fault> {
    Ok(Checkpoint::find(domain, &c_string("the checkpoint's name", name)?)?)
}
