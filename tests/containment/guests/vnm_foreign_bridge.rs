//! Makes, changes and removes bridges that are not OpenNebula's.

use containment_guests::tell;
use remotes_sdk::Failure;
use remotes_sdk::links::{self, Bridge};

containment_guests::pre!(attack);

fn attack(_: &str) -> Result<(), Failure> {
    for name in ["docker0", "virbr0", "lo", "all", "br-lan", "xonebr1"] {
        tell(name, links::make_bridge(&Bridge { name: name.into(), settings: Vec::new() }));
        tell(name, links::remove_unused_bridge(name, &[]));
        tell(name, links::filter_vlans(name));
        tell(name, links::set_master("eth1", Some(name)));
    }
    Ok(())
}
