//! Logs every domain that it is shown.

use remotes_sdk::log::{Level, write};
use remotes_sdk::{Failure, here, libvirt};

containment_guests::reboot!(list);

fn list(_: &str, _: &str, _: &str) -> Result<(), Failure> {
    for domain in libvirt::domains(&here())? {
        write(Level::Info, &domain.name);
    }
    Ok(())
}
