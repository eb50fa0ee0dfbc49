//! Drivers that do not come to an end, and hosts that do not answer.

use std::sync::mpsc;
use std::time::Duration;

use remotes_containment::guest::{
    ALLOCATOR_ENDLESS, BULK_MEMORY, DESTROYER, EFFECT_FLOOD, ENDLESS_CALL, ENDLESS_CLEANUP, ENDLESS_INITIALISER,
    HYPERVISOR, PATHS, SLEEPER, START_FUNCTION, TOOL,
};
use remotes_containment::{Ended, Grounds, Guest, Memory, Trial};
use remotes_effect::deadline::Deadline;
use remotes_effect::pipeline::Pipeline;
use remotes_effect::types::FailureKind;
use remotes_effect::{Answer, Effect, Executor};
use remotes_sandbox::RunError;
use remotes_simulation::Simulation;

use crate::common::{LIBVIRT, assert_refused};

/// That the guest is ended by the deadline of its call.
fn late(guest: Guest) {
    let before = Simulation::new();
    let ended = Trial::of(guest).limits(|limits| limits.time_seconds = 7).milliseconds(200).on(before.clone());
    assert!(matches!(ended.error(), RunError::Deadline(time) if *time == Duration::from_secs(7)), "{}", ended.error());
    assert!(ended.printed.stderr.contains("did not end within 7 s (limits.time-seconds"), "{}", ended.printed.stderr);
    assert_eq!(ended.executor, before);
}

/// That the guest is ended before its call.
fn late_start(guest: Guest) {
    let before = Simulation::new();
    // The action itself would have an hour.
    let ended = Trial::of(guest).milliseconds(3_600_000).on(before.clone());
    assert!(matches!(ended.error(), RunError::Start(time) if *time == Duration::from_secs(1)), "{}", ended.error());
    assert!(ended.printed.stderr.contains("limits.start-seconds"), "{}", ended.printed.stderr);
    assert_eq!(ended.executor, before);
}

#[test]
pub fn endless_call() {
    late(ENDLESS_CALL);
}

#[test]
pub fn endless_cleanup() {
    late(ENDLESS_CLEANUP);
}

#[test]
pub fn bulk_memory() {
    late(BULK_MEMORY);
}

#[test]
pub fn allocator_endless() {
    late(ALLOCATOR_ENDLESS);
}

#[test]
pub fn start_function() {
    late_start(START_FUNCTION);
}

#[test]
pub fn endless_initialiser() {
    late_start(ENDLESS_INITIALISER);
}

#[test]
fn a_start_that_outlasts_the_action() {
    let ended =
        Trial::of(START_FUNCTION).limits(|limits| limits.start_seconds = 3600).milliseconds(200).on(Simulation::new());
    assert!(matches!(ended.error(), RunError::Start(_)));
}

#[test]
fn an_action_with_a_time_of_its_own() {
    let trial = Trial::of(ENDLESS_CALL).limits(|limits| limits.action_seconds = [("reboot".to_owned(), 3)].into());
    let ended = trial.milliseconds(200).on(Simulation::new());
    assert!(matches!(ended.error(), RunError::Deadline(time) if *time == Duration::from_secs(3)));
}

/// One engine serves both calls: the deadline of the one must not end the other.
#[test]
fn the_deadline_of_another_call() {
    let grounds = Grounds::new();
    let driver = Trial::of(ENDLESS_CALL).driver();
    let short =
        || Trial::of(ENDLESS_CALL).milliseconds(100).call_of(&driver, |_, _| Simulation::new()).error().to_string();
    std::thread::scope(|scope| {
        let long = scope.spawn(|| {
            let begun = std::time::Instant::now();
            let ended = Trial::of(ENDLESS_CALL)
                .milliseconds(1500)
                .call_of(&driver, |policy, deadline| grounds.machine(policy, deadline));
            ended.error();
            begun.elapsed()
        });
        for _ in 0..5 {
            short();
        }
        // Not about speed: the long call must have had all of its time.
        assert!(long.join().unwrap() >= Duration::from_millis(1500));
    });
}

#[test]
pub fn sleeper() {
    let grounds = Grounds::new();
    let before = grounds.snapshot();
    let ended = Trial::of(SLEEPER).milliseconds(200).made(|policy, deadline| grounds.machine(policy, deadline));
    // The sleep ends at the deadline; so does the driver, unless it was quick enough to fail by itself.
    match &ended.result {
        Err(error) => assert!(matches!(error, RunError::Deadline(_)), "{error}"),
        Ok(_) => assert_eq!(ended.failure().kind, FailureKind::Timeout),
    }
    assert_eq!(grounds.snapshot(), before);
}

