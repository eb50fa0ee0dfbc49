//! Frames between a pipeline and an effect server, read by either side.

use std::io::{BufRead as _, Cursor};

use remotes_effect::frame::{self, FrameError, Hello, Ready};
use remotes_effect::policy::Policy;
use remotes_effect::types::Failure;
use remotes_effect::{Answer, CONTRACT, Effect, Executor};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Words of them.
pub const WORDS: &[&str] = &[
    "{\"contract\":\"1.0.0\",\"policy\":{\"schema\":1},\"deadline_ms\":1000}\n",
    "{\"contract\":\"2.0.0\"}\n",
    "\n",
    "\r\n",
    "{\"filesystem\":{\"read\":{\"at\":{\"on\":\"here\",\"path\":\"/etc/shadow\"}}}}",
    "{\"host\":\"node1\"}",
    "\"here\"",
    "{\"libvirt\":{\"destroy\":{\"on\":\"here\",\"domain\":\"db-1\"}}}",
    "\"log\"",
    "\"clock\"",
    "{\"now\":{}}",
    "null",
    "{}",
    "[]",
    "18446744073709551616",
    "-1",
    "1e999",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "\\",
    "\"",
    ":",
    ",",
    "[[[[[[[[",
    "true",
    "\u{0}",
];

/// A frame that is read is written as it was, and no effect that is not granted gets through a server.
pub fn run(data: &[u8]) {
    round::<Effect>(data);
    round::<Answer>(data);
    round::<Ready>(data);
    if let Some(hello) = round::<Hello>(data) {
        let again: Hello = through(&hello);
        assert_eq!((again.policy, again.deadline_ms), (hello.policy, hello.deadline_ms));
    }
    if let Ok(effect) = frame::read::<Effect>(&mut Cursor::new(data)) {
        assert_eq!(through::<Effect>(&effect), effect);
        if let Some(answer) = effect.refuse(Failure::denied("x")) {
            assert_eq!(answer.failure().map(|failure| failure.message.as_str()), Some("x"));
            assert_eq!(through::<Answer>(&answer), answer);
        }
    }
    serve(data);
}

/// Reads one frame: no more is taken than up to the first newline.
fn round<T: DeserializeOwned + Serialize>(data: &[u8]) -> Option<T> {
    let mut input = Cursor::new(data);
    let value = frame::read::<T>(&mut input).ok()?;
    let line = data.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    assert_eq!(input.position() as usize, line);
    let text = serde_json::to_value(&value).unwrap();
    assert_eq!(serde_json::to_value(through::<T>(&value)).unwrap(), text);
    Some(value)
}

fn through<T: DeserializeOwned>(value: &impl Serialize) -> T {
    let mut written = Vec::new();
    frame::write(&mut written, value).unwrap();
    assert_eq!(written.iter().filter(|byte| **byte == b'\n').count(), 1);
    frame::read(&mut Cursor::new(written)).unwrap()
}

/// Answers everything, and knows what it must never be asked.
struct Watching(Policy);

impl Executor for Watching {
    fn execute(&mut self, effect: &Effect) -> Answer {
        assert!(self.0.check(effect).is_ok(), "{effect:?} reached the executor");
        effect.refuse(Failure::unsupported("x")).unwrap_or(Answer::Clock(remotes_effect::clock::Answer::Now(0)))
    }
}

fn serve(data: &[u8]) {
    let mut written = Vec::new();
    let outcome = frame::serve(&mut Cursor::new(data), &mut written, |hello| Watching(hello.policy.clone()));
    let mut lines = written.lines().map(Result::unwrap);
    match (&outcome, lines.next()) {
        (Err(FrameError::Contract(version)), None) => assert_ne!(version.split('.').next(), CONTRACT.split('.').next()),
        (_, None) => assert!(outcome.is_err()),
        (_, Some(ready)) => {
            serde_json::from_str::<Ready>(&ready).unwrap();
            for line in lines {
                serde_json::from_str::<Answer>(&line).unwrap();
            }
        }
    }
}
