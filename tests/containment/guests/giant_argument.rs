//! Hands over a file of 20 MiB in one call.

use remotes_sdk::{Failure, at, filesystem};

containment_guests::reboot!(hand_over);

fn hand_over(_: &str, _: &str, action: &str) -> Result<(), Failure> {
    filesystem::write(&at(action), &vec![b'x'; 20 * 1024 * 1024], 0o644)
}
