//! Sets up and takes down transparent proxies on bridges that are not OpenNebula's, by names that become others
//! in a script, and takes machines for uplinks.

use containment_guests::tell;
use remotes_sdk::Failure;
use remotes_sdk::tproxy::{self, Endpoint};

containment_guests::pre!(attack);

fn attack(_: &str) -> Result<(), Failure> {
    let endpoint = Endpoint { service_port: 22, remote_address: "10.0.0.1".into(), remote_port: 22 };
    for name in [
        "docker0",
        "virbr0",
        "lo",
        "br-lan",
        "xonebr1",
        "onebr.123456789",
        "br0; flush ruleset",
        "br0\" drop }",
        "../../etc",
        "br0 b",
        "all",
        "br:0",
    ] {
        tell(name, tproxy::up(name, std::slice::from_ref(&endpoint)));
        tell(name, tproxy::down(name, &[]));
    }
    for machine in ["one-8-0", "vnet3", "br1b"] {
        tell(machine, tproxy::down("br0", &["eth1".into(), machine.into()]));
    }
    Ok(())
}
