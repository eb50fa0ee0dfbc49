//! Inserts the contextualization CD again.

use remotes_sdk::filesystem::{self, Kind};
use remotes_sdk::libvirt::{self, Scope};
use remotes_sdk::{Explain, Failure, FailureKind, at, clean, here, info};

use super::prereconfigure::drive;
use crate::device::media;

pub fn run(id: &str, target: &str, iso: &str) -> Result<(), Failure> {
    if id.is_empty() || target.is_empty() || iso.is_empty() {
        return Ok(());
    }
    let could_not = || format!("Could not insert CDROM {iso} to {target}");
    let drive = drive(id, target).explain(could_not)?;
    match media::medium(&drive).explain(could_not)? {
        Some(medium) if clean(&medium) == clean(iso) => {
            info!("{iso} is in the drive already");
            return Ok(());
        }
        Some(medium) => {
            let occupied = format!("drive {target} of domain {id} already has media: {medium}");
            return Err(Failure::exists(occupied)).explain(could_not);
        }
        None => {}
    }
    let block = is_block_device(iso).explain(could_not)?;
    let xml = media::inserted(&drive, iso, block).explain(could_not)?;
    libvirt::update_device(&here(), id, &xml, Scope::Live, false).explain(could_not)
}

/// Also by a link, as LVM's datastores have it. What is there is libvirt's to find out.
fn is_block_device(path: &str) -> Result<bool, Failure> {
    match filesystem::stat(&at(path)).map(|metadata| metadata.kind) {
        Ok(Kind::BlockDevice) => Ok(true),
        Ok(Kind::Symlink) => Ok(filesystem::read_link(&at(path))?.starts_with("/dev/")),
        Ok(_) => Ok(false),
        Err(failure) if failure.kind == FailureKind::NotFound => Ok(false),
        Err(failure) => Err(failure),
    }
}
