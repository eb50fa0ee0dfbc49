//! To another host that sees the same storage: only memory moves.

use remotes_sdk::Failure;

use super::Journey;
use super::moved::{arrived, leave};
use super::position::{self, Position};
use super::snapshots::Forgotten;

pub fn run(journey: &Journey) -> Result<(), Failure> {
    let forgotten = match position::find(journey)? {
        // The repeat of one that was interrupted when libvirt had done its part.
        Position::Destination(_) => Forgotten::default(),
        Position::Source(_) => {
            let forgotten = Forgotten::take(journey)?;
            leave(journey, &journey.how).map_err(|stayed| {
                stayed.known(journey, &forgotten);
                stayed.failure
            })?;
            forgotten
        }
    };
    arrived(journey, &forgotten);
    Ok(())
}
