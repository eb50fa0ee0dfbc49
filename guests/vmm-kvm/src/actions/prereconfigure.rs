//! Ejects the contextualization CD before its content changes.

use remotes_sdk::libvirt::{self, Scope};
use remotes_sdk::{Explain, Failure, debug, here};

use crate::device::{live, media};

pub fn run(id: &str, target: &str) -> Result<(), Failure> {
    if target.is_empty() {
        return Ok(());
    }
    let could_not = || format!("Could not eject CDROM {target}");
    let drive = drive(id, target).explain(could_not)?;
    let Some(empty) = media::ejected(&drive).explain(could_not)? else {
        debug!("CDROM already ejected");
        return Ok(());
    };
    libvirt::update_device(&here(), id, &empty, Scope::Live, true).explain(could_not)
}

/// The description of the drive.
pub fn drive(id: &str, target: &str) -> Result<String, Failure> {
    live::find(&live::description(id)?, "disk", |device| live::has_target(device, target))?
        .ok_or_else(|| Failure::not_found(format!("domain {id} has no drive {target}")))
}
