//! Panics between the two halves of a change.

use remotes_sdk::{Failure, at, filesystem};

containment_guests::reboot!(change);

fn change(_: &str, _: &str, action: &str) -> Result<(), Failure> {
    filesystem::write(&at(action), b"the second content\n", 0o644)?;
    if filesystem::read(&at(action))? == b"the second content\n" {
        panic!("no idea how to go on with {action}");
    }
    filesystem::remove(&at(action), false)
}
