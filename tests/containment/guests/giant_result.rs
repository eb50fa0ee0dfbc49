//! Fails with a message of 20 MiB.

use remotes_sdk::Failure;

containment_guests::reboot!(fail);

fn fail(_: &str, _: &str, _: &str) -> Result<(), Failure> {
    Err(Failure::failed("x".repeat(20 * 1024 * 1024)))
}
