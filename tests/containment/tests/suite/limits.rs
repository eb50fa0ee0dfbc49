//! Drivers that want more than they may have.

use std::path::Path;

use remotes_containment::guest::{
    DECLARED_MEMORY, DENIED_FLOOD, EFFECT_FLOOD, EMPTY_STRINGS, GIANT_ARGUMENT, GIANT_RESULT, LOG_FLOOD, LOG_LINE,
    MANY_INSTANCES, MANY_TABLES, MEMORY_GROWTH, OVERLAPPING_STRINGS, RECURSION, SEVERAL_MEMORIES, STRING_OF_4_GIB,
    TABLE_GROWTH,
};
use remotes_containment::{Ended, Trial};
use remotes_effect::pipeline::Stop;
use remotes_effect::policy::Policy;
use remotes_effect::types::FailureKind;
use remotes_effect::vmm::Call;
use remotes_sandbox::RunError;
use remotes_simulation::Simulation;

use crate::common::{assert_refused, assert_unchanged, host};

/// Has the trial made on a host, sees it end for a reason with these words and the host unchanged.
fn exceeds(trial: Trial, words: &str) -> Ended<Simulation> {
    let before = host();
    let ended = trial.on(before.clone());
    let error = ended.error().to_string();
    assert!(error.contains(words), "{error}");
    assert!(ended.printed.stderr.contains(words), "{}", ended.printed.stderr);
    assert_unchanged(&before, &ended);
    ended
}

#[test]
pub fn recursion() {
    let ended = exceeds(Trial::of(RECURSION), "limits.stack-kib");
    assert!(matches!(ended.error(), RunError::Stack));
}

/// The limit is the policy's, not the engine's: the same recursion fits in one stack, and not in another.
#[test]
fn recursion_in_stacks_of_two_sizes() {
    let trial = |kib| Trial::of(RECURSION).with("", "2000").limits(|limits| limits.stack_kib = kib);
    assert!(matches!(exceeds(trial(32), "limits.stack-kib").error(), RunError::Stack));
    trial(1024).on(host()).assert_done();
}

/// As much as a policy may grant: the guest's stack ends before that of the runtime's thread.
#[test]
fn recursion_with_the_largest_stack() {
    let policy =
        |kib: u32| Policy::parse(&format!("schema = 1\n[limits]\nstack-kib = {kib}\n"), Path::new("policy.toml"));
    let largest = (512..70_000).take_while(|kib| policy(*kib).is_ok()).last().unwrap();
    let trial = Trial::of(RECURSION).limits(|limits| limits.stack_kib = largest.into());
    assert!(matches!(exceeds(trial, "limits.stack-kib").error(), RunError::Stack));
}

#[test]
pub fn memory_growth() {
    exceeds(Trial::of(MEMORY_GROWTH).limits(|limits| limits.memory_mib = 16), "more than 16 MiB");
}

#[test]
pub fn declared_memory() {
    exceeds(Trial::of(DECLARED_MEMORY), "limits.memory-mib");
}

#[test]
pub fn several_memories() {
    exceeds(Trial::of(SEVERAL_MEMORIES), "limits.memory-mib");
}

#[test]
pub fn table_growth() {
    exceeds(Trial::of(TABLE_GROWTH), "limits.table-elements");
}

#[test]
pub fn many_tables() {
    exceeds(Trial::of(MANY_TABLES), "limits.tables");
}

#[test]
pub fn many_instances() {
    exceeds(Trial::of(MANY_INSTANCES), "limits.instances");
}

#[test]
pub fn log_flood() {
    let ended = exceeds(
        Trial::of(LOG_FLOOD).limits(|limits| (limits.effects, limits.log_kib) = (100_000, 8)),
        "limits.log-kib",
    );
    assert!(matches!(ended.error(), RunError::Stopped(Stop::Log(8))));
    let logged: usize = ended.journal.logged().iter().map(|line| line.len() + 1).sum();
    assert!(logged <= 8 * 1024, "{logged} bytes were logged");
    assert_eq!(ended.executor.log.len(), ended.journal.entries.len());
}

#[test]
pub fn log_line() {
    let ended = exceeds(Trial::of(LOG_LINE), "limits.log-kib");
    assert_eq!(ended.executor.log, []);
}

#[test]
pub fn effect_flood() {
    let ended = exceeds(Trial::of(EFFECT_FLOOD), "limits.effects");
    assert!(matches!(ended.error(), RunError::Stopped(Stop::Effects(1000))));
    assert_eq!((ended.journal.entries.len(), ended.executor.effects), (1000, 1000));
}

/// What is refused counts, too.
#[test]
pub fn denied_flood() {
    let ended = exceeds(Trial::of(DENIED_FLOOD).with("", "/etc/passwd"), "limits.effects");
    assert_refused(&ended, "filesystem.read", FailureKind::Denied, "under [paths]");
    assert_eq!((ended.journal.entries.len(), ended.executor.effects), (1000, 0));
}

#[test]
pub fn giant_argument() {
    let grant = "[paths]\n\"/var/lib/one\" = \"rw\"\n";
    let trial = Trial::of(GIANT_ARGUMENT).granting(grant).with("", "/var/lib/one/file");
    let ended = exceeds(trial, "limits.argument-kib");
    assert!(matches!(ended.error(), RunError::Argument(8192)));
    assert_eq!(ended.journal.entries, []);
}

#[test]
pub fn empty_strings() {
    let ended = exceeds(Trial::of(EMPTY_STRINGS), "limits.argument-kib");
    assert_eq!(ended.journal.entries, []);
}

#[test]
pub fn string_of_4_gib() {
    let ended = exceeds(Trial::of(STRING_OF_4_GIB), "the driver trapped: ");
    assert_eq!(ended.journal.entries, []);
}

#[test]
pub fn giant_result() {
    exceeds(Trial::of(GIANT_RESULT), "limits.argument-kib");
}

#[test]
pub fn overlapping_strings() {
    exceeds(Trial::of(OVERLAPPING_STRINGS).calling(Call::Actions {}), "limits.argument-kib");
}
