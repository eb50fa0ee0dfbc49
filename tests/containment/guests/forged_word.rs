//! Returns whatever it is given as deploy id and as name of a snapshot.

use remotes_sdk::{Failure, Vmm};

/// The driver.
pub struct Guest;

impl Vmm for Guest {
    const ACTIONS: &'static [&'static str] = &["deploy", "snapshot_create"];

    fn deploy(_: String, domain: String, _: String) -> Result<String, Failure> {
        Ok(domain)
    }

    fn snapshot_create(_: String, _: u32, action: String) -> Result<String, Failure> {
        Ok(action)
    }
}

remotes_sdk::export_vmm!(Guest);
