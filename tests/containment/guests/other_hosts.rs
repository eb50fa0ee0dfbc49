//! Acts on every host that it is given, and between them.

use containment_guests::tell;
use remotes_sdk::{Failure, Node, Place, at, filesystem, libvirt, tools};

containment_guests::reboot!(reach);

fn reach(domain: &str, inside: &str, hosts: &str) -> Result<(), Failure> {
    for host in hosts.split('\n') {
        let node = Node::Host(host.to_owned());
        let there = Place { on: node.clone(), path: inside.to_owned() };
        tell("read", filesystem::read(&there));
        tell("copy", filesystem::copy(&at(inside), &there));
        tell("run", tools::run(&node, "true", &[], &[]));
        tell("destroy", libvirt::destroy(&node, domain));
    }
    Ok(())
}
