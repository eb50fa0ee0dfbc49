//! What is left of a driver when its call is over.

use std::os::unix::fs::PermissionsExt as _;

use remotes_containment::guest::{MEMORY_OF_CALLS, TRAP_IN_CHANGE};
use remotes_containment::{Grounds, Trial};
use remotes_effect::types::{Failure, Node};
use remotes_effect::{Effect, filesystem, tools};
use remotes_sandbox::RunError;

use crate::common::host;

#[test]
pub fn memory_of_calls() {
    let driver = Trial::of(MEMORY_OF_CALLS).driver();
    for id in ["one-5", "one-6", "one-7"] {
        let ended = Trial::of(MEMORY_OF_CALLS).with(id, "").call_of(&driver, |_, _| host());
        ended.assert_done();
        assert_eq!(ended.journal.logged(), [format!("seen: {id}")]);
    }
}

/// The write is whole, nothing lies beside it, and the operator reads what the driver said last.
#[test]
pub fn trap_in_change() {
    let grounds = Grounds::new();
    std::fs::write(grounds.path("granted/10/file"), "the first content\n").unwrap();
    let before = grounds.snapshot();
    let path = grounds.at("granted/10/file");
    let trial = Trial::of(TRAP_IN_CHANGE).granting(&grounds.paths()).with("", &path);
    let ended = trial.made(|policy, deadline| grounds.machine(policy, deadline));
    assert!(matches!(ended.error(), RunError::Trapped(_)));
    let names: Vec<_> = ended.journal.entries.iter().map(|entry| entry.effect.name()).collect();
    assert_eq!(names, ["filesystem.write", "filesystem.read", "log.write"]);
    let logged = grounds.logged();
    assert!(logged.len() == 1 && logged[0].1.contains(&format!("no idea how to go on with {path}")), "{logged:?}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "the second content\n");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644);
    let after = grounds.snapshot();
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    let changed: Vec<_> = before.iter().filter(|(path, was)| after[*path] != **was).map(|(path, _)| path).collect();
    assert_eq!(changed, [&grounds.path("granted/10"), &grounds.path("granted/10/file")]);
}

/// What is written into files and fed to programs may be secret: a journal that is kept has neither, and
/// no line of it is broken by what it holds.
#[test]
fn secrets_in_the_journal() {
    use remotes_effect::journal::{Journal as _, Lines};
    let grounds = Grounds::new();
    let path = grounds.path("secret/journal");
    let mut lines = Lines::new(std::fs::File::create(&path).unwrap(), "vmm/kvm/exec 1\nforged".into(), |_| ());
    let place = remotes_effect::types::Place { on: Node::Here, path: "/etc/x\n{\"effect\":1}".into() };
    let write = filesystem::Effect::Write { at: place, content: b"PASSWORD=opennebula".to_vec(), mode: 0o600 };
    let run = tools::Effect::Run { on: Node::Here, tool: "t".into(), arguments: vec![], stdin: b"opennebula".to_vec() };
    for effect in [Effect::Filesystem(write), Effect::Tools(run)] {
        lines.begin(1, &effect);
        let answer = effect.refuse(Failure::denied("line\nbreak")).unwrap();
        lines.end(1, &effect, &answer, std::time::Duration::ZERO);
    }
    lines.aborted(&"x\n".repeat(100_000));
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 5);
    for line in text.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(value["action"], "vmm/kvm/exec 1\nforged");
        assert!(line.len() < 10_000);
    }
    for secret in ["opennebula", "UEFTU1dPUkQ9", "b3Blbm5lYnVsYQ"] {
        assert!(!text.contains(secret), "{text}");
    }
}
