//! The namespace of a bridge's proxy.

use std::path::{Path, PathBuf};

use remotes_effect::network::proxies;
use remotes_effect::types::{Failure, FailureKind};

use crate::privileged::{Privileged, failure};

/// Where `ip netns` keeps names of namespaces; the same folder on most systems, and which of them it takes was
/// decided when it was built.
const NAMES: [&str; 2] = ["/run/netns", "/var/run/netns"];

/// `NSFS_MAGIC`: what is mounted on a name that stands for a namespace.
const NSFS: u64 = 0x6e73_6673;

/// Has a namespace answer ARP for its addresses on all links. Of `sysctl`, sudoers has this line alone.
const ARP: [&str; 4] = ["sysctl", "-w", "net.ipv4.conf.all.arp_ignore=0", "net.ipv4.conf.default.arp_ignore=0"];

/// The file that stands for the namespace, if there is one.
fn file(bridge: &str) -> Option<PathBuf> {
    let name = proxies::namespace(bridge);
    NAMES.map(|folder| Path::new(folder).join(&name)).into_iter().find(|file| file.exists())
}

/// Whether a namespace is behind the name: an `ip netns add` that was killed leaves an empty file.
fn is_there(bridge: &str) -> bool {
    let about = file(bridge).and_then(|file| rustix::fs::statfs(file).ok());
    about.is_some_and(|about| u64::try_from(about.f_type).is_ok_and(|kind| kind == NSFS))
}

/// Makes it, unless it is there.
pub(super) fn ensure(privileged: &Privileged, bridge: &str) -> Result<(), Failure> {
    let name = proxies::namespace(bridge);
    if is_there(bridge) {
        return Ok(());
    }
    remove(privileged, bridge)?;
    let made = privileged.must("ip", &["netns", "add", &name], &format!("make network namespace {name}"));
    match made {
        // Of an action that was killed, the last command may have gone on.
        Err(failure) if failure.kind == FailureKind::Exists && is_there(bridge) => Ok(()),
        other => other.map(drop),
    }
}

/// Whether the other end of the bridge's port is in it: the daemon keeps one alive whose name is gone.
pub(super) fn has_inner(privileged: &Privileged, bridge: &str) -> Result<bool, Failure> {
    let words = ["ip", "link", "show", "dev", &proxies::inner(bridge)];
    Ok(privileged.run_inside(&proxies::namespace(bridge), &words)?.status == 0)
}

fn must(privileged: &Privileged, name: &str, words: &[&str], what: &str) -> Result<(), Failure> {
    let outcome = privileged.run_inside(name, words)?;
    if outcome.status == 0 { Ok(()) } else { Err(failure(what, &outcome)) }
}

/// Gives it the address, and answers for that.
pub(super) fn set_up(privileged: &Privileged, bridge: &str) -> Result<(), Failure> {
    let (name, link) = (proxies::namespace(bridge), proxies::inner(bridge));
    let address = format!("{}/32", proxies::ADDRESS);
    // New namespaces have the host's settings, by which it may not answer.
    must(privileged, &name, &ARP, &format!("have namespace {name} answer ARP"))?;
    for (words, what) in [
        (&["ip", "address", "replace", &address, "dev", &link][..], format!("give {link} the address {address}")),
        (&["ip", "link", "set", "dev", &link, "up"], format!("bring {link} up")),
        (&["ip", "route", "replace", "default", "dev", &link], format!("route by {link}")),
    ] {
        must(privileged, &name, words, &format!("{what} in namespace {name}"))?;
    }
    Ok(())
}

/// Removes its name, if it has one; it goes when the daemon's process in it has.
pub(super) fn remove(privileged: &Privileged, bridge: &str) -> Result<(), Failure> {
    if file(bridge).is_none() {
        return Ok(());
    }
    let name = proxies::namespace(bridge);
    match privileged.must("ip", &["netns", "delete", &name], &format!("remove network namespace {name}")) {
        Err(failure) if failure.kind == FailureKind::NotFound => Ok(()),
        other => other.map(drop),
    }
}
