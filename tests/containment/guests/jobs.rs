//! Tries on a domain that it is given what takes longer: moves, copies, freezing, checkpoints.

use containment_guests::{migration, tell};
use remotes_sdk::libvirt::{self, Bandwidth, CopyTarget};
use remotes_sdk::{Failure, here};

containment_guests::reboot!(touch);

fn touch(domain: &str, _: &str, path: &str) -> Result<(), Failure> {
    let on = here();
    let target = CopyTarget { path: path.to_owned(), format: "raw".to_owned(), block: false };
    let limit = Bandwidth { average: 1, peak: 1, burst: 1 };
    tell("unplug-device", libvirt::unplug_device(&on, domain, "virtio-disk0", 1));
    tell("migrate", libvirt::migrate(&on, domain, &migration("qemu+ssh://node2/system")));
    tell("abort-job", libvirt::abort_job(&on, domain));
    tell("block-copy", libvirt::block_copy(&on, domain, "vda", &target, false));
    tell("block-job", libvirt::block_job(&on, domain, "vda"));
    tell("end-block-job", libvirt::end_block_job(&on, domain, "vda", true));
    tell("freeze", libvirt::freeze(&on, domain, &[]));
    tell("thaw", libvirt::thaw(&on, domain, &[]));
    tell("checkpoints", libvirt::checkpoints(&on, domain));
    tell("checkpoint-xml", libvirt::checkpoint_xml(&on, domain, "c"));
    tell("checkpoint-create", libvirt::checkpoint_create(&on, domain, "<domaincheckpoint/>", true));
    tell("checkpoint-delete", libvirt::checkpoint_delete(&on, domain, "c", true));
    tell("set-bandwidth", libvirt::set_bandwidth(&on, domain, "one-5-0", Some(limit), None));
    Ok(())
}
