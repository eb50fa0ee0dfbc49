//! Tries everything that there is for a domain on one that it is given.

use containment_guests::tell;
use remotes_sdk::libvirt::{self, Scope};
use remotes_sdk::{Failure, here};

containment_guests::reboot!(touch_all);

fn touch_all(domain: &str, _: &str, checkpoint: &str) -> Result<(), Failure> {
    let (on, scope) = (here(), Scope::Live);
    let device = "<disk/>";
    let uri = "urn:hostile";
    tell("find", libvirt::find(&on, domain));
    tell("xml", libvirt::xml(&on, domain));
    tell("metadata", libvirt::metadata(&on, domain, uri));
    tell("set-metadata", libvirt::set_metadata(&on, domain, uri, "h", "<a/>", scope));
    tell("suspend", libvirt::suspend(&on, domain));
    tell("resume", libvirt::resume(&on, domain));
    tell("wake-up", libvirt::wake_up(&on, domain));
    tell("sync-time", libvirt::sync_time(&on, domain));
    tell("attach-device", libvirt::attach_device(&on, domain, device, scope));
    tell("detach-device", libvirt::detach_device(&on, domain, device, scope));
    tell("update-device", libvirt::update_device(&on, domain, device, scope, true));
    tell("resize-block", libvirt::resize_block(&on, domain, "vda", 1));
    tell("set-vcpus", libvirt::set_vcpus(&on, domain, 1, scope, false));
    tell("set-memory", libvirt::set_memory(&on, domain, 1, scope));
    tell("snapshots", libvirt::snapshots(&on, domain));
    tell("snapshot-current", libvirt::snapshot_current(&on, domain));
    tell("snapshot-xml", libvirt::snapshot_xml(&on, domain, "s"));
    tell("snapshot-create", libvirt::snapshot_create(&on, domain, "<domainsnapshot/>"));
    tell("snapshot-redefine", libvirt::snapshot_redefine(&on, domain, "<domainsnapshot/>", true));
    tell("snapshot-revert", libvirt::snapshot_revert(&on, domain, "s", true));
    tell("snapshot-delete", libvirt::snapshot_delete(&on, domain, "s", true));
    tell("guest-agent", libvirt::guest_agent(&on, domain, r#"{"execute":"guest-ping"}"#, 1));
    tell("save", libvirt::save(&on, domain, checkpoint));
    tell("reboot", libvirt::reboot(&on, domain));
    tell("reset", libvirt::reset(&on, domain));
    tell("shutdown", libvirt::shutdown(&on, domain));
    tell("undefine", libvirt::undefine(&on, domain));
    tell("destroy", libvirt::destroy(&on, domain));
    Ok(())
}
