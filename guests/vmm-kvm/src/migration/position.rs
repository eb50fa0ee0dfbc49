//! On which of the two hosts a machine is: at the start, which may be a repeat, and after a failure, which
//! may have come too late to stop anything.

use remotes_sdk::libvirt::{self, Domain, State};
use remotes_sdk::wait::until;
use remotes_sdk::{Explain, Failure, error, info};

use super::{Journey, shown};
use crate::domain::{active_on, destroy_on};

/// Seconds for the hypervisors to clear up after a move that nobody watches any more.
const CLEARED_UP: u64 = 30;

/// Where the machine is, and its state there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    Source(State),
    Destination(State),
}

/// Where the machine is. It fails where that cannot be told; then nothing has been touched.
pub fn find(journey: &Journey) -> Result<Position, Failure> {
    match look(journey)? {
        (Some(here), None) => Ok(Position::Source(here.state)),
        (None, Some(there)) => Ok(Position::Destination(there.state)),
        (None, None) => Err(Failure::not_found(format!(
            "domain {} runs neither on {} nor on {}",
            journey.id,
            shown(&journey.source),
            shown(&journey.destination)
        ))),
        (Some(_), Some(_)) => settle(journey),
    }
}

fn look(journey: &Journey) -> Result<(Option<Domain>, Option<Domain>), Failure> {
    Ok((active_on(&journey.source, &journey.id)?, active_on(&journey.destination, &journey.id)?))
}

/// It is on both: the move was not ended as it should have been. The hypervisors mostly see to that
/// themselves when their client is gone.
fn settle(journey: &Journey) -> Result<Position, Failure> {
    info!("the domain is on both hosts; an earlier move is ended first");
    libvirt::abort_job(&journey.source, &journey.id).or_warn("the earlier move cannot be ended");
    let mut both = None;
    let settled = until(CLEARED_UP, |_| {
        both = match look(journey)? {
            (Some(here), Some(there)) => Some((here.state, there.state)),
            _ => None,
        };
        Ok(both.is_none())
    })?;
    let Some((here, there)) = both.filter(|_| !settled) else { return find(journey) };
    match (runs(here), runs(there)) {
        // What waits there for the rest of its memory waits in vain.
        (true, false) if there == State::Paused => {
            destroy_on(&journey.destination, &journey.id)?;
            Ok(Position::Source(here))
        }
        // It has gone on there: what is left here must never run again.
        (false, true) if here == State::Paused => {
            // After post-copy has begun these are the states that should be, while pages are still fetched from here;
            // such a job cannot be ended.
            libvirt::abort_job(&journey.source, &journey.id).map_err(|failure| {
                let (source, destination) = (shown(&journey.source), shown(&journey.destination));
                Failure::busy(format!(
                    "the domain runs on {destination}, and the rest of its memory may still come from {source} ({}); \
                     nothing was touched: try again when that has ended",
                    failure.message
                ))
            })?;
            destroy_on(&journey.source, &journey.id)?;
            Ok(Position::Destination(there))
        }
        _ => {
            let (source, destination) = (shown(&journey.source), shown(&journey.destination));
            error!("{} is {here:?} on {source} and {there:?} on {destination}", journey.id);
            Err(Failure::failed(format!(
                "the domain is on {source} and on {destination}, and it cannot be told which one counts; nothing was \
                 touched: destroy the wrong one by hand"
            )))
        }
    }
}

/// Whether the guest's processors run.
pub fn runs(state: State) -> bool {
    matches!(state, State::Running | State::Blocked)
}
