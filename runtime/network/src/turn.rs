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

/// Named as the lock that OpenNebula's own drivers hold while they set up transparent proxies, and the same where this
/// process changes the network by itself. Root's server has one of its own, in a folder that they do not get into.
const PROXIES: &str = "tproxy";

/// Waits for the turn, which lasts as long as the descriptor is open somewhere.
pub(super) fn take(folder: &Path, deadline: Deadline) -> Result<Arc<OwnedFd>, Failure> {
    Locks::below(folder).until(deadline).take(NAME).map(Arc::new)
}

/// The same for changes of transparent proxies, which several drivers may make of one bridge.
pub(super) fn take_for_proxies(folder: &Path, deadline: Deadline) -> Result<Arc<OwnedFd>, Failure> {
    Locks::below(folder).until(deadline).take(PROXIES).map(Arc::new)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use std::time::Duration;

    use super::*;
    use crate::privileged::Privileged;

    #[test]
    fn a_turn_lasts_as_long_as_the_programs_that_were_started_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let soon = || Deadline::after(Duration::from_millis(20));
        let turn = take(folder.path(), soon()).unwrap();
        assert!(take(folder.path(), soon()).is_err());
        // What a program finds open is its own, whoever else closes it.
        let privileged = Privileged::own(Deadline::after(Duration::from_secs(60)));
        let open = |privileged: &Privileged| {
            let outcome = privileged.run("ls", &["-l", "/proc/self/fd"], &[]).unwrap();
            String::from_utf8(outcome.stdout).unwrap().contains("/onevnm-remotes-filter-lock\n")
        };
        assert!(!open(&privileged));
        assert!(open(&privileged.holding(turn.clone())));
        drop(turn);
        take(folder.path(), soon()).unwrap();
    }
}
