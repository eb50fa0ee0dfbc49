//! Frames, journals and recordings: what goes in comes out, and nothing hostile gets through.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::io::{BufReader, Cursor, Read as _, Seek as _};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use remotes_effect::frame::{self, FrameError, Hello};
use remotes_effect::journal::{Lines, Nothing};
use remotes_effect::pipeline::{Pipeline, Stop};
use remotes_effect::policy::{Access, Limits, PathGrants, Policy, SCHEMA};
use remotes_effect::recording::{Divergence, End, Recorder, Recording, RecordingError, Replay};
use remotes_effect::types::{Failure, Node, Place};
use remotes_effect::{Answer, Call, Effect, Executor, clock, filesystem, libvirt, log, vmm};

struct Echo;

impl Executor for Echo {
    fn execute(&mut self, effect: &Effect) -> Answer {
        match effect {
            Effect::Filesystem(filesystem::Effect::Read { .. }) => {
                Answer::Filesystem(filesystem::Answer::Read(Ok(vec![0, 255, b'\n'])))
            }
            Effect::Clock(_) => Answer::Clock(clock::Answer::Now(7)),
            Effect::Log(_) => Answer::Log(log::Answer::Write(())),
            other => other.refuse(Failure::failed("echo")).unwrap(),
        }
    }
}

fn policy() -> Policy {
    Policy { schema: SCHEMA, paths: PathGrants([("/a".into(), Access::ReadWrite)].into()), ..Policy::default() }
}

fn read(path: &str) -> Effect {
    Effect::Filesystem(filesystem::Effect::Read { at: Place { on: Node::Here, path: path.into() } })
}

fn write(content: Vec<u8>) -> Effect {
    let at = Place { on: Node::Here, path: "/a/b".into() };
    Effect::Filesystem(filesystem::Effect::Write { at, content, mode: 0o600 })
}

#[test]
fn a_server_holds_its_client_to_the_policy() {
    let mut input = Vec::new();
    frame::write(&mut input, &Hello::new(policy(), Duration::from_secs(1))).unwrap();
    frame::write(&mut input, &read("/a/x")).unwrap();
    frame::write(&mut input, &read("/etc/shadow")).unwrap();
    let mut output = Vec::new();
    frame::serve(&mut Cursor::new(input), &mut output, |_| Echo).unwrap();
    let text = String::from_utf8(output).unwrap();
    assert!(text.contains("AP8K"), "bytes travel as base64: {text}");
    assert!(text.contains("denied") && text.contains("/etc/shadow"), "{text}");
}

#[test]
fn a_frame_has_as_many_bytes_as_it_may() {
    let read = |text: &str, bytes| frame::read_within::<Vec<u8>>(&mut text.as_bytes(), bytes);
    assert_eq!(read("[1,2,3]\n", 8).unwrap(), [1, 2, 3]);
    for text in ["[1,2,3]\n", "[1,2,3]", "[1,2,3]\n\n"] {
        assert!(matches!(read(text, 6), Err(FrameError::TooLong)), "{text:?}");
    }
    assert!(matches!(read("[1,2,3]", 8), Err(FrameError::Closed)));
    assert!(matches!(read("", 8), Err(FrameError::Closed)));
}

#[test]
fn another_major_version_is_refused() {
    let mut hello = Hello::new(policy(), Duration::from_secs(1));
    hello.contract = "2.0.0".into();
    let mut input = Vec::new();
    frame::write(&mut input, &hello).unwrap();
    let result = frame::serve(&mut Cursor::new(input), &mut Vec::new(), |_| Echo);
    assert!(matches!(result, Err(FrameError::Contract(version)) if version == "2.0.0"));
}

#[test]
fn limits_end_the_action() {
    let mut policy = policy();
    policy.limits.effects = 3;
    policy.limits.log_kib = 1;
    let policy = Arc::new(policy);
    let mut pipeline = Pipeline::new(policy.clone(), Nothing, Echo);
    for _ in 0..3 {
        pipeline.perform(Effect::Clock(clock::Effect::Now {})).unwrap();
    }
    assert_eq!(pipeline.perform(Effect::Clock(clock::Effect::Now {})), Err(Stop::Effects(3)));
    let mut pipeline = Pipeline::new(policy, Nothing, Echo);
    let flood = Effect::Log(log::Effect::Write { level: log::Level::Info, message: "x".repeat(1024) });
    assert_eq!(pipeline.perform(flood), Err(Stop::Log(1)));
}

