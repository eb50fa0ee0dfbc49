//! Paths that lead out of the granted folders by what they say.

use remotes_containment::guest::{MODES, PATHS};
use remotes_containment::{Grounds, Trial};
use remotes_effect::types::FailureKind;

use crate::common::assert_refused;

/// Every operation on a path, with the name of its effect.
pub const OPERATIONS: &[(&str, &str)] = &[
    ("stat", "filesystem.stat"),
    ("read", "filesystem.read"),
    ("entries", "filesystem.entries"),
    ("read-link", "filesystem.read-link"),
    ("copy-from", "filesystem.copy"),
    ("write", "filesystem.write"),
    ("make-directory", "filesystem.make-directory"),
    ("rename-to", "filesystem.rename"),
    ("rename-from", "filesystem.rename"),
    ("copy-to", "filesystem.copy"),
    ("set-mode", "filesystem.set-mode"),
    ("remove", "filesystem.remove"),
];

/// Those that only look.
pub const LOOKING: usize = 5;

/// Tries operations on paths; each must fail in one of these ways, and nothing must change.
pub fn refused(grounds: &Grounds, operations: &[(&str, &str)], paths: &[String], kinds: &[FailureKind]) {
    let before = grounds.snapshot();
    let inside = grounds.at("granted/10/disk.0");
    for (operation, effect) in operations {
        let trial = Trial::of(PATHS).granting(&grounds.paths()).calling(remotes_effect::vmm::Call::Reboot {
            deploy_id: (*operation).into(),
            host: inside.clone(),
            action: paths.join("\n"),
        });
        let ended = trial.made(|policy, deadline| grounds.machine(policy, deadline));
        ended.assert_done();
        let failures = ended.journal.failures(effect);
        let all: Vec<_> = ended.journal.logged();
        assert_eq!(failures.len(), paths.len(), "{operation}: {all:?}");
        for (path, failure) in paths.iter().zip(failures) {
            assert!(kinds.contains(&failure.kind), "{operation} {path}: {failure:?}");
            assert!(!failure.message.contains("content of secret"), "{failure:?}");
        }
        assert_eq!(grounds.snapshot(), before, "{operation} {paths:?}");
    }
}

#[test]
pub fn paths() {
    let grounds = Grounds::new();
    let root = grounds.at("");
    let outside = [
        "secret/key",
        "secret//key/",
        "./secret/./key",
        "granted2/disk.0",
        "granted2",
        "grante",
        "granted ",
        "Granted/10",
        "",
        "granted/../secret/key",
        "granted/10/../../secret/key",
        "granted/..",
        "granted/10/..//../secret",
    ];
    let mut paths: Vec<String> = outside.iter().map(|below| format!("{root}{below}")).collect();
    for path in [
        "/",
        "/etc/passwd",
        "/etc/shadow",
        "//etc/passwd",
        "/proc/self/root/etc/passwd",
        "/proc/self/cwd",
        "/proc/1/root",
        "/dev/fd/0",
        "/dev/stdin",
        "/dev/mem",
        "/sys/kernel",
        "/var/run/libvirt/libvirt-sock",
        "/root/.ssh/id_rsa",
        "/proc/self/fd/3",
        "/proc/self/mem",
        "/proc/self/environ",
        "/.",
        "/..",
    ] {
        paths.push(path.to_owned());
    }
    refused(&grounds, OPERATIONS, &paths, &[FailureKind::Denied]);
}

#[test]
fn texts_that_are_no_paths() {
    let grounds = Grounds::new();
    let long = format!("{}/{}", grounds.at("granted"), "a/".repeat(3000));
    let name = format!("{}/{}", grounds.at("granted"), "n".repeat(256));
    let nul = format!("{}\0/etc/passwd", grounds.at("granted/10/disk.0"));
    for path in ["", "granted/10/disk.0", "~/key", "-rf", "$HOME", "file:///etc/passwd", &long, &name, &nul] {
        // What cannot exist may also be said not to exist; removing it, to be gone.
        let operations: Vec<_> = OPERATIONS.iter().copied().filter(|(operation, _)| *operation != "remove").collect();
        refused(&grounds, &operations, &[path.to_owned()], &[FailureKind::Invalid, FailureKind::NotFound]);
    }
}

