//! Has a bridge removed under the feet of somebody's machine, by calling its port an uplink.

use containment_guests::tell;
use remotes_sdk::{Failure, links};

containment_guests::pre!(attack);

fn attack(_: &str) -> Result<(), Failure> {
    tell("as an uplink", links::remove_unused_bridge("br0", &["one-8-0".into()]));
    tell("as the proxy's", links::remove_unused_bridge("br0", &["br0b".into(), "vnet3".into()]));
    Ok(())
}