#[test]
fn a_journal_shows_denials_and_hides_contents() {
    let mut file = tempfile::tempfile().unwrap();
    let mut pipeline = Pipeline::new(
        Arc::new(policy()),
        Lines::new(file.try_clone().unwrap(), "vmm/kvm/deploy 1".into(), |_| ()),
        Echo,
    );
    pipeline.perform(read("/etc/shadow")).unwrap();
    pipeline.perform(write(b"s3cret".to_vec())).unwrap();
    let long = format!("/a/{}", "x".repeat(300));
    pipeline.perform(read(&long)).unwrap();
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 6, "one line before and one after each effect");
    assert_eq!(lines[0]["name"], "filesystem.read");
    assert_eq!(lines[1]["failure"]["kind"], "denied");
    assert!(!text.contains("s3cret") && !text.contains("czNjcmV0"), "contents stay out: {text}");
    assert!(!text.contains(&long), "long texts appear as digests");
}

/// Granted or not, what a command reads is a part of it.
#[test]
fn a_journal_hides_what_a_guests_agent_is_told() {
    let mut file = tempfile::tempfile().unwrap();
    let mut pipeline =
        Pipeline::new(Arc::new(policy()), Lines::new(file.try_clone().unwrap(), "vmm/kvm/exec 1".into(), |_| ()), Echo);
    let command = r#"{"execute":"guest-exec","arguments":{"input-data":"czNjcmV0"}}"#.to_owned();
    let effect = libvirt::Effect::GuestAgent { on: Node::Here, domain: "one-1".into(), command, seconds: 1 };
    pipeline.perform(Effect::Libvirt(effect)).unwrap();
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    assert!(text.contains("libvirt.guest-agent") && !text.contains("czNjcmV0"), "{text}");
}

#[test]
fn a_recording_replays_until_the_driver_differs() {
    let call = Call::Vmm(vmm::Call::Reboot { deploy_id: "one-1".into(), host: "h".into(), action: String::new() });
    let mut file = tempfile::tempfile().unwrap();
    let limits = Limits { effects: 7, ..Limits::default() };
    let recorder = Recorder::new(file.try_clone().unwrap(), "vmm/kvm", "00", &call, &limits).unwrap();
    let mut pipeline = Pipeline::new(Arc::new(policy()), recorder, Echo);
    let first = pipeline.perform(read("/a/x")).unwrap();
    let second = pipeline.perform(read("/etc/shadow")).unwrap();
    let reply = remotes_effect::Reply::Vmm(vmm::Reply::Reboot(Ok(())));
    pipeline.journal.finish(End::Replied(reply.clone())).unwrap();
    file.rewind().unwrap();
    let recording = Recording::read(BufReader::new(file)).unwrap();
    assert_eq!((&recording.header.call, &recording.header.limits), (&call, &Some(limits)));
    assert_eq!(recording.end, Some(End::Replied(reply)));
    let mut replay = Replay::new(recording.effects.clone());
    assert_eq!(replay.execute(&read("/a/x")), first);
    assert!(matches!(replay.divergence(), Some(Divergence::Differs(text)) if text.contains("ended before effect 2")));
    assert_eq!(replay.execute(&read("/etc/shadow")), second);
    assert_eq!(replay.divergence(), None);
    assert!(replay.execute(&read("/a/x")).failure().is_some());
    assert!(matches!(replay.divergence(), Some(Divergence::Beyond(text)) if text.contains("effect 3")));
    let mut replay = Replay::new(recording.effects);
    assert!(replay.execute(&read("/a/y")).failure().unwrap().message.contains("effect 1"));
    assert!(replay.execute(&read("/a/x")).failure().is_some(), "nothing matches after a divergence");
    assert!(matches!(replay.divergence(), Some(Divergence::Differs(text)) if text.contains("filesystem.read")));
}

#[test]
fn recordings_that_are_none_are_named() {
    assert!(matches!(Recording::read(Cursor::new("")), Err(RecordingError::Empty)));
    for text in ["{}\n", "root:x:0:0:root:/root:/bin/bash\n"] {
        let error = Recording::read(Cursor::new(text)).unwrap_err();
        assert!(error.to_string().starts_with("is no recording of `remotes exec --record`"), "{error}");
    }
}

