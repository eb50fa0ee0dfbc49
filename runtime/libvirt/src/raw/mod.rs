//! What crate virt 0.4 does not offer safely, over its `sys`: one file a family. And the one thing of the C
//! library's. All `unsafe` code of this crate is here.
//!
//! What holds throughout: a wrapper that is borrowed (`&Domain`, `&Connect`) holds a pointer that libvirt
//! considers valid, libvirt copies the strings it is given, and a failed call has left its error with the
//! thread, where [`Error::last_error`] takes it from at once.

mod blocks;
mod bulk;
mod checkpoints;
mod domain;
mod events;

pub(crate) use blocks::{block_copy, block_job, end_block_job};
pub(crate) use bulk::active;
pub(crate) use checkpoints::Checkpoint;
pub(crate) use domain::{abort_job, detach_alias, freeze, save, set_interface_parameters, start_post_copy, thaw};
pub(crate) use events::{Outcome, Watch, listen};

use virt::error::Error;

/// What a call comes to that says -1 where it failed.
fn done(code: libc::c_int) -> Result<(), Error> {
    if code < 0 { Err(Error::last_error()) } else { Ok(()) }
}

/// The same for a call that otherwise says how many.
fn counted(code: libc::c_int) -> Result<u32, Error> {
    u32::try_from(code).map_err(|_| Error::last_error())
}

/// Lets `SIGALRM` end this process after so many seconds.
pub(crate) fn end_after(seconds: u32) {
    // SAFETY: alarm(2) has no preconditions; the signal's default action ends the process, and nobody
    // here installs a handler.
    unsafe { libc::alarm(seconds) };
}
