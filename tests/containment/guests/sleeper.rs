//! Sleeps until the end of time.

use remotes_sdk::{Failure, clock};

containment_guests::reboot!(sleep);

fn sleep(_: &str, _: &str, _: &str) -> Result<(), Failure> {
    while clock::sleep(u64::MAX) {}
    Err(Failure::timeout("woken up"))
}
