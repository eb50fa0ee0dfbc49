//! Moves files between its own folder and everywhere: lines `HOST PATH`, without a host for this one.

use containment_guests::tell;
use remotes_sdk::{Failure, Node, Place, at, transfer};

containment_guests::reboot!(carry);

fn carry(inside: &str, _: &str, places: &str) -> Result<(), Failure> {
    for line in places.split('\n') {
        let (host, path) = line.split_once(' ').unwrap_or(("", line));
        let on = if host.is_empty() { Node::Here } else { Node::Host(host.to_owned()) };
        let there = Place { on, path: path.to_owned() };
        tell("copy", transfer::copy(&there, &at(inside)));
        tell("copy", transfer::copy(&at(inside), &there));
    }
    Ok(())
}
