//! Recordings: a call, its effects with their answers, and the driver's reply, to the byte. A driver has
//! no other input, so that replaying one shows the same behaviour anywhere.
//!
//! The file holds whatever the documents and answers held, secrets included: it is made with mode 0600.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, Write};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::journal::Journal;
use crate::types::Failure;
use crate::{Answer, CONTRACT, Call, Effect, Executor, Reply};

/// First line of a recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Version of the contract.
    pub contract: String,
    /// `vmm/kvm`
    pub driver: String,
    /// SHA-256 of the component, hexadecimal.
    pub component: String,
    /// What the driver was called with.
    pub call: Call,
}

/// The lines after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    /// One effect and its answer.
    Effect { effect: Box<Effect>, answer: Answer },
    /// How the action ended: the driver's reply, or why there is none.
    End { reply: Option<Reply>, stopped: Option<String> },
}

/// A recording that cannot be read or used.
#[derive(Debug, Error)]
pub enum RecordingError {
    /// The file could not be read or written.
    #[error("recording: {0}")]
    Io(#[from] std::io::Error),
    /// A line is not what it should be.
    #[error("recording, line {line}: {source}")]
    Line {
        /// counted from 1
        line: usize,
        /// what the parser says
        source: serde_json::Error,
    },
    /// The file is empty.
    #[error("the recording is empty: expected a header line")]
    Empty,
    /// The recording was made with another major version of the contract.
    #[error("the recording was made with contract {0}; this runtime serves {CONTRACT}")]
    Contract(String),
}

/// Writes a recording while an action runs.
pub struct Recorder {
    file: File,
}

impl Recorder {
    /// `file` should be empty and readable by its owner alone.
    pub fn new(mut file: File, driver: &str, component: &str, call: &Call) -> Result<Self, RecordingError> {
        let header = Header {
            contract: CONTRACT.to_owned(),
            driver: driver.to_owned(),
            component: component.to_owned(),
            call: call.clone(),
        };
        write_line(&mut file, &header)?;
        Ok(Self { file })
    }

    /// Writes the last line.
    pub fn finish(mut self, reply: Option<&Reply>, stopped: Option<&str>) -> Result<(), RecordingError> {
        let line = Line::End { reply: reply.cloned(), stopped: stopped.map(str::to_owned) };
        Ok(write_line(&mut self.file, &line)?)
    }
}

fn write_line(file: &mut File, value: &impl Serialize) -> std::io::Result<()> {
    let mut text = serde_json::to_vec(value)?;
    text.push(b'\n');
    file.write_all(&text)
}

impl Journal for Recorder {
    fn begin(&mut self, _: u64, _: &Effect) {}

    fn end(&mut self, _: u64, effect: &Effect, answer: &Answer, _: Duration) {
        // An incomplete recording is noticed when it is replayed: it has no end.
        let _ = write_line(&mut self.file, &Line::Effect { effect: Box::new(effect.clone()), answer: answer.clone() });
    }
}

/// A recording read back.
#[derive(Debug)]
pub struct Recording {
    /// The first line.
    pub header: Header,
    /// Effects and answers in order.
    pub effects: VecDeque<(Effect, Answer)>,
    /// The driver's reply, where the action came to one.
    pub reply: Option<Reply>,
}

impl Recording {
    /// Reads a whole recording.
    pub fn read(input: impl BufRead) -> Result<Self, RecordingError> {
        let mut lines = input.lines().enumerate();
        let (_, first) = lines.next().ok_or(RecordingError::Empty)?;
        let header: Header = parse(1, &first?)?;
        if header.contract.split('.').next() != CONTRACT.split('.').next() {
            return Err(RecordingError::Contract(header.contract));
        }
        let mut recording = Self { header, effects: VecDeque::new(), reply: None };
        for (index, line) in lines {
            match parse(index + 1, &line?)? {
                Line::Effect { effect, answer } => recording.effects.push_back((*effect, answer)),
                Line::End { reply, .. } => recording.reply = reply,
            }
        }
        Ok(recording)
    }
}

fn parse<T: for<'de> Deserialize<'de>>(line: usize, text: &str) -> Result<T, RecordingError> {
    serde_json::from_str(text).map_err(|source| RecordingError::Line { line, source })
}

/// Answers from a recording. The first effect that differs from the recorded one ends the match: it and
/// all that follow fail, and [`Replay::divergence`] says what was expected.
pub struct Replay {
    effects: VecDeque<(Effect, Answer)>,
    number: u64,
    divergence: Option<String>,
}

impl Replay {
    /// Answers the effects of this recording, in order.
    pub fn new(effects: VecDeque<(Effect, Answer)>) -> Self {
        Self { effects, number: 0, divergence: None }
    }

    /// Where the driver left the recording, if it did; unused effects count too.
    pub fn divergence(&self) -> Option<String> {
        self.divergence.clone().or_else(|| {
            let (effect, _) = self.effects.front()?;
            Some(format!("the driver ended before effect {}, {}", self.number + 1, effect.name()))
        })
    }
}

impl Executor for Replay {
    fn execute(&mut self, effect: &Effect) -> Answer {
        self.number += 1;
        let why = match self.effects.pop_front() {
            Some((recorded, answer)) if self.divergence.is_none() => {
                if recorded == *effect {
                    return answer;
                }
                format!(
                    "effect {}: the recording has {} {}, the driver asks {} {}",
                    self.number,
                    recorded.name(),
                    crate::journal::summary(&recorded),
                    effect.name(),
                    crate::journal::summary(effect)
                )
            }
            _ => format!("effect {}: the recording has ended, the driver asks {}", self.number, effect.name()),
        };
        let why = self.divergence.get_or_insert(why).clone();
        effect.refuse(Failure::failed(format!("replay: {why}"))).unwrap_or_else(|| neutral(effect))
    }
}

/// An answer for the few calls that cannot fail.
fn neutral(effect: &Effect) -> Answer {
    match effect {
        Effect::Clock(crate::clock::Effect::Now {}) => Answer::Clock(crate::clock::Answer::Now(0)),
        Effect::Clock(_) => Answer::Clock(crate::clock::Answer::Sleep(false)),
        _ => Answer::Log(crate::log::Answer::Write(())),
    }
}
