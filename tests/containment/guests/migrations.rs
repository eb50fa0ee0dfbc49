//! Moves its domain to every address that it is given, and by way of it.

use containment_guests::{migration, tell};
use remotes_sdk::libvirt::{self, Migration};
use remotes_sdk::{Failure, here};

containment_guests::reboot!(leave);

fn leave(domain: &str, granted: &str, uris: &str) -> Result<(), Failure> {
    for uri in uris.split('\u{1f}') {
        tell("migrate", libvirt::migrate(&here(), domain, &migration(uri)));
        let by_way = Migration { migrate_uri: Some(uri.to_owned()), peer_to_peer: true, ..migration(granted) };
        tell("migrate", libvirt::migrate(&here(), domain, &by_way));
    }
    Ok(())
}
