//! Names of links that a tool would read as options, as several words, or as paths.

use containment_guests::tell;
use remotes_sdk::Failure;
use remotes_sdk::links::{self, Bridge, PortVlan};

containment_guests::pre!(attack);

const NAMES: [&str; 12] = [
    "",
    "-batch",
    "--help",
    "br0 down",
    "br0\nlink delete docker0",
    "br0\0x",
    "../br0",
    "br0/..",
    "br0;reboot",
    "$(reboot)",
    "br0123456789abcdef",
    "br\u{e9}",
];

fn attack(_: &str) -> Result<(), Failure> {
    for name in NAMES {
        tell(name, links::make_bridge(&Bridge { name: name.into(), settings: vec![] }));
        tell(name, links::remove(name));
        tell(name, links::remove_unused_bridge("br0", &[name.into()]));
        tell(name, links::set_master("eth1", Some(name)));
        tell(name, links::set_master(name, None));
        tell(name, links::add_vlans(&[PortVlan { port: name.into(), id: 5, pvid: false, untagged: false }]));
        tell(name, links::addresses(name));
        tell(name, links::add_route("10.0.0.9", name));
    }
    Ok(())
}
