//! Presses the reset button.

use remotes_sdk::{Explain, Failure, here, libvirt};

pub fn run(id: &str) -> Result<(), Failure> {
    libvirt::reset(&here(), id).explain(|| format!("Could not reset domain {id}"))
}
