//! Children: what they find, what they may print, and that they end.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use remotes_effect::deadline::Deadline;
use remotes_effect::log::Level;
use remotes_effect::policy::{ArgumentPattern, Limits, Pattern, Policy, ToolGrant};
use remotes_effect::tools::{Answer as A, Effect as E, Outcome};
use remotes_effect::types::{FailureKind as K, Node};
use remotes_effect::{Answer, Effect, Executor as _};
use remotes_host::{Machine, Surroundings};
use remotes_process::Process;
use support::{Sandbox, done, refused};

fn long() -> Deadline {
    Deadline::after(Duration::from_secs(120))
}

fn shell(script: &str) -> Process {
    Process::new("/bin/sh").arguments(["-c", script])
}

fn text(outcome: &Outcome) -> String {
    String::from_utf8_lossy(&outcome.stdout).into_owned()
}

/// Whether a process of this number runs (a zombie does not).
fn running(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn statuses_are_outcomes() {
    for (script, status) in [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137), ("kill -15 $$", 143)] {
        assert_eq!(shell(script).run(long()).unwrap().status, status, "{script}");
    }
    let outcome = shell("echo out; echo err >&2").run(long()).unwrap();
    assert_eq!((outcome.stdout.as_slice(), outcome.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
    assert_eq!(Process::new("/nonexistent/program").run(long()).unwrap_err().kind, K::NotFound);
    assert_eq!(Process::new("/etc/passwd").run(long()).unwrap_err().kind, K::Failed);
}

#[test]
fn a_child_finds_nothing_but_what_it_is_given() {
    let outcome = Process::new("/usr/bin/env").run(long()).unwrap();
    let text = text(&outcome);
    let mut names: Vec<&str> = text.lines().filter_map(|line| line.split('=').next()).collect();
    names.sort_unstable();
    assert_eq!(names, ["LANG", "LC_ALL", "PATH"]);
    let folder = shell("pwd; cat | wc -c").run(long()).unwrap();
    assert_eq!(self::text(&folder).split_whitespace().collect::<Vec<_>>(), ["/", "0"]);
}

#[test]
fn descriptors_reach_only_the_child_they_are_for() {
    let world = Sandbox::new();
    world.file("file", "handed over");
    let open = std::fs::File::open(world.path.join("file")).unwrap();
    let mut with = Process::new("/bin/cat");
    let path = with.inherit(open.try_clone().unwrap().into());
    let with = with.arguments([path]);
    // Another child, between this one's making and its start.
    let others = shell("ls -l /proc/$$/fd").run(long()).unwrap();
    assert!(!text(&others).contains("/file"), "{}", text(&others));
    assert_eq!(text(&with.run(long()).unwrap()), "handed over");
}

#[test]
fn input_and_output_of_any_size_pass() {
    let input: Vec<u8> = (0..3_000_000u32).flat_map(u32::to_le_bytes).collect();
    let outcome = Process::new("/bin/cat").input(input.clone()).limit(64 << 20).run(long()).unwrap();
    assert!(outcome.stdout == input);
    // A child that does not want its input.
    assert_eq!(Process::new("/bin/true").input(input).run(long()).unwrap().status, 0);
}

#[test]
fn a_child_that_prints_without_end_is_killed() {
    for script in ["exec yes", "exec yes >&2", "yes & yes"] {
        let failure = shell(script).limit(100_000).run(long()).unwrap_err();
        assert_eq!(failure.kind, K::Failed);
        assert!(failure.message.contains("100000 bytes"), "{}", failure.message);
    }
}

#[test]
fn at_the_deadline_the_whole_group_is_killed() {
    let world = Sandbox::new();
    let pids = world.at("pids");
    let script =
        format!("trap '' TERM INT HUP; sleep 1000 & echo $! > {pids}; echo $$ >> {pids}; while :; do sleep 1000; done");
    let failure = shell(&script).run(Deadline::after(Duration::from_millis(800))).unwrap_err();
    assert_eq!(failure.kind, K::Timeout);
    assert!(failure.message.contains("killed"), "{}", failure.message);
    let pids = world.text("pids");
    assert_eq!(pids.lines().count(), 2);
    for pid in pids.lines() {
        // Orphans are reaped by others; gone or a zombie is all that counts.
        while running(pid) {
            std::thread::yield_now();
        }
    }
}

#[test]
fn nothing_is_started_after_the_deadline() {
    let world = Sandbox::new();
    let touch = Process::new("/usr/bin/touch").arguments([world.at("file")]);
    assert_eq!(touch.run(Deadline::after(Duration::ZERO)).unwrap_err().kind, K::Timeout);
    assert!(world.names("").is_empty());
}

#[test]
fn what_a_child_leaves_behind_neither_delays_nor_stays() {
    let outcome = shell("sleep 1000 & echo $!").run(long()).unwrap();
    assert_eq!(outcome.status, 0);
    let pid = text(&outcome);
    while running(&pid) {
        std::thread::yield_now();
    }
}

fn tool(path: String, arguments: &[&[&str]]) -> Policy {
    let arguments = arguments
        .iter()
        .map(|pattern| ArgumentPattern(pattern.iter().map(|one| Pattern((*one).to_owned())).collect()))
        .collect();
    let tools = BTreeMap::from([("tool".to_owned(), ToolGrant { path, sudo: false, arguments })]);
    Policy { tools, limits: Limits { tool_output_kib: 1, ..Limits::default() }, ..Policy::default() }
}

fn run(arguments: &[&str]) -> E {
    let arguments = arguments.iter().map(|one| (*one).to_owned()).collect();
    E::Run { on: Node::Here, tool: "tool".into(), arguments, stdin: b"input".to_vec() }
}

fn available() -> E {
    E::Available { on: Node::Here, tool: "tool".into() }
}

fn program(world: &Sandbox, mode: u32) {
    world.file("bin/tool", "#!/bin/sh\nprintf '%s|' \"$@\"\ncat\nexit 7\n");
    std::fs::set_permissions(world.path.join("bin/tool"), std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_granted_tool_runs_without_a_shell_in_between() {
    let world = Sandbox::new();
    program(&world, 0o755);
    let mut machine = world.machine_for(tool("$REMOTES/bin/tool".into(), &[&["..."]]));
    assert_eq!(done(&mut machine, available()), Answer::Tools(A::Available(Ok(true))));
    let odd = ["$(id)", "a b", "'", "\"", "; ls", "*", "-x", "", "\n"];
    match done(&mut machine, run(&odd)) {
        Answer::Tools(A::Run(Ok(outcome))) => {
            assert_eq!(text(&outcome), odd.join("|") + "|input");
            assert_eq!(outcome.status, 7);
        }
        other => panic!("{other:?}"),
    }
    let much = "x".repeat(2000);
    assert_eq!(refused(&mut machine, run(&[&much])), K::Failed);
    assert_eq!(refused(&mut machine, run(&["a\0b"])), K::Invalid);
}

#[test]
fn tools_and_arguments_that_are_not_granted() {
    let world = Sandbox::new();
    program(&world, 0o755);
    let mut machine = world.machine_for(tool("$REMOTES/bin/tool".into(), &[&["list", "one-*"]]));
    done(&mut machine, run(&["list", "one-5"]));
    for arguments in [&["list"][..], &["list", "two"], &["list", "one-5", "more"], &[]] {
        assert_eq!(refused(&mut machine, run(arguments)), K::Denied, "{arguments:?}");
    }
    let mut machine = world.machine(&[]);
    assert_eq!(refused(&mut machine, run(&[])), K::Denied);
    assert_eq!(done(&mut machine, available()), Answer::Tools(A::Available(Ok(false))));
}

/// A transfer driver's hook that was laid beside the actions, and never got into the policy.
#[test]
fn a_program_that_nobody_has_granted_is_named() {
    let world = Sandbox::new();
    program(&world, 0o755);
    world.file("bin/data", "no program").folder("bin/folder");
    let said = |policy: Policy, tool: &str| {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let log = lines.clone();
        let surroundings = Surroundings {
            policy: Arc::new(policy),
            tree: world.path.clone(),
            deadline: long(),
            libvirt_server: "/nonexistent/remotes-libvirt".into(),
            log: Box::new(move |level, text| log.lock().unwrap().push((level, text.to_owned()))),
        };
        let mut machine = Machine::new(surroundings).with_actions(world.path.join("bin"));
        let effect = E::Available { on: Node::Here, tool: tool.to_owned() };
        let granted = matches!(done(&mut machine, effect), Answer::Tools(A::Available(Ok(true))));
        (granted, std::mem::take(&mut *lines.lock().unwrap()))
    };
    let line = format!(
        "{} is not run: a table [tools.\"tool\"] in the driver's policy, with its path and arguments, would allow it",
        world.at("bin/tool")
    );
    assert_eq!(said(Policy::default(), "tool"), (false, vec![(Level::Warning, line)]));
    assert_eq!(said(tool("$REMOTES/bin/tool".into(), &[&["..."]]), "tool"), (true, vec![]));
    for other in ["data", "folder", "gone", "../bin/tool", "", "."] {
        assert_eq!(said(Policy::default(), other), (false, vec![]), "{other}");
    }
}

#[test]
fn a_program_that_others_can_change_is_not_run() {
    let world = Sandbox::new();
    for mode in [0o775, 0o757, 0o777] {
        program(&world, mode);
        let mut machine = world.machine_for(tool("$REMOTES/bin/tool".into(), &[&["..."]]));
        assert_eq!(refused(&mut machine, run(&[])), K::Failed, "{mode:o}");
        assert_eq!(refused(&mut machine, available()), K::Failed, "{mode:o}");
    }
    program(&world, 0o755);
    std::fs::set_permissions(world.path.join("bin"), std::fs::Permissions::from_mode(0o777)).unwrap();
    let mut machine = world.machine_for(tool("$REMOTES/bin/tool".into(), &[&["..."]]));
    assert_eq!(refused(&mut machine, run(&[])), K::Failed);
}

#[test]
fn tools_that_are_not_there_or_no_programs() {
    let world = Sandbox::new();
    let is_available = |path: &str| {
        let mut machine = world.machine_for(tool(path.to_owned(), &[&["..."]]));
        let answer = machine.execute(&Effect::Tools(available()));
        (answer, refused(&mut machine, run(&[])))
    };
    assert_eq!(is_available("/nonexistent/tool"), (Answer::Tools(A::Available(Ok(false))), K::NotFound));
    assert_eq!(is_available("/etc/passwd/tool"), (Answer::Tools(A::Available(Ok(false))), K::NotFound));
    assert_eq!(is_available("/etc/passwd"), (Answer::Tools(A::Available(Ok(false))), K::Failed));
    assert_eq!(is_available("/etc").1, K::Failed);
    assert_eq!(is_available("/dev/null").1, K::Failed);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 50, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arguments_arrive_as_they_are(arguments in prop::collection::vec("[^\0]{0,20}", 0..5)) {
        let outcome = Process::new("/usr/bin/printf").arguments(["%s\\0"]).arguments(&arguments).run(long()).unwrap();
        let mut expected = arguments.join("\0") + "\0";
        if arguments.is_empty() {
            expected = "\0".to_owned();
        }
        prop_assert_eq!(String::from_utf8(outcome.stdout).unwrap(), expected);
    }
}
