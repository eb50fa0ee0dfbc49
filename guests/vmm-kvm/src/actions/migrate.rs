//! Moves the running machine; called on the host that it runs on.

use remotes_sdk::{Failure, here};

use crate::migration;

pub fn run(id: &str, destination: &str, source: &str, vm_id: u32, action: &str) -> Result<(), Failure> {
    migration::run(id, destination, source, here(), vm_id, action)
}
