//! One change of the packet filter at a time: what was looked at is as it was until it has been changed.
//!
//! The drivers' own locks see to that while their actions live. When one is killed, they go with it, but a
//! program that it started goes on; so does root's effect server. This lock goes when the last of them ends.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use remotes_effect::deadline::Deadline;
use remotes_effect::types::Failure;

use super::locks::Locks;

/// The lock's name among those of the drivers.
const NAME: &str = "remotes-filter";

/// Waits for the turn, which lasts as long as the descriptor is open somewhere.
pub(super) fn take(folder: &Path, deadline: Deadline) -> Result<Arc<OwnedFd>, Failure> {
    Locks::below(folder).until(deadline).take(NAME).map(Arc::new)
}
