//! Unplugs a disk and sees it gone.

use remotes_sdk::{Explain, Failure, info};

use crate::device::live;
use crate::device::unplug::unplug;

pub fn run(id: &str, target: &str) -> Result<(), Failure> {
    let could_not = || format!("Could not detach {target} from {id}");
    // None has no name: what is not found for it may well be plugged in, and its image would be removed.
    if target.is_empty() {
        return Err(Failure::invalid("the disk's target is missing")).explain(could_not);
    }
    let disk = || live::find(&live::description(id)?, "disk", |device| live::has_target(device, target));
    if !unplug(id, disk).explain(could_not)? {
        info!("there is no disk {target}");
    }
    Ok(())
}
