//! The namespace of a bridge's proxy.

use std::path::{Path, PathBuf};

use remotes_effect::network::proxies;
use remotes_effect::types::{Failure, FailureKind};

use crate::network::privileged::Privileged;

/// Where `ip netns` keeps names of namespaces.
const NAMES: &str = "/var/run/netns";

/// `NSFS_MAGIC`: what is mounted on a name that stands for a namespace.
const NSFS: u64 = 0x6e73_6673;

/// In the host's own namespace or in another, `sysctl` is told the same; this line is one that sudoers has.
const ARP: [&str; 4] = ["sysctl", "-w", "net.ipv4.conf.all.arp_ignore=0", "net.ipv4.conf.default.arp_ignore=0"];

fn file(bridge: &str) -> PathBuf {
    Path::new(NAMES).join(proxies::namespace(bridge))
}

/// Whether a namespace is behind the name: an `ip netns add` that was killed leaves an empty file.
fn is_there(file: &Path) -> bool {
    rustix::fs::statfs(file).is_ok_and(|about| u64::try_from(about.f_type).is_ok_and(|kind| kind == NSFS))
}

/// Makes it, unless it is there.
pub(super) fn ensure(privileged: &Privileged, bridge: &str) -> Result<(), Failure> {
    let (file, name) = (file(bridge), proxies::namespace(bridge));
    if is_there(&file) {
        return Ok(());
    }
    if file.exists() {
        remove(privileged, bridge)?;
    }
    let made = privileged.must("ip", &["netns", "add", &name], &format!("make network namespace {name}"));
    match made {
        // Of an action that was killed, the last command may have gone on.
        Err(failure) if failure.kind == FailureKind::Exists && is_there(&file) => Ok(()),
        other => other.map(drop),
    }
}

/// Gives it the address, and answers for that.
pub(super) fn set_up(privileged: &Privileged, bridge: &str) -> Result<(), Failure> {
    let (name, link) = (proxies::namespace(bridge), proxies::inner(bridge));
    let address = format!("{}/32", proxies::ADDRESS);
    // New namespaces have the host's settings, by which it may not answer.
    privileged.inside(&name, &ARP, &format!("have namespace {name} answer ARP"))?;
    for (words, what) in [
        (&["ip", "address", "replace", &address, "dev", &link][..], format!("give {link} the address {address}")),
        (&["ip", "link", "set", "dev", &link, "up"], format!("bring {link} up")),
        (&["ip", "route", "replace", "default", "dev", &link], format!("route by {link}")),
    ] {
        privileged.inside(&name, words, &format!("{what} in namespace {name}"))?;
    }
    Ok(())
}

/// Removes its name; it goes when the daemon's process in it has.
pub(super) fn remove(privileged: &Privileged, bridge: &str) -> Result<(), Failure> {
    if !file(bridge).exists() {
        return Ok(());
    }
    let name = proxies::namespace(bridge);
    match privileged.must("ip", &["netns", "delete", &name], &format!("remove network namespace {name}")) {
        Err(failure) if failure.kind == FailureKind::NotFound => Ok(()),
        other => other.map(drop),
    }
}
