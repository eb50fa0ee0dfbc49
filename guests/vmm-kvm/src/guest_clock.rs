//! The guest's clock, which has stood still while its memory was somewhere else.

use remotes_sdk::wait::retry_when;
use remotes_sdk::{Failure, Node, info, libvirt, settings, warning};

use crate::domain::passing;

/// As `SYNC_TIME` has it: sets the clock through the guest's agent, which has slept as long as the guest.
/// Never fatal.
pub fn synchronise(on: &Node, id: &str) {
    as_wanted(settings::yes("SYNC_TIME"), on, id);
}

/// The same after a migration, whose stock script takes any letters.
pub fn synchronise_moved(on: &Node, id: &str) {
    as_wanted(settings::yes_in_any_case("SYNC_TIME"), on, id);
}

fn as_wanted(wanted: Result<bool, Failure>, on: &Node, id: &str) {
    match wanted {
        Ok(true) => {
            let synced = retry_when(2, 1, passing, || libvirt::sync_time(on, id));
            if let Err(failure) = synced {
                info!("the guest's clock is not set: {}", failure.message);
            }
        }
        Ok(false) => {}
        Err(failure) => warning!("the guest's clock is not set: {}", failure.message),
    }
}
