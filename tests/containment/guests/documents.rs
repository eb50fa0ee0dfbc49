//! Starts, defines and restores a domain from whatever document it is given.

use containment_guests::tell;
use remotes_sdk::libvirt;
use remotes_sdk::{Failure, here};

containment_guests::reboot!(make);

fn make(_: &str, checkpoint: &str, document: &str) -> Result<(), Failure> {
    tell("create", libvirt::create(&here(), document, false));
    tell("define", libvirt::define(&here(), document));
    tell("restore", libvirt::restore(&here(), checkpoint, Some(document)));
    Ok(())
}
