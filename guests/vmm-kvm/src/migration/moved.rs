//! The move itself, and what comes after it.

use remotes_sdk::libvirt::{self, Migration};
use remotes_sdk::{Explain, Failure, FailureKind};

use super::position::{self, Position};
use super::snapshots::Forgotten;
use super::{Journey, shown};
use crate::{guest_clock, memory};

/// Why a machine is where it was.
pub struct Stayed {
    pub failure: Failure,
    /// Whether it is certain that it is there, and nowhere else.
    pub certain: bool,
}

/// Moves the machine. It has moved where it is seen to have, whatever was answered.
pub fn leave(journey: &Journey, how: &Migration) -> Result<(), Stayed> {
    let moved = journey.while_busy(|| libvirt::migrate(&journey.source, &journey.id, how)).map_err(in_operators_words);
    let Err(failure) = moved else { return Ok(()) };
    if matches!(failure.kind, FailureKind::Timeout | FailureKind::Unknown) {
        libvirt::abort_job(&journey.source, &journey.id).or_warn("the move cannot be ended");
    }
    match position::find(journey) {
        Ok(Position::Destination(_)) => Ok(()),
        Ok(Position::Source(_)) => Err(Stayed { failure, certain: true }),
        Err(unclear) => {
            let message = format!("{}; where the machine is now: {}", failure.message, unclear.message);
            Err(Stayed { failure: Failure { message, ..failure }, certain: false })
        }
    }
}

/// What the contract calls so, the operator writes otherwise.
fn in_operators_words(failure: Failure) -> Failure {
    Failure { message: failure.message.replace("`allow-unsafe`", "`--unsafe` in MIGRATE_OPTIONS of kvmrc"), ..failure }
}

impl Stayed {
    /// libvirt knows the machine's snapshots again where it is.
    pub fn known(&self, journey: &Journey, forgotten: &Forgotten) {
        match self.certain {
            true => forgotten.give(journey, &journey.source),
            // Its own hypervisor can be asked for it, where the other one may be out of reach.
            false if crate::domain::active_on(&journey.source, &journey.id).is_ok_and(|it| it.is_some()) => {
                forgotten.give(journey, &journey.source);
            }
            false => {}
        }
    }
}

/// What is left to do when the machine is there. Nothing of it is a reason to call the move a failure.
pub fn arrived(journey: &Journey, forgotten: &Forgotten) {
    forgotten.give(journey, &journey.destination);
    guest_clock::synchronise_moved(&journey.destination, &journey.id);
    memory::compact_on_leave(&journey.source);
    remotes_sdk::debug!("{} is on {}", journey.id, shown(&journey.destination));
}
