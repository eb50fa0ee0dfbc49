//! Single calls on a domain.

use std::ffi::{CStr, CString};
use std::{cmp, ptr};

use virt::domain::Domain;
use virt::error::Error;
use virt::sys;

use super::{counted, done};

/// virDomainSave, which crate virt has left out.
pub(crate) fn save(domain: &Domain, path: &CStr) -> Result<(), Error> {
    // SAFETY: the domain is valid while it is borrowed, the path is a C string; libvirt keeps neither.
    done(unsafe { sys::virDomainSave(domain.as_ptr(), path.as_ptr()) })
}

/// virDomainAbortJob. It may be called while another thread waits for the job.
pub(crate) fn abort_job(domain: &Domain) -> Result<(), Error> {
    // SAFETY: the domain is valid while it is borrowed, and libvirt's objects may be used by several threads.
    done(unsafe { sys::virDomainAbortJob(domain.as_ptr()) })
}

/// virDomainMigrateStartPostCopy. It is called while another thread waits for the migration.
pub(crate) fn start_post_copy(domain: &Domain) -> Result<(), Error> {
    // SAFETY: as for virDomainAbortJob.
    done(unsafe { sys::virDomainMigrateStartPostCopy(domain.as_ptr(), 0) })
}

/// virDomainDetachDeviceAlias of the running domain: asks and returns.
pub(crate) fn detach_alias(domain: &Domain, alias: &CStr) -> Result<(), Error> {
    // SAFETY: the domain is valid while it is borrowed, the alias is a C string; libvirt keeps neither.
    done(unsafe {
        sys::virDomainDetachDeviceAlias(domain.as_ptr(), alias.as_ptr(), sys::VIR_DOMAIN_AFFECT_LIVE as libc::c_uint)
    })
}

/// virDomainFSFreeze; without mount points all of them. Says how many.
pub(crate) fn freeze(domain: &Domain, mount_points: &[CString]) -> Result<u32, Error> {
    file_systems(domain, mount_points, sys::virDomainFSFreeze)
}

/// virDomainFSThaw; without mount points all of them. Says how many.
pub(crate) fn thaw(domain: &Domain, mount_points: &[CString]) -> Result<u32, Error> {
    file_systems(domain, mount_points, sys::virDomainFSThaw)
}

type FileSystems =
    unsafe extern "C" fn(sys::virDomainPtr, *mut *const libc::c_char, libc::c_uint, libc::c_uint) -> libc::c_int;

fn file_systems(domain: &Domain, mount_points: &[CString], call: FileSystems) -> Result<u32, Error> {
    let mut list: Vec<*const libc::c_char> = mount_points.iter().map(|point| point.as_ptr()).collect();
    let count = libc::c_uint::try_from(list.len()).unwrap_or(libc::c_uint::MAX);
    let list = if list.is_empty() { ptr::null_mut() } else { list.as_mut_ptr() };
    // SAFETY: the domain is valid while it is borrowed; `list` is null, or that many C strings which outlive
    // the call. libvirt reads them only, its prototype notwithstanding.
    counted(unsafe { call(domain.as_ptr(), list, count, 0) })
}

/// virDomainSetInterfaceParameters of the running domain, for parameters that are unsigned integers.
pub(crate) fn set_interface_parameters(
    domain: &Domain,
    interface: &CStr,
    values: &[(&CStr, u32)],
) -> Result<(), Error> {
    let mut parameters: Vec<_> = values.iter().map(|(name, value)| parameter(name, *value)).collect();
    let count = libc::c_int::try_from(parameters.len()).unwrap_or(libc::c_int::MAX);
    // SAFETY: the domain is valid while it is borrowed, the name is a C string, and `parameters` holds that
    // many, each with a terminated name and the member of the union that its type says.
    done(unsafe {
        sys::virDomainSetInterfaceParameters(
            domain.as_ptr(),
            interface.as_ptr(),
            parameters.as_mut_ptr(),
            count,
            sys::VIR_DOMAIN_AFFECT_LIVE as libc::c_uint,
        )
    })
}

fn parameter(name: &CStr, value: u32) -> sys::virTypedParameter {
    let mut field = [0; 80];
    // One place stays 0, which ends the name.
    let length = cmp::min(name.count_bytes(), field.len() - 1);
    for (place, byte) in field[..length].iter_mut().zip(name.to_bytes()) {
        *place = *byte as libc::c_char;
    }
    sys::virTypedParameter {
        field,
        type_: sys::VIR_TYPED_PARAM_UINT as libc::c_int,
        value: sys::_virTypedParameterValue { ui: value },
    }
}
