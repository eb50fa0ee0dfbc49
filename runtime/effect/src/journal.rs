//! The list of an action's effects with their answers: what was asked is written before it is done.
//!
//! A journal is for auditors and may be kept for long, so long texts and byte strings, which may hold
//! secrets, appear as their length and digest. What replays byte for byte is a
//! [`crate::recording::Recording`].

use std::fs::File;
use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::text::shortened;
use crate::types::Failure;
use crate::{Answer, Effect};

/// Told of every effect before and after it is carried out.
pub trait Journal {
    /// The effect is about to be carried out.
    fn begin(&mut self, number: u64, effect: &Effect);
    /// It was carried out, or refused by policy, with this answer.
    fn end(&mut self, number: u64, effect: &Effect, answer: &Answer, duration: Duration);
    /// It was refused and the action ends with that.
    fn stopped(&mut self, _number: u64, _effect: &Effect, _failure: &Failure, _duration: Duration) {}
    /// The action ended without the driver's reply, for this reason: a limit, a trap.
    fn aborted(&mut self, _reason: &str) {}
}

impl<A: Journal, B: Journal> Journal for (A, B) {
    fn begin(&mut self, number: u64, effect: &Effect) {
        self.0.begin(number, effect);
        self.1.begin(number, effect);
    }
    fn end(&mut self, number: u64, effect: &Effect, answer: &Answer, duration: Duration) {
        self.0.end(number, effect, answer, duration);
        self.1.end(number, effect, answer, duration);
    }
    fn stopped(&mut self, number: u64, effect: &Effect, failure: &Failure, duration: Duration) {
        self.0.stopped(number, effect, failure, duration);
        self.1.stopped(number, effect, failure, duration);
    }
    fn aborted(&mut self, reason: &str) {
        self.0.aborted(reason);
        self.1.aborted(reason);
    }
}

impl<J: Journal> Journal for Option<J> {
    fn begin(&mut self, number: u64, effect: &Effect) {
        self.iter_mut().for_each(|journal| journal.begin(number, effect));
    }
    fn end(&mut self, number: u64, effect: &Effect, answer: &Answer, duration: Duration) {
        self.iter_mut().for_each(|journal| journal.end(number, effect, answer, duration));
    }
    fn stopped(&mut self, number: u64, effect: &Effect, failure: &Failure, duration: Duration) {
        self.iter_mut().for_each(|journal| journal.stopped(number, effect, failure, duration));
    }
    fn aborted(&mut self, reason: &str) {
        self.iter_mut().for_each(|journal| journal.aborted(reason));
    }
}

/// Keeps nothing.
#[derive(Debug, Default)]
pub struct Nothing;

impl Journal for Nothing {
    fn begin(&mut self, _: u64, _: &Effect) {}
    fn end(&mut self, _: u64, _: &Effect, _: &Answer, _: Duration) {}
}

/// A file of JSON lines, one before and one after each effect. Lines of concurrent actions do not mix:
/// the file must be open for appending, each line is one write, and each carries the action's name.
pub struct Lines {
    file: File,
    action: String,
    /// Kept from line to line for its allocation.
    text: Vec<u8>,
    /// Told of the first line that is lost.
    lost: Option<Lost>,
}

type Lost = Box<dyn FnOnce(&std::io::Error) + Send>;

/// One line. Keys are in the order of the alphabet; those without a value are left out.
#[derive(Default, Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    aborted: Option<String>,
    action: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    asked: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effect: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    microseconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped: Option<&'a Failure>,
    time: u64,
}

impl Lines {
    /// `action` identifies the action in a file that several share: `vmm/kvm/deploy 4711`. `lost` is told, once,
    /// of a line that could not be written.
    pub fn new(file: File, action: String, lost: impl FnOnce(&std::io::Error) + Send + 'static) -> Self {
        Self { file, action, text: Vec::new(), lost: Some(Box::new(lost)) }
    }

    fn write(&mut self, line: Line<'_>) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let line = Line { action: &self.action, time: now.as_millis() as u64, ..line };
        self.text.clear();
        let written = serde_json::to_writer(&mut self.text, &line).map_err(std::io::Error::from).and_then(|()| {
            self.text.push(b'\n');
            self.file.write_all(&self.text)
        });
        // A full disk must not keep a machine from being stopped.
        if let Err(error) = written
            && let Some(lost) = self.lost.take()
        {
            lost(&error);
        }
    }
}

impl Journal for Lines {
    fn begin(&mut self, number: u64, effect: &Effect) {
        let asked = Some(summary(effect));
        self.write(Line { effect: Some(number), name: Some(effect.name()), asked, ..Line::default() });
    }

    fn end(&mut self, number: u64, effect: &Effect, answer: &Answer, duration: Duration) {
        let failure = answer.failure();
        self.write(Line {
            effect: Some(number),
            name: Some(effect.name()),
            microseconds: Some(duration.as_micros() as u64),
            answer: failure.is_none().then(|| summary(answer)),
            failure,
            ..Line::default()
        });
    }

    fn stopped(&mut self, number: u64, effect: &Effect, failure: &Failure, _: Duration) {
        let (effect, name) = (Some(number), Some(effect.name()));
        self.write(Line { effect, name, stopped: Some(failure), ..Line::default() });
    }

    fn aborted(&mut self, reason: &str) {
        self.write(Line { aborted: Some(shortened(reason, LONGEST_REASON)), ..Line::default() });
    }
}

/// A driver's own words may be part of a reason (bytes).
const LONGEST_REASON: usize = 4096;

/// Texts up to this many bytes appear in a journal as they are.
const PLAIN: usize = 256;

/// The value as JSON without the name of interface and function, with long texts replaced by their digest.
pub fn summary(value: &impl Serialize) -> Value {
    let mut value = serde_json::to_value(value).unwrap_or(Value::Null);
    for _ in 0..2 {
        value = match value {
            Value::Object(map) if map.len() == 1 => map.into_iter().next().map_or(Value::Null, |(_, inner)| inner),
            other => other,
        };
    }
    shorten(&mut value);
    value
}

fn shorten(value: &mut Value) {
    match value {
        Value::String(text) if text.len() > PLAIN => {
            let digest = Sha256::digest(text.as_bytes());
            let hex: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            *text = format!("({} bytes, sha256 {hex}…)", text.len());
        }
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::Object(map) => map.iter_mut().for_each(|(key, value)| match (key.as_str(), &*value) {
            // Contents and standard input may be short secrets: never plain, whatever their size. Of a command
            // to a guest's agent they are a part.
            ("content" | "stdin" | "archive" | "command", Value::String(text)) => {
                let form = if key == "command" { "" } else { " of base64" };
                *value = json!(format!("({} bytes{form})", text.len()));
            }
            // A console's password; an attribute's name is written in no other way.
            ("xml", Value::String(text)) if text.contains("passwd") => {
                *value = json!(format!("({} bytes with a password)", text.len()));
            }
            _ => shorten(value),
        }),
        _ => {}
    }
}
