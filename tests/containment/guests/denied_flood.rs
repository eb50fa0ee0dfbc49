//! Does not take no for an answer.

use remotes_sdk::{Failure, at, filesystem};

containment_guests::reboot!(insist);

fn insist(_: &str, _: &str, action: &str) -> Result<(), Failure> {
    loop {
        if filesystem::read(&at(action)).is_ok() {
            return Ok(());
        }
    }
}
