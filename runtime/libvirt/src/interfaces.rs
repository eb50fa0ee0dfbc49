//! Limits of a domain's interfaces.

use std::ffi::CStr;

use remotes_effect::libvirt::Bandwidth;
use virt::domain::Domain;
use virt::sys;

use crate::arguments::c_string;
use crate::fault::{Change, Fault};
use crate::raw;

type Names = [&'static CStr; 3];

const INBOUND: Names =
    [sys::VIR_DOMAIN_BANDWIDTH_IN_AVERAGE, sys::VIR_DOMAIN_BANDWIDTH_IN_PEAK, sys::VIR_DOMAIN_BANDWIDTH_IN_BURST];
const OUTBOUND: Names =
    [sys::VIR_DOMAIN_BANDWIDTH_OUT_AVERAGE, sys::VIR_DOMAIN_BANDWIDTH_OUT_PEAK, sys::VIR_DOMAIN_BANDWIDTH_OUT_BURST];

/// Limits what goes through an interface. A direction that is not given keeps its own limits.
pub(crate) fn limit(
    domain: &Domain,
    interface: &str,
    inbound: Option<Bandwidth>,
    outbound: Option<Bandwidth>,
) -> Result<(), Fault> {
    let interface = c_string("the interface", interface)?;
    let values: Vec<_> = direction(INBOUND, inbound).chain(direction(OUTBOUND, outbound)).collect();
    match values.is_empty() {
        // libvirt refuses to change nothing.
        true => Ok(()),
        false => raw::set_interface_parameters(domain, &interface, &values).changing(),
    }
}

fn direction(names: Names, limit: Option<Bandwidth>) -> impl Iterator<Item = (&'static CStr, u32)> {
    let values = limit.map(|limit| [limit.average, limit.peak, limit.burst]);
    values.into_iter().flat_map(move |values| names.into_iter().zip(values))
}