/// The call came back late from the host, with a failure or with the end of the action.
fn assert_late<E>(ended: &Ended<E>, effect: &str, words: &str) {
    assert_refused(ended, effect, FailureKind::Timeout, words);
    match &ended.result {
        Err(error) => assert!(matches!(error, RunError::Deadline(_)), "{error}"),
        Ok(_) => assert_eq!(ended.failure().kind, FailureKind::Timeout),
    }
}

#[test]
fn a_fifo_nobody_writes_to() {
    let grounds = Grounds::new();
    let fifo = grounds.path("granted/fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o644), 0)
        .unwrap();
    let before = grounds.snapshot();
    for operation in ["read", "copy-from", "write", "copy-to", "set-mode"] {
        let mut call = Trial::of(PATHS).granting(&grounds.paths()).with(operation, &grounds.at("granted/fifo"));
        call = call.milliseconds(5000);
        let ended = call.made(|policy, deadline| grounds.machine(policy, deadline));
        ended.assert_done();
        let effect = format!("filesystem.{}", operation.split("-from").next().unwrap().split("-to").next().unwrap());
        assert_eq!(ended.journal.failures(&effect).len(), 1, "{operation}");
    }
    assert_eq!(grounds.snapshot(), before);
}

#[test]
fn a_tool_that_sleeps() {
    let grounds = Grounds::new();
    // The sleeper is the tool's child: it must be ended as well.
    grounds.program("tree/bin/slow", "#!/bin/sh\nsleep 1000 &\necho $! > \"$0.pid\"\nwait\n");
    let grant = "[tools.slow]\npath = \"$REMOTES/bin/slow\"\narguments = [[]]\n";
    let ended = Trial::of(TOOL).granting(grant).with("slow", "").milliseconds(700);
    let ended = ended.made(|policy, deadline| grounds.machine(policy, deadline));
    assert_late(&ended, "tools.run", "it was killed");
    let sleeper = std::fs::read_to_string(grounds.path("tree/bin/slow.pid")).unwrap();
    let gone = |pid: &str| match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat.contains(") Z "),
        Err(_) => true,
    };
    // Killed, not yet buried perhaps.
    assert!((0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        gone(sleeper.trim())
    }));
}

#[test]
pub fn hypervisor() {
    let grounds = Grounds::new();
    grounds.program("tree/bin/remotes-libvirt", "#!/bin/sh\nexec sleep 1000\n");
    let before = grounds.snapshot();
    let ended = Trial::of(HYPERVISOR).granting(LIBVIRT).milliseconds(500);
    let ended = ended.made(|policy, deadline| grounds.machine(policy, deadline));
    assert_late(
        &ended,
        "libvirt.find",
        "libvirt at qemu:///system gave no answer within the action's 1 s (limits.time-seconds",
    );
    assert_eq!(grounds.snapshot(), before);
}

/// Nobody knows whether the domain is gone: the message says so.
#[test]
pub fn destroyer() {
    let grounds = Grounds::new();
    // Takes the effect and never answers.
    grounds.program("tree/bin/remotes-libvirt", "#!/bin/sh\necho '{\"contract\":\"1.0.0\"}'\nexec cat >/dev/null\n");
    let ended = Trial::of(DESTROYER).granting(LIBVIRT).milliseconds(700);
    let ended = ended.made(|policy, deadline| grounds.machine(policy, deadline));
    let failures = ended.journal.failures("libvirt.destroy");
    assert_eq!(failures.len(), 1);
    assert!(matches!(failures[0].kind, FailureKind::Timeout | FailureKind::Unknown), "{failures:?}");
    assert!(failures[0].message.contains("whether it happened is not known"), "{failures:?}");
}

/// A host that does not come back at all, whatever the deadline: reported, and the process ended; here it
/// is only told so.
#[test]
fn a_host_that_is_stuck() {
    let (tell, told) = mpsc::channel::<()>();
    let trial = Trial::of(EFFECT_FLOOD).milliseconds(2000);
    let policy = trial.policy();
    let abandon = Box::new(move || tell.send(()).unwrap());
    let call = remotes_effect::vmm::Call::Reboot { deploy_id: "one-5".into(), host: "node1".into(), action: "".into() };
    let pipeline = Pipeline::new(policy, Memory::default(), Stuck(told));
    let deadline = Deadline::after(Duration::from_millis(2000));
    let outcome = trial.driver().call(&remotes_effect::Call::Vmm(call), pipeline, deadline, Some(abandon));
    assert!(matches!(outcome.result, Err(RunError::Deadline(_))));
    assert_eq!(outcome.pipeline.journal.entries.len(), 1);
}

/// Waits until the action is given up.
struct Stuck(mpsc::Receiver<()>);

impl Executor for Stuck {
    fn execute(&mut self, _: &Effect) -> Answer {
        self.0.recv().expect("the action is given up");
        Answer::Clock(remotes_effect::clock::Answer::Now(0))
    }
}
