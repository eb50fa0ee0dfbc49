//! Block jobs.

use std::ffi::CStr;
use std::ptr;

use virt::domain::Domain;
use virt::error::Error;
use virt::sys;

use super::{counted, done};

/// virDomainBlockCopy to the disk that the XML describes.
pub(crate) fn block_copy(
    domain: &Domain,
    disk: &CStr,
    target: &CStr,
    flags: sys::virDomainBlockCopyFlags,
) -> Result<(), Error> {
    // SAFETY: the domain is valid while it is borrowed, disk and XML are C strings; no parameters are given.
    done(unsafe { sys::virDomainBlockCopy(domain.as_ptr(), disk.as_ptr(), target.as_ptr(), ptr::null_mut(), 0, flags) })
}

/// virDomainGetBlockJobInfo: how much is done, and of how much; none where no job runs.
pub(crate) fn block_job(domain: &Domain, disk: &CStr) -> Result<Option<(u64, u64)>, Error> {
    let mut info = sys::virDomainBlockJobInfo { type_: 0, bandwidth: 0, cur: 0, end: 0 };
    // SAFETY: the domain is valid while it is borrowed, the disk is a C string, `info` is a place to write to.
    let there = counted(unsafe { sys::virDomainGetBlockJobInfo(domain.as_ptr(), disk.as_ptr(), &mut info, 0) })?;
    Ok((there > 0).then_some((info.cur, info.end)))
}

/// virDomainBlockJobAbort, which without VIR_DOMAIN_BLOCK_JOB_ABORT_ASYNC waits for the job's end.
pub(crate) fn end_block_job(
    domain: &Domain,
    disk: &CStr,
    flags: sys::virDomainBlockJobAbortFlags,
) -> Result<(), Error> {
    // SAFETY: the domain is valid while it is borrowed, the disk is a C string.
    done(unsafe { sys::virDomainBlockJobAbort(domain.as_ptr(), disk.as_ptr(), flags) })
}
