//! Looks into a checkpoint and restores from it, whoever's it is.

use containment_guests::tell;
use remotes_sdk::{Failure, here, libvirt};

containment_guests::reboot!(restore);

fn restore(_: &str, _: &str, checkpoint: &str) -> Result<(), Failure> {
    tell("saved-xml", libvirt::saved_xml(&here(), checkpoint));
    tell("restore", libvirt::restore(&here(), checkpoint, None));
    Ok(())
}
