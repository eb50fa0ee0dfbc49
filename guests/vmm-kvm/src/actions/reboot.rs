//! Asks the guest to restart. Nothing is waited for.

use remotes_sdk::{Explain, Failure, here, libvirt};

pub fn run(id: &str) -> Result<(), Failure> {
    libvirt::reboot(&here(), id).explain(|| format!("Could not reboot domain {id}"))
}
