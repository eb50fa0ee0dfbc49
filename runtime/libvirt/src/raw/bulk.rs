//! Bulk statistics.

use std::mem::ManuallyDrop;
use std::{ptr, slice};

use virt::connect::Connect;
use virt::domain::Domain;
use virt::error::Error;
use virt::sys;

/// An active domain, as the bulk statistics show it.
pub(crate) struct Active {
    pub name: String,
    pub uuid: String,
    pub id: Option<u32>,
    /// virDomainState, where libvirt told it.
    pub state: Option<sys::virDomainState>,
}

/// All active domains with their states in one call, which does not wait for a monitor that hangs. (Crate
/// virt hands out bare pointers here, and leaks the list.)
pub(crate) fn active(connection: &Connect) -> Result<Vec<Active>, Error> {
    let mut records: *mut sys::virDomainStatsRecordPtr = ptr::null_mut();
    // SAFETY: the connection is open while it is borrowed, and `records` is a place for the list that
    // libvirt allocates.
    let count = unsafe {
        sys::virConnectGetAllDomainStats(
            connection.as_ptr(),
            sys::VIR_DOMAIN_STATS_STATE,
            &mut records,
            sys::VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE,
        )
    };
    let count = usize::try_from(count).map_err(|_| Error::last_error())?;
    let list = List(records);
    if list.0.is_null() {
        return Ok(Vec::new());
    }
    // SAFETY: libvirt said that so many pointers are there; they stay until `list` is dropped.
    let records = unsafe { slice::from_raw_parts(list.0, count) };
    records.iter().map(|record| one(*record)).collect()
}

/// A list of records, given back when dropped.
struct List(*mut sys::virDomainStatsRecordPtr);

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: the list came from virConnectGetAllDomainStats, and nothing taken from it outlives it;
        // null is allowed.
        unsafe { sys::virDomainStatsRecordListFree(self.0) }
    }
}

fn one(record: sys::virDomainStatsRecordPtr) -> Result<Active, Error> {
    // SAFETY: an element of a list that the caller holds; none of them is null.
    let record = unsafe { &*record };
    // SAFETY: the record's domain is valid as long as the record. It belongs to the record: the wrapper
    // must not give it back.
    let domain = ManuallyDrop::new(unsafe { Domain::from_ptr(record.dom) });
    let mut state = 0;
    // SAFETY: the parameters are the record's, the name is a C string, `state` is an int to write to.
    let told = unsafe { sys::virTypedParamsGetInt(record.params, record.nparams, c"state.state".as_ptr(), &mut state) };
    Ok(Active {
        name: domain.get_name()?,
        uuid: domain.get_uuid_string()?,
        id: domain.get_id(),
        state: (told == 1).then_some(state as sys::virDomainState),
    })
}
