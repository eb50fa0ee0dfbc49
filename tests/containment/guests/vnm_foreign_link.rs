//! Removes and changes links that no driver made.

use containment_guests::tell;
use remotes_sdk::{Failure, links};

containment_guests::pre!(attack);

fn attack(_: &str) -> Result<(), Failure> {
    for name in ["eth1", "docker0", "lo", "wg0", "one-8-0", "br0"] {
        tell(name, links::remove(name));
        tell(name, links::set_mtu(name, 68));
    }
    for name in ["docker0", "lo", "wg0", "one-8-0"] {
        tell(name, links::set_master(name, Some("br0")));
        tell(name, links::set_master(name, None));
    }
    Ok(())
}
