//! Copying a disk while the machine runs, and going over to the copy.

use std::collections::BTreeMap;

use remotes_sdk::libvirt::{self, CopyTarget};
use remotes_sdk::wait::{retry_when, until};
use remotes_sdk::xml::Document;
use remotes_sdk::{Failure, FailureKind};

use super::Journey;
use super::disks::path;
use crate::domain::passing;

/// Seconds that a copy may take: longer than any action may.
const LONGEST: u64 = 60 * 60 * 24 * 31;

/// Begins to copy a disk.
pub fn begin(journey: &Journey, disk: &str, target: &CopyTarget, shallow: bool) -> Result<(), Failure> {
    let begun = journey.while_busy(|| libvirt::block_copy(&journey.source, &journey.id, disk, target, shallow));
    match begun {
        // Whether it was begun shows.
        Err(failure) if failure.kind == FailureKind::Unknown && is_copied(journey, disk)? => Ok(()),
        begun => begun,
    }
}

/// Waits until the copy has caught up with the guest.
pub fn catch_up(journey: &Journey, disk: &str, target: &CopyTarget) -> Result<(), Failure> {
    let caught_up = until(LONGEST, |_| match progress(journey, disk)? {
        Some(ready) => Ok(ready),
        None => Err(Failure::failed(format!(
            "the copy of {disk} to {} has ended before its time: is there room for it?",
            target.path
        ))),
    })?;
    match caught_up {
        true => Ok(()),
        false => Err(Failure::timeout(format!("the copy of {disk} does not catch up with the guest"))),
    }
}

/// Goes over to the copy that has caught up. Where the disk is afterwards counts, whatever was answered.
pub fn pivot(journey: &Journey, disk: &str, target: &CopyTarget) -> Result<(), Failure> {
    retry_when(journey.tries, 1, passing, || match libvirt::end_block_job(&journey.source, &journey.id, disk, true) {
        Err(_) if place(journey, disk)?.as_ref() == Some(&target.path) => Ok(()),
        ended => ended,
    })
}

/// Ends the disk's copy, if there is one; the disk stays where it is.
pub fn give_up(journey: &Journey, disk: &str) -> Result<(), Failure> {
    match is_copied(journey, disk)? {
        true => libvirt::end_block_job(&journey.source, &journey.id, disk, false),
        false => Ok(()),
    }
}

/// Whether a block job runs on the disk.
pub fn is_copied(journey: &Journey, disk: &str) -> Result<bool, Failure> {
    Ok(progress(journey, disk)?.is_some())
}

/// Whether the copy has caught up; none where there is none.
fn progress(journey: &Journey, disk: &str) -> Result<Option<bool>, Failure> {
    let job = retry_when(journey.tries, 1, passing, || libvirt::block_job(&journey.source, &journey.id, disk))?;
    Ok(job.map(|job| job.ready))
}

/// Where the domain has the disk.
fn place(journey: &Journey, disk: &str) -> Result<Option<String>, Failure> {
    Ok(places(journey)?.remove(disk))
}

/// Where the domain has its disks, by target.
pub fn places(journey: &Journey) -> Result<BTreeMap<String, String>, Failure> {
    let xml = libvirt::xml(&journey.source, &journey.id)?;
    let document = Document::parse(&xml)?;
    let all = document.elements("devices").into_iter().flat_map(|devices| devices.elements("disk"));
    let named = all.filter_map(|disk| Some((disk.first("target")?.attribute("dev")?.to_owned(), path(disk)?)));
    Ok(named.collect())
}