#[test]
fn a_recording_without_end_is_not_read_to_its_end() {
    let error = Recording::read(BufReader::new(std::io::repeat(b' '))).unwrap_err();
    assert!(matches!(error, RecordingError::TooLong), "{error}");
}

/// A call's first line, with more in it where that is wanted, and the lines after it.
fn recorded(more: &str, lines: &str) -> Result<Recording, RecordingError> {
    let call = Call::Vmm(vmm::Call::Reboot { deploy_id: "one-1".into(), host: "h".into(), action: String::new() });
    let call = serde_json::to_string(&call).unwrap();
    let header = format!(r#"{{"contract":"1.0.0","driver":"vmm/kvm","component":"00","call":{call}{more}}}"#);
    Recording::read(Cursor::new(format!("{header}\n{lines}")))
}

#[test]
fn recordings_that_break_off_or_go_on_are_told_apart() {
    const END: &str = r#"{"end":{"reply":null,"stopped":"a limit"}}"#;
    let whole = recorded("", END).unwrap();
    assert_eq!((whole.header.limits, whole.end), (None, Some(End::Stopped("a limit".into()))));
    for broken in ["", "{\"effect\":{\"eff", &END[..END.len() - 4]] {
        assert!(recorded("", broken).unwrap().end.is_none(), "{broken:?}");
    }
    // An action ends in one way.
    for (wrong, problem) in [
        (r#"{"end":{"reply":null,"stopped":null}}"#, "neither"),
        (r#"{"end":{"reply":{"vmm":{"reboot":{"Ok":null}}},"stopped":"a limit"}}"#, "both"),
    ] {
        let message = recorded("", wrong).unwrap_err().to_string();
        assert!(message.starts_with("recording, line 2: ") && message.contains(problem), "{message}");
    }
    let error = recorded("", &format!("{END}\n{END}\n")).unwrap_err();
    assert!(matches!(error, RecordingError::AfterEnd(3)), "{error}");
    // A line that is no JSON is not one that breaks off, nor is one in the middle.
    for wrong in ["nonsense\n", "{\"eff\n{\"end\"}\n"] {
        let message = recorded("", wrong).unwrap_err().to_string();
        assert!(message.contains("line 2: column ") && !message.contains("at line 1"), "{message}");
    }
    let limits = serde_json::to_value(Limits { stack_kib: 1 << 40, ..Limits::default() }).unwrap();
    let error = recorded(&format!(",\"limits\":{limits}"), END).unwrap_err();
    assert!(matches!(&error, RecordingError::Limits(text) if text.contains("stack-kib")), "{error}");
}

#[test]
fn a_journal_that_is_lost_is_told_of_once() {
    let full = std::fs::OpenOptions::new().append(true).open("/dev/full").unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let lost = move |error: &std::io::Error| tell.send(error.kind()).unwrap();
    let mut pipeline = Pipeline::new(Arc::new(policy()), Lines::new(full, "vmm/kvm/deploy 1".into(), lost), Echo);
    for _ in 0..3 {
        assert!(pipeline.perform(read("/a/x")).unwrap().failure().is_none(), "the action goes on");
    }
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [std::io::ErrorKind::StorageFull]);
}

proptest! {
    #[test]
    fn contents_survive_a_frame(content in prop::collection::vec(any::<u8>(), 0..200)) {
        let effect = write(content);
        let mut bytes = Vec::new();
        frame::write(&mut bytes, &effect).unwrap();
        prop_assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 1);
        let back: Effect = frame::read(&mut Cursor::new(bytes)).unwrap();
        prop_assert_eq!(back, effect);
    }

    #[test]
    fn no_bytes_make_a_server_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = frame::serve(&mut Cursor::new(&bytes), &mut Vec::new(), |_| Echo);
        let mut greeted = Vec::new();
        frame::write(&mut greeted, &Hello::new(policy(), Duration::from_secs(1))).unwrap();
        greeted.extend(&bytes);
        let _ = frame::serve(&mut Cursor::new(&greeted), &mut Vec::new(), |_| Echo);
        let _ = Recording::read(Cursor::new(&bytes));
    }

    #[test]
    fn one_line_is_one_printable_line(text in "\\PC*|[\\x00-\\x1f\\u{80}-\\u{9f}\\u{202e}a-z]{0,50}") {
        let line = remotes_effect::text::one_line(&text);
        prop_assert!(!line.chars().any(|c| c.is_control()));
        let overridden = line.contains('\u{202e}');
        prop_assert!(!overridden);
    }
}
