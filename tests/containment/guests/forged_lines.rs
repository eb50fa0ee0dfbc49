//! Says whatever it is given, as a log line and as its failure.

use remotes_sdk::Failure;
use remotes_sdk::log::{Level, write};

containment_guests::reboot!(say);

fn say(_: &str, _: &str, action: &str) -> Result<(), Failure> {
    for level in [Level::Debug, Level::Info, Level::Warning, Level::Error] {
        write(level, action);
    }
    Err(Failure::failed(action))
}