#[test]
fn a_granted_folder_itself() {
    let grounds = Grounds::new();
    let folder = grounds.at("granted");
    let paths = [folder.clone(), format!("{folder}/"), format!("{folder}//."), format!("/{folder}")];
    let changing = ["write", "rename-to", "rename-from", "copy-to", "set-mode", "remove"];
    let changing: Vec<_> = OPERATIONS.iter().copied().filter(|(operation, _)| changing.contains(operation)).collect();
    refused(&grounds, &changing, &paths, &[FailureKind::Denied]);
}

#[test]
fn what_is_granted_read_only() {
    let grounds = Grounds::new();
    grounds.link("granted/base", grounds.path("shown/base"));
    let paths: Vec<String> =
        ["shown/base", "shown/new", "shown/./base", "shown/base/"].map(|below| grounds.at(below)).into();
    refused(&grounds, &OPERATIONS[LOOKING..], &paths, &[FailureKind::Denied]);
    // Through a link in a folder that may be written.
    let bits = OPERATIONS.iter().copied().filter(|(operation, _)| *operation == "set-mode").collect::<Vec<_>>();
    refused(&grounds, &bits, &[grounds.at("granted/base")], &[FailureKind::Denied]);
}

#[test]
pub fn modes() {
    let grounds = Grounds::new();
    let before = grounds.snapshot();
    let trial = Trial::of(MODES).granting(&grounds.paths()).with("", &grounds.at("granted/10/disk.0"));
    let ended = trial.made(|policy, deadline| grounds.machine(policy, deadline));
    ended.assert_done();
    // The sticky bit alone makes nothing dangerous; what runs as somebody else is refused.
    let refused = |effect: &str| ended.journal.failures(effect).len();
    assert_eq!(
        [refused("filesystem.set-mode"), refused("filesystem.write"), refused("filesystem.make-directory")],
        [4; 3]
    );
    for (path, was) in before {
        let file = path == grounds.path("granted/10/disk.0") || path == grounds.path("granted/10");
        assert!(file || grounds.snapshot()[&path] == was, "{path:?}");
    }
    let mode = std::fs::metadata(grounds.path("granted/10/disk.0")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o6000, 0);
}

#[test]
fn answers_without_end() {
    let grounds = Grounds::new();
    // Files of which one is a hole of a TiB, and one more than a listing may have.
    let hole = std::fs::File::create(grounds.path("shown/hole")).unwrap();
    hole.set_len(1 << 40).unwrap();
    std::fs::create_dir(grounds.path("granted/many")).unwrap();
    for number in 0..10_001 {
        std::fs::File::create(grounds.path(&format!("granted/many/{number}"))).unwrap();
    }
    for (operation, path, words) in
        [("read", "shown/hole", "longer than 4 MiB"), ("entries", "granted/many", "more than 10000")]
    {
        let trial = Trial::of(PATHS).granting(&grounds.paths()).with(operation, &grounds.at(path));
        let ended = trial.made(|policy, deadline| grounds.machine(policy, deadline));
        assert_refused(&ended, &format!("filesystem.{operation}"), FailureKind::Invalid, words);
    }
}

#[test]
fn nothing_is_granted() {
    let grounds = Grounds::new();
    let before = grounds.snapshot();
    for (operation, effect) in OPERATIONS {
        let path = grounds.at("granted/10/disk.0");
        let call =
            remotes_effect::vmm::Call::Reboot { deploy_id: (*operation).into(), host: path.clone(), action: path };
        let ended = Trial::of(PATHS).calling(call).made(|policy, deadline| grounds.machine(policy, deadline));
        assert_refused(&ended, effect, FailureKind::Denied, "under [paths] in the driver's policy would allow it");
    }
    assert_eq!(grounds.snapshot(), before);
}
