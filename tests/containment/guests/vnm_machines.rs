//! A network driver, which has to look at machines, that changes them.

use containment_guests::tell;
use remotes_sdk::libvirt::{self, Bandwidth, Scope};
use remotes_sdk::{Failure, here};

containment_guests::pre!(attack);

const DOMAIN: &str = "one-8";

fn attack(_: &str) -> Result<(), Failure> {
    let here = here();
    tell("find", libvirt::find(&here, DOMAIN));
    tell("destroy", libvirt::destroy(&here, DOMAIN));
    tell("shutdown", libvirt::shutdown(&here, DOMAIN));
    tell("suspend", libvirt::suspend(&here, DOMAIN));
    tell("undefine", libvirt::undefine(&here, DOMAIN));
    tell("create", libvirt::create(&here, "<domain><name>one-9</name></domain>", false));
    tell("attach", libvirt::attach_device(&here, DOMAIN, "<disk/>", Scope::Live));
    let none = Bandwidth { average: 1, peak: 0, burst: 0 };
    tell("bandwidth", libvirt::set_bandwidth(&here, DOMAIN, "one-8-0", Some(none), None));
    Ok(())
}
