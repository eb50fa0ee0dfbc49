//! Unpacks the archive that it is given.

use remotes_sdk::{Failure, Vmm, at, filesystem};

/// The driver.
pub struct Guest;

impl Vmm for Guest {
    const ACTIONS: &'static [&'static str] = &["exec"];

    fn exec(_: u32, _: String, folder: String, archive: Vec<u8>) -> Result<(), Failure> {
        filesystem::unpack(&at(folder), &archive).map(drop)
    }
}

remotes_sdk::export_vmm!(Guest);
