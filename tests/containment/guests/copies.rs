//! Has its domain's disk copied to every path that it is given.

use containment_guests::tell;
use remotes_sdk::libvirt::{self, CopyTarget};
use remotes_sdk::{Failure, here};

containment_guests::reboot!(copy);

fn copy(domain: &str, _: &str, paths: &str) -> Result<(), Failure> {
    for path in paths.split('\n') {
        for (format, block) in [("raw", false), ("raw", true), ("qcow2", false)] {
            let target = CopyTarget { path: path.to_owned(), format: format.to_owned(), block };
            tell("block-copy", libvirt::block_copy(&here(), domain, "vda", &target, false));
        }
    }
    Ok(())
}
