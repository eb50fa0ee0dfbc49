//! Draws the traffic of others to a bridge, and answers in their place.

use containment_guests::tell;
use remotes_sdk::{Failure, links};

containment_guests::pre!(attack);

fn attack(_: &str) -> Result<(), Failure> {
    let elsewhere = ["198.51.100.7", "0.0.0.0/0", "::/0", "10.0.0.0/8", "2001:db8::1", "10.0.0.1/0", "", "default"];
    for address in elsewhere {
        tell(address, links::add_route(address, "br0"));
        tell(address, links::remove_route(address, "br0"));
        tell(address, links::add_proxy(address, "br0"));
        tell(address, links::remove_proxy(address, "br0"));
    }
    for link in ["eth1", "docker0", "lo"] {
        tell(link, links::add_route("10.0.0.9", link));
        tell(link, links::add_proxy("10.0.0.9", link));
    }
    Ok(())
}
