//! Ejects the contextualization CD before its content changes.

use remotes_sdk::libvirt::{self, Scope};
use remotes_sdk::wait::retry_when;
use remotes_sdk::{Explain, Failure, debug, here};

use crate::device::{live, media};
use crate::domain::passing;

/// How often the tray is to be opened, a second apart.
const TRIES: u64 = 3;

pub fn run(id: &str, target: &str) -> Result<(), Failure> {
    if id.is_empty() || target.is_empty() {
        return Ok(());
    }
    let could_not = || format!("Could not eject CDROM {target}");
    let drive = drive(id, target).explain(could_not)?;
    let Some(empty) = media::ejected(&drive).explain(could_not)? else {
        debug!("CDROM already ejected");
        return Ok(());
    };
    // After a restore the guest may need a moment before it opens the tray.
    retry_when(TRIES, 1, passing, || libvirt::update_device(&here(), id, &empty, Scope::Live, true)).explain(could_not)
}

/// The description of the drive.
pub fn drive(id: &str, target: &str) -> Result<String, Failure> {
    live::find(&live::description(id)?, "disk", |device| live::has_target(device, target))?
        .ok_or_else(|| Failure::not_found(format!("domain {id} has no drive {target}")))
}
