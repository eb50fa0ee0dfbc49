//! Ends a domain: the least that changes something at the hypervisor.

use remotes_sdk::{Failure, here, libvirt};

containment_guests::reboot!(destroy);

fn destroy(domain: &str, _: &str, _: &str) -> Result<(), Failure> {
    libvirt::destroy(&here(), domain)
}
