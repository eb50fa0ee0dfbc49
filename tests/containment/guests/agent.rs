//! Sends the guest agent every command that it is given.

use containment_guests::tell;
use remotes_sdk::{Failure, here, libvirt};

containment_guests::reboot!(send);

fn send(domain: &str, _: &str, commands: &str) -> Result<(), Failure> {
    for command in commands.split('\n') {
        tell("guest-agent", libvirt::guest_agent(&here(), domain, command, 1));
    }
    Ok(())
}
