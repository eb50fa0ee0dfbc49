//! Back to where the disks were, when one of them cannot move. What has to come back shows in the running
//! domain: also what an earlier action, which was killed, had moved.

use remotes_sdk::libvirt::{self, CopyTarget, Scope};
use remotes_sdk::wait::retry_when;
use remotes_sdk::xml::{Document, Element};
use remotes_sdk::{Failure, error, image, info};

use super::disks::{is_inside, is_raw, is_removable, kind, path};
use super::made::Made;
use super::{Journey, copying};
use crate::device::media;
use crate::domain::passing;
use crate::metadata::Metadata;

/// Puts all of it back; copies of these disks are under way. What was made is removed only where nothing is in
/// use any more.
pub fn run(journey: &Journey, made: &Made, copies: &[String]) {
    match all(journey, copies) {
        Ok(()) => made.remove(),
        Err(failure) => error!(
            "the machine runs, with disks in {} and in {}; nothing is removed from either: {}",
            journey.from, journey.to, failure.message
        ),
    }
}

fn all(journey: &Journey, copies: &[String]) -> Result<(), Failure> {
    for disk in copies {
        again(journey, || copying::give_up(journey, disk))?;
    }
    let xml = again(journey, || libvirt::xml(&journey.source, &journey.id))?;
    let document = Document::parse(&xml)?;
    for element in document.elements("devices").into_iter().flat_map(|devices| devices.elements("disk")) {
        let target = element.first("target").and_then(|target| target.attribute("dev"));
        let (Some(target), Some(there)) = (target, path(element)) else { continue };
        let Some(below) = there.strip_prefix(&journey.to).filter(|_| is_inside(&journey.to, &there)) else { continue };
        let back = format!("{}{below}", journey.from);
        if kind(&journey.here(&*back))?.is_none() {
            return Err(Failure::not_found(format!("{back}, which {target} was moved from, is gone")));
        }
        match is_removable(element) {
            true => medium(journey, &xml[element.range()], &back)?,
            false => disk(journey, element, target, &there, back)?,
        }
    }
    match again(journey, || Metadata::of(&journey.source, &journey.id))? {
        Some(metadata) if !metadata.names(&journey.from) => {
            let metadata = metadata.naming(&journey.from)?;
            again(journey, || metadata.set(&journey.source, &journey.id))
        }
        _ => Ok(()),
    }
}

/// A drive gets its medium from the old place.
fn medium(journey: &Journey, drive: &str, back: &str) -> Result<(), Failure> {
    let xml = media::exchanged(drive, back)?;
    again(journey, || libvirt::update_device(&journey.source, &journey.id, &xml, Scope::Live, true))
}

/// A disk that has gone over to its copy is copied back.
fn disk(journey: &Journey, disk: Element<'_, '_>, target: &str, there: &str, back: String) -> Result<(), Failure> {
    info!("{target} is copied back to {back}");
    let block = disk.attribute("type") == Some("block");
    let image = if block || is_raw(disk) { None } else { Some(image::inspect(&journey.here(there))?) };
    let shallow = image.as_ref().is_some_and(|image| image.backing_file.is_some());
    let format = image.map_or_else(|| "raw".to_owned(), |image| image.format);
    let copy = CopyTarget { path: back, format, block };
    copying::begin(journey, target, &copy, shallow)?;
    copying::catch_up(journey, target, &copy)?;
    copying::pivot(journey, target, &copy)
}

fn again<T>(journey: &Journey, undo: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
    retry_when(journey.tries, 1, passing, undo)
}
