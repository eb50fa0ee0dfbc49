//! Unplugs a disk and sees it gone.

use remotes_sdk::{Explain, Failure, info};

use crate::device::live;
use crate::device::unplug::unplug;

pub fn run(id: &str, target: &str) -> Result<(), Failure> {
    let disk = || live::find(&live::description(id)?, "disk", |device| live::has_target(device, target));
    if !unplug(id, disk).explain(|| format!("Could not detach {target} from {id}"))? {
        info!("there is no disk {target}");
    }
    Ok(())
}
