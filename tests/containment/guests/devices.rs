//! Hands whatever document it is given to its own domain: as a device, a snapshot, a checkpoint.

use containment_guests::tell;
use remotes_sdk::libvirt::{self, Scope};
use remotes_sdk::{Failure, here};

containment_guests::reboot!(plug);

fn plug(domain: &str, _: &str, document: &str) -> Result<(), Failure> {
    let on = here();
    for scope in [Scope::Live, Scope::Config, Scope::Both] {
        tell("attach-device", libvirt::attach_device(&on, domain, document, scope));
        tell("update-device", libvirt::update_device(&on, domain, document, scope, true));
    }
    tell("snapshot-create", libvirt::snapshot_create(&on, domain, document));
    tell("snapshot-redefine", libvirt::snapshot_redefine(&on, domain, document, true));
    tell("checkpoint-create", libvirt::checkpoint_create(&on, domain, document, true));
    Ok(())
}
