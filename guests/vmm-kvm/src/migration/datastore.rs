//! To another system datastore of the same host: the machine stays, its disks move under it.
//!
//! Every step but the last can be undone at once: disks are copied until the copies have caught up, drives
//! get their media from the new place, and only then does the machine go over to the copies. Before that the
//! machine writes to both.

use remotes_sdk::libvirt::{self, CopyTarget, Scope};
use remotes_sdk::wait::retry_when;
use remotes_sdk::{Explain, Failure, error, info};

use super::disks::{Content, Disk, is_inside, refuse_snapshots, refuse_strays, survey};
use super::layout::{items, mapped};
use super::made::{self, Made, Note};
use super::{Journey, copying, rollback};
use crate::device::media;
use crate::domain::passing;
use crate::metadata::Metadata;

/// A disk and the place that it moves to.
struct Move<'d> {
    disk: &'d Disk,
    target: CopyTarget,
    shallow: bool,
}

pub fn run(journey: &Journey) -> Result<(), Failure> {
    let xml = libvirt::xml(&journey.source, &journey.id)?;
    let disks = survey(journey, &xml)?;
    let earlier = Note::read(journey)?;
    refuse_strays(journey, &disks, earlier.other_goal.as_deref())?;
    let own: Vec<&Disk> = disks.iter().filter(|disk| is_own(journey, disk)).collect();
    let metadata = Metadata::of(&journey.source, &journey.id).or_warn("the metadata keep the old datastore").flatten();
    let is_noted = metadata.as_ref().is_none_or(|metadata| metadata.names(&journey.to));
    if own.is_empty() && is_noted && disks.iter().any(|disk| is_inside(&journey.to, &disk.path)) {
        info!("all disks are in {} already", journey.to);
        made::keep(journey);
        return Ok(());
    }
    refuse_snapshots(own.iter().filter_map(|disk| match &disk.content {
        Content::Image(image) => Some(image),
        _ => None,
    }))?;
    let moves: Vec<Move<'_>> = own.iter().filter_map(|disk| planned(journey, disk)).collect();
    let items = items(journey, &xml, &own)?;
    end_earlier(journey, &earlier, &moves)?;
    let made = Made::begin(journey, &items, false)?;
    made.make(journey, &items)?;
    let mut copies = Vec::new();
    match go(journey, &own, &moves, metadata.as_ref(), &mut copies) {
        Ok(()) => {
            made::keep(journey);
            Ok(())
        }
        Err(failure) => {
            rollback::run(journey, &made, &copies);
            Err(failure)
        }
    }
}

/// Whether the disk moves with the machine: its file, or the link that leads to its volume, is in the
/// machine's folder.
fn is_own(journey: &Journey, disk: &Disk) -> bool {
    match &disk.content {
        Content::Image(image) => is_inside(&journey.from, &disk.path) && is_inside(&journey.from, &image.path),
        Content::Medium | Content::Volume => is_inside(&journey.from, &disk.path),
        // A drive is told of the link's new place; a disk holds on to what it has open.
        Content::Elsewhere => is_inside(&journey.from, &disk.path) && disk.removable,
    }
}

/// How a disk moves; none for a medium, which is copied as a file.
fn planned<'d>(journey: &Journey, disk: &'d Disk) -> Option<Move<'d>> {
    let (format, block, shallow) = match &disk.content {
        Content::Image(image) => (&*image.format, false, image.base.is_some()),
        Content::Medium if !disk.removable => ("raw", false, false),
        Content::Volume => ("raw", true, false),
        Content::Medium | Content::Elsewhere => return None,
    };
    let target = CopyTarget { path: mapped(journey, &disk.path), format: format.to_owned(), block };
    Some(Move { disk, target, shallow })
}

/// Copies that an interrupted action has left running. One that is not such a copy is somebody else's, and the note of
/// one to another datastore is kept for the repeat of that.
fn end_earlier(journey: &Journey, earlier: &Note, moves: &[Move<'_>]) -> Result<(), Failure> {
    for Move { disk, target, .. } in moves {
        if let Some(goal) = &earlier.other_goal
            && copying::is_copied(journey, &disk.target)?
        {
            return Err(Failure::busy(format!(
                "a block job runs on {}, which an interrupted migration to {goal} may have left; nothing was touched: \
                 repeat that migration, or end the job with `virsh blockjob --abort`",
                disk.target
            )));
        }
        if earlier.paths.contains(&target.path) {
            copying::give_up(journey, &disk.target)?;
        }
    }
    Ok(())
}

fn go(
    journey: &Journey,
    own: &[&Disk],
    moves: &[Move<'_>],
    metadata: Option<&Metadata>,
    copies: &mut Vec<String>,
) -> Result<(), Failure> {
    for Move { disk, target, shallow } in moves {
        copying::begin(journey, &disk.target, target, *shallow)?;
        copies.push(disk.target.clone());
        copying::catch_up(journey, &disk.target, target)?;
    }
    for disk in own.iter().filter(|disk| disk.removable && !moves.iter().any(|it| it.disk.target == disk.target)) {
        let xml = media::exchanged(&disk.xml, &mapped(journey, &disk.path))?;
        journey.while_busy(|| libvirt::update_device(&journey.source, &journey.id, &xml, Scope::Live, true))?;
    }
    if let Some(metadata) = metadata.filter(|metadata| !metadata.names(&journey.to)) {
        metadata.naming(&journey.to)?.set(&journey.source, &journey.id)?;
    }
    for Move { disk, target, .. } in moves {
        copying::pivot(journey, &disk.target, target).inspect_err(|failure| {
            error!("{} does not go over to {}: {}", disk.target, target.path, failure.message);
        })?;
    }
    all_there(journey, own)
}

/// The domain has every disk in its new place: what it has left behind is removed after this action, whatever the
/// hypervisor has answered.
fn all_there(journey: &Journey, own: &[&Disk]) -> Result<(), Failure> {
    let places = retry_when(journey.tries, 1, passing, || copying::places(journey))?;
    for disk in own {
        let (wanted, place) = (mapped(journey, &disk.path), places.get(&disk.target));
        if place != Some(&wanted) {
            return Err(Failure::failed(format!(
                "{} was moved to {wanted}, but the domain has it in {}",
                disk.target,
                place.map_or("no file", String::as_str)
            )));
        }
    }
    Ok(())
}
