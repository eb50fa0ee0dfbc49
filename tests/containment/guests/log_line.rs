//! Logs one line of 4 MiB.

use remotes_sdk::Failure;
use remotes_sdk::log::{Level, write};

containment_guests::reboot!(line);

fn line(_: &str, _: &str, _: &str) -> Result<(), Failure> {
    write(Level::Error, &"x".repeat(4 * 1024 * 1024));
    Ok(())
}
