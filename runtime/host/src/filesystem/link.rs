//! Making symbolic links. Whoever follows one may do so with more rights than the driver has, so where it
//! leads must be granted, too.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use remotes_effect::policy::Access;
use remotes_effect::types::Failure;
use remotes_process::report::{failure, shown};
use rustix::io::Errno;

use crate::jail::{Found, Jail, Slot};

/// Makes a link in the slot. The same one being there is fine, anything else is in the way.
pub(crate) fn make(jail: &Jail, slot: &Slot, target: &[u8]) -> Result<(), Failure> {
    check(jail, slot.folder(), slot.name(), target, Access::ReadWrite)?;
    match rustix::fs::symlinkat(target, slot.folder().fd(), slot.name()) {
        Err(Errno::EXIST) if is(slot, target)? => Ok(()),
        result => result.map_err(|errno| failure(slot.shown(), "make the link", errno)),
    }
}

/// Whether a link of this name, in this folder, may have this target: one that is made leads to what may be
/// changed, one that is only looked at to what may be read.
pub(crate) fn check(jail: &Jail, folder: &Found, name: &OsStr, target: &[u8], wanted: Access) -> Result<(), Failure> {
    jail.linkable(folder, target, wanted).map_err(|failure| Failure {
        message: format!(
            "{}/{}: no link may lead to {}: {}",
            folder.shown(),
            shown(name),
            shown(OsStr::from_bytes(target)),
            failure.message
        ),
        ..failure
    })
}

/// Whether a link with this target is there.
fn is(slot: &Slot, target: &[u8]) -> Result<bool, Failure> {
    match rustix::fs::readlinkat(slot.folder().fd(), slot.name(), Vec::new()) {
        Ok(there) => Ok(there.as_bytes() == target),
        // It is no link, or has gone meanwhile.
        Err(Errno::INVAL | Errno::NOENT) => Ok(false),
        Err(errno) => Err(failure(slot.shown(), "read the link", errno)),
    }
}
