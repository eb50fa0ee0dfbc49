//! To another host that has storage of its own: memory and disks move. The machine arrives paused, and runs
//! when all that belongs to it is there.

use remotes_sdk::libvirt::{self, Migration};
use remotes_sdk::wait::retry_when;
use remotes_sdk::{Failure, error, info, parent};

use super::disks::{Content, Disk, is_inside, kind, refuse_snapshots, refuse_strays, survey};
use super::layout::items;
use super::made::{self, Made, Note};
use super::moved::{arrived, leave};
use super::position::{self, Position, runs};
use super::snapshots::Forgotten;
use super::{Journey, shown};
use crate::domain::{active_on, passing};

pub fn run(journey: &Journey) -> Result<(), Failure> {
    let (forgotten, resume) = match position::find(journey)? {
        // The repeat of one that was interrupted when libvirt had done its part; the note says how far it was.
        Position::Destination(_) => (Forgotten::default(), Note::read(journey)?.resume),
        Position::Source(state) => (go(journey, runs(state))?, runs(state)),
    };
    if resume {
        wake(journey);
    }
    made::keep(journey);
    arrived(journey, &forgotten);
    Ok(())
}

fn go(journey: &Journey, resume: bool) -> Result<Forgotten, Failure> {
    let xml = libvirt::xml(&journey.source, &journey.id)?;
    let disks = survey(journey, &xml)?;
    refuse_strays(journey, &disks, None)?;
    refuse_snapshots(disks.iter().filter_map(|disk| match &disk.content {
        Content::Image(image) => Some(image),
        _ => None,
    }))?;
    if kind(&journey.there(&*journey.to))?.is_some() && made::is_same_storage(journey, &journey.to)? {
        return Err(Failure::invalid(format!(
            "{} is the same folder on {} and {}, but its datastore is not SHARED=YES: its images would be overwritten \
             by their own copies",
            journey.to,
            shown(&journey.source),
            shown(&journey.destination)
        )));
    }
    let mut own = Vec::new();
    for disk in &disks {
        if !is_reached(journey, disk)? {
            own.push(disk);
        }
    }
    let items = items(journey, &xml, &own)?;
    let made = Made::begin(journey, &items, resume)?;
    made.make(journey, &items)?;
    let how = Migration {
        paused: true,
        disks: own.iter().filter(|disk| moves(disk)).map(|disk| disk.target.clone()).collect(),
        ..journey.how.clone()
    };
    let forgotten = Forgotten::take(journey).inspect_err(|_| made.remove())?;
    leave(journey, &how).map_err(|stayed| {
        stayed.known(journey, &forgotten);
        match stayed.certain {
            true => made.remove(),
            false => error!("what was made on {} stays there", shown(&journey.destination)),
        }
        stayed.failure
    })?;
    Ok(forgotten)
}

/// Whether the hypervisors copy the disk's content.
fn moves(disk: &Disk) -> bool {
    matches!(disk.content, Content::Image(_) | Content::Volume)
}

/// Whether a disk outside of the machine's folder is one that the other host reaches as well.
fn is_reached(journey: &Journey, disk: &Disk) -> Result<bool, Failure> {
    let path = match &disk.content {
        Content::Elsewhere => return Ok(true),
        Content::Volume => return Ok(false),
        Content::Image(image) => &image.path,
        Content::Medium => &disk.path,
    };
    if is_inside(&journey.from, path) || kind(&journey.there(&**path))?.is_none() {
        return Ok(false);
    }
    made::is_same_storage(journey, parent(path))
}

/// Lets the machine run. The move cannot be undone any more, so that a machine that stays paused is no
/// failure of it: oned would hold it for running where it no longer is, and have its disks removed.
fn wake(journey: &Journey) {
    let woken = retry_when(journey.tries, 1, passing, || match libvirt::resume(&journey.destination, &journey.id) {
        Err(_) if is_awake(journey) => Ok(()),
        resumed => resumed,
    });
    match woken {
        Ok(()) => info!("{} runs on {}", journey.id, shown(&journey.destination)),
        Err(failure) => error!(
            "{} has moved to {} and is paused there, as it cannot be resumed: {}",
            journey.id,
            shown(&journey.destination),
            failure.message
        ),
    }
}

fn is_awake(journey: &Journey) -> bool {
    active_on(&journey.destination, &journey.id).is_ok_and(|domain| domain.is_some_and(|domain| runs(domain.state)))
}
