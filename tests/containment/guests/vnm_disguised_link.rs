//! Removes links whose names are granted, but which are of another kind than drivers make.

use containment_guests::tell;
use remotes_sdk::{Failure, links};

containment_guests::pre!(attack);

fn attack(_: &str) -> Result<(), Failure> {
    // A tap that is called like a device, one that is called like a bridge.
    tell("a tap as a device", links::remove("eth1.9"));
    tell("a tap as a bridge", links::remove_unused_bridge("br9", &[]));
    Ok(())
}
