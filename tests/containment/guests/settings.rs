//! Asks for every configuration key that it is given.

use remotes_sdk::log::{Level, write};
use remotes_sdk::{Failure, configuration};

containment_guests::reboot!(ask);

fn ask(_: &str, _: &str, keys: &str) -> Result<(), Failure> {
    for key in keys.split('\u{1f}') {
        let value = configuration::get(key).map(|value| value.unwrap_or_default());
        write(Level::Info, &value.unwrap_or_else(|failure| failure.message));
    }
    Ok(())
}
