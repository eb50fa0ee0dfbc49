//! Has texts stand where addresses and ports of transparent proxies belong, which `nft` would take for more.

use containment_guests::tell;
use remotes_sdk::Failure;
use remotes_sdk::tproxy::{self, Endpoint};

containment_guests::pre!(attack);

fn endpoint(service_port: u16, address: &str, remote_port: u16) -> Endpoint {
    Endpoint { service_port, remote_address: address.into(), remote_port }
}

fn attack(_: &str) -> Result<(), Failure> {
    for address in [
        "10.0.0.1 . 22}; flush ruleset; #",
        "10.0.0.1\nflush ruleset",
        "fd00::1",
        "onegate",
        "",
        "10.0.0.01",
        "10.0.0.1/8",
        "0x0a000001",
    ] {
        tell(address, tproxy::up("br0", &[endpoint(5030, address, 5030)]));
    }
    let good = endpoint(5030, "10.0.0.1", 5030);
    for endpoints in [
        vec![],
        vec![endpoint(0, "10.0.0.1", 1)],
        vec![endpoint(1, "10.0.0.1", 0)],
        vec![good.clone(), endpoint(5030, "10.0.0.2", 1)],
    ] {
        tell("ports", tproxy::up("br0", &endpoints));
    }
    for name in ["-x", "a b", "$(id)", "a;b", "", "x/../y", "fe80::1"] {
        tell(name, tproxy::resolve(name));
    }
    Ok(())
}
