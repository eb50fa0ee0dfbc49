//! Unplugs a disk and sees it gone.

use remotes_sdk::libvirt::{self, Scope};
use remotes_sdk::wait::until;
use remotes_sdk::{Explain, Failure, FailureKind, error, here, info};

use crate::device::live;

/// Seconds for the guest to let a disk go, beyond those that libvirt waits by itself.
const LET_GO: u64 = 5;

pub fn run(id: &str, target: &str) -> Result<(), Failure> {
    let could_not = || format!("Could not detach {target} from {id}");
    let disk = || live::find(&live::description(id)?, "disk", |device| live::has_target(device, target));
    let Some(xml) = disk().explain(could_not)? else {
        info!("there is no disk {target}");
        return Ok(());
    };
    match libvirt::detach_device(&here(), id, &xml, Scope::Live) {
        // What became of it shows below.
        Err(failure) if failure.kind == FailureKind::Unknown => error!("{}", failure.message),
        detached => detached.explain(could_not)?,
    }
    match until(LET_GO, |_| Ok(disk()?.is_none())).explain(could_not)? {
        true => Ok(()),
        false => {
            error!("the guest does not let {target} go");
            Err(Failure::busy(could_not()))
        }
    }
}
