//! Logs without end.

use remotes_sdk::Failure;
use remotes_sdk::log::{Level, write};

containment_guests::reboot!(flood);

fn flood(_: &str, _: &str, _: &str) -> Result<(), Failure> {
    loop {
        write(Level::Info, "all work and no play makes a dull driver");
    }
}
