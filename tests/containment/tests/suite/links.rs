//! Links that lead out of the granted folders, whoever put them there.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use remotes_containment::guest::PATHS;
use remotes_containment::{Grounds, Trial};
use remotes_effect::types::FailureKind;
use remotes_effect::vmm::Call;

use crate::paths::{LOOKING, OPERATIONS, refused};

/// Operations that go where a link leads.
fn following() -> Vec<(&'static str, &'static str)> {
    let following = ["read", "entries", "copy-from", "set-mode"];
    OPERATIONS.iter().copied().filter(|(operation, _)| following.contains(operation)).collect()
}

#[test]
fn a_link_as_last_component() {
    let grounds = Grounds::new();
    let targets: Vec<PathBuf> = vec![
        grounds.path("secret/key"),
        grounds.path("secret"),
        grounds.path("secret/"),
        grounds.path("granted2/disk.0"),
        "../secret/key".into(),
        "../secret/".into(),
        "../../../../../../../../../../etc/passwd".into(),
        "/etc/passwd".into(),
        "/".into(),
        "//".into(),
        "..".into(),
        "../".into(),
        "10/../../secret/key".into(),
        "/proc/self/root/etc/passwd".into(),
        "/proc/self/cwd".into(),
        "/proc/self/fd/0".into(),
        "/dev/stdin".into(),
        "/dev/zero".into(),
    ];
    let mut paths = Vec::new();
    for (number, target) in targets.iter().enumerate() {
        grounds.link(&format!("granted/link{number}"), target);
        paths.push(grounds.at(&format!("granted/link{number}")));
        paths.push(grounds.at(&format!("granted/link{number}/")));
        paths.push(grounds.at(&format!("granted/link{number}/.")));
    }
    refused(&grounds, &following(), &paths, &[FailureKind::Denied]);
}

#[test]
fn a_link_on_the_way() {
    let grounds = Grounds::new();
    grounds.link("granted/out", "../secret").link("granted/slash", "../secret/").link("granted/up", "..");
    grounds.link("granted/proc", "/proc/self/root").link("granted/prefix", "../granted2");
    let paths: Vec<String> =
        ["out/key", "slash/key", "up/secret/key", "out/new", "up/granted/../secret/key", "prefix/disk.0"]
            .map(|below| grounds.at(&format!("granted/{below}")))
            .into();
    refused(&grounds, OPERATIONS, &paths, &[FailureKind::Denied]);
    refused(&grounds, OPERATIONS, &[grounds.at("granted/proc/etc/passwd")], &[FailureKind::Denied]);
}

#[test]
fn chains_and_circles_of_links() {
    let grounds = Grounds::new();
    for number in 0..60 {
        grounds.link(&format!("granted/chain{number}"), format!("chain{}", number + 1));
    }
    grounds.link("granted/chain60", "10/disk.0");
    grounds
        .link("granted/a", "b")
        .link("granted/b", "a")
        .link("granted/self", "self")
        .link("granted/deep", "deep/deep");
    let paths: Vec<String> =
        ["chain0", "a", "self", "deep", "self/x", "a/../b"].map(|below| grounds.at(&format!("granted/{below}"))).into();
    refused(&grounds, &following(), &paths, &[FailureKind::Invalid, FailureKind::Denied]);
    // Two hops are what OpenNebula itself needs.
    let ended = Trial::of(PATHS).granting(&grounds.paths()).with("read", &grounds.at("granted/chain55"));
    let ended = ended.made(|policy, deadline| grounds.machine(policy, deadline));
    assert!(ended.journal.failures("filesystem.read").is_empty());
}

/// A link is replaced or removed itself; what it leads to stays as it is.
#[test]
fn changes_do_not_go_through_a_link() {
    for (operation, _) in &OPERATIONS[LOOKING..] {
        let grounds = Grounds::new();
        let before = grounds.snapshot();
        grounds.link("granted/10/link", grounds.path("secret/key")).link("granted/10/folder", grounds.path("secret"));
        for link in ["granted/10/link", "granted/10/folder"] {
            let call = Call::Reboot {
                deploy_id: (*operation).into(),
                host: grounds.at("granted/10/disk.0"),
                action: grounds.at(link),
            };
            Trial::of(PATHS)
                .granting(&grounds.paths())
                .calling(call)
                .made(|policy, deadline| grounds.machine(policy, deadline))
                .assert_done();
        }
        let after = grounds.snapshot();
        for outside in ["secret", "secret/key", "granted2", "granted2/disk.0", "shown", "shown/base"] {
            let path = grounds.path(outside);
            assert_eq!(after[&path], before[&path], "{operation} changed {outside}");
        }
    }
}

/// Somebody exchanges a folder for a link again and again while the driver reads and writes in it.
#[test]
fn a_folder_that_is_swapped_for_a_link() {
    let grounds = Grounds::new();
    for (folder, content) in [("granted/swapped", "inside"), ("secret/swapped", "outside")] {
        std::fs::create_dir_all(grounds.path(folder)).unwrap();
        std::fs::write(grounds.path(folder).join("file"), content).unwrap();
    }
    grounds.link("granted/link", grounds.path("secret/swapped"));
    let secret = std::fs::read(grounds.path("secret/swapped/file")).unwrap();
    let (folder, link) = (grounds.path("granted/swapped"), grounds.path("granted/link"));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                swap(&folder, &link)
            }
        });
        for round in 0..60 {
            let operation = ["read", "write", "copy-from", "copy-to"][round % 4];
            let paths = vec![grounds.at("granted/swapped/file"); 20].join("\n");
            let call =
                Call::Reboot { deploy_id: operation.into(), host: grounds.at("granted/10/disk.0"), action: paths };
            let ended = Trial::of(PATHS)
                .granting(&grounds.paths())
                .calling(call)
                .made(|policy, deadline| grounds.machine(policy, deadline));
            for entry in &ended.journal.entries {
                if let Some(remotes_effect::Answer::Filesystem(remotes_effect::filesystem::Answer::Read(Ok(content)))) =
                    &entry.answer
                {
                    assert_ne!(content, b"outside");
                }
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(std::fs::read(grounds.path("secret/swapped/file")).unwrap(), secret);
    assert_ne!(std::fs::read(grounds.path("granted/10/disk.0")).unwrap(), secret);
    assert_eq!(std::fs::read_dir(grounds.path("secret/swapped")).unwrap().count(), 1);
}

fn swap(one: &Path, other: &Path) {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
}
