//! Drivers that make links, images and copies which lead out of the granted folders.

use remotes_containment::guest::{NEW_IMAGES, NEW_LINKS, TRANSFERS};
use remotes_containment::{Ended, Grounds, Guest, Trial};
use remotes_effect::types::FailureKind;
use remotes_host::Machine;

/// Has the guest try all of these; each of its effects is refused in one of these ways, nothing changes.
fn refused(grounds: &Grounds, guest: Guest, inside: &str, tried: &[String], effect: &str, kinds: &[FailureKind]) {
    let before = grounds.snapshot();
    let trial = Trial::of(guest).granting(&grounds.paths()).with(&grounds.at(inside), &tried.join("\n"));
    let ended: Ended<Machine> = trial.made(|policy, deadline| grounds.machine(policy, deadline));
    ended.assert_done();
    let asked = ended.journal.entries.iter().filter(|entry| entry.effect.name() == effect).count();
    let failures = ended.journal.failures(effect);
    assert!(asked >= tried.len() && failures.len() == asked, "{effect}: {asked} asked, {failures:?}");
    for failure in failures {
        assert!(kinds.contains(&failure.kind), "{effect}: {failure:?}");
        assert!(!failure.message.contains("content of secret"), "{failure:?}");
    }
    assert_eq!(grounds.snapshot(), before, "{tried:?}");
}

const REFUSED: &[FailureKind] = &[FailureKind::Denied, FailureKind::Invalid];

/// The hypervisor, root's tools and other drivers follow a link with rights of their own.
#[test]
pub fn new_links() {
    let grounds = Grounds::new();
    let outside = ["secret/key", "granted2/disk.0", "granted/../secret", ""].map(|below| grounds.at(below));
    let mut targets = outside.to_vec();
    for target in [
        "/etc/passwd",
        "/",
        "//",
        "/proc/self/root",
        "/proc/self/fd/0",
        "/dev/sda",
        "../../secret/key",
        "../../../../../../etc/passwd",
        "..",
        "../..",
        "./../../secret",
    ] {
        targets.push(target.to_owned());
    }
    refused(&grounds, NEW_LINKS, "granted/10/new", &targets, "filesystem.link", REFUSED);
    // Where no link may be made, wherever it leads.
    for place in ["secret/new", "shown/new", "granted2/new", "granted", "granted/10/../../secret/new"] {
        refused(&grounds, NEW_LINKS, place, &[grounds.at("granted/10/disk.0")], "filesystem.link", REFUSED);
    }
}

#[test]
pub fn new_images() {
    let grounds = Grounds::new();
    grounds.link("granted/out", grounds.path("secret/key"));
    let outside = ["secret/key", "secret/new", "granted2/disk.0", "granted/10/../../secret/key", "granted2"];
    let mut paths: Vec<_> = outside.iter().map(|below| grounds.at(below)).collect();
    // A relative one begins in the new image's folder.
    grounds.link("granted/10/away", grounds.path("secret/key"));
    for path in ["../../secret/key", "../10/../../secret/key", "away", "./json:{}", "./nbd:127.0.0.1:1", "."] {
        paths.push(path.to_owned());
    }
    for path in ["/etc/passwd", "json:{}", "nbd://127.0.0.1/x", "/dev/zero", ""] {
        paths.push(path.to_owned());
    }
    refused(&grounds, NEW_IMAGES, "granted/10/new", &paths, "image.create", REFUSED);
}

/// To and from other hosts, which are granted or not, and other folders.
#[test]
pub fn transfers() {
    let grounds = Grounds::new();
    let inside = grounds.at("granted/10/disk.0");
    let mut places = Vec::new();
    for host in ["elsewhere", "-oProxyCommand=touch", "root@node1", "node1;id", "127.0.0.1", "localhost"] {
        places.push(format!("{host} {inside}"));
    }
    for path in ["secret/key", "secret", "granted2/disk.0", "granted/10/../../secret/key"] {
        places.push(format!(" {}", grounds.at(path)));
    }
    for path in ["/etc/passwd", "/dev/zero", "/proc/self/environ", "/"] {
        places.push(format!(" {path}"));
    }
    refused(&grounds, TRANSFERS, "granted/10/disk.0", &places, "transfer.copy", REFUSED);
}
