//! Recordings: a call, its effects with their answers, and the driver's reply, to the byte. A driver has
//! no other input, so that replaying one shows the same behaviour anywhere.
//!
//! The file holds whatever the documents and answers held, secrets included: it is made with mode 0600.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, Read as _, Write};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::journal::Journal;
use crate::policy::Limits;
use crate::types::Failure;
use crate::{Answer, CONTRACT, Call, Effect, Executor, Reply};

/// Bytes of a recording that is read: it may come from anybody. All effects that an action may have, or some dozen of
/// the largest files, are within that.
const LONGEST: u64 = 256 * 1024 * 1024;

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
    /// The limits it was under; recordings that were made before they were noted have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
}

/// The lines after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    /// One effect and its answer.
    Effect { effect: Box<Effect>, answer: Answer },
    /// How the action ended.
    End(End),
}

/// A recording that cannot be read or used.
#[derive(Debug, Error)]
pub enum RecordingError {
    /// The file could not be read or written.
    #[error("recording: {0}")]
    Io(std::io::Error),
    /// Its first line is not what a recording begins with.
    #[error("is no recording of `remotes exec --record`: its first line is not of one ({0})")]
    None(String),
    /// A line is not what it should be.
    #[error("recording, line {line}: {message}")]
    Line {
        /// counted from 1
        line: usize,
        /// what the parser says
        message: String,
    },
    /// The file is empty.
    #[error("the recording is empty; expected one of `remotes exec --record`")]
    Empty,
    /// Something stands behind the line that says how the action ended.
    #[error("recording, line {0}: the action has ended before it; expected nothing more")]
    AfterEnd(usize),
    /// The recording was made with another major version of the contract.
    #[error("the recording was made with contract {0}; this runtime serves {CONTRACT}")]
    Contract(String),
    /// It is longer than any that is read.
    #[error("the recording is longer than {} MiB, which is more than is read of one", LONGEST / 1024 / 1024)]
    TooLong,
    /// No policy has such limits.
    #[error("recording, line 1: {0}")]
    Limits(String),
}

/// Writes a recording while an action runs.
pub struct Recorder {
    file: File,
    /// the first line that could not be written
    lost: Option<std::io::Error>,
}

impl Recorder {
    /// `file` should be empty and readable by its owner alone.
    pub fn new(
        mut file: File,
        driver: &str,
        component: &str,
        call: &Call,
        limits: &Limits,
    ) -> Result<Self, RecordingError> {
        let header = Header {
            contract: CONTRACT.to_owned(),
            driver: driver.to_owned(),
            component: component.to_owned(),
            call: call.clone(),
            limits: Some(limits.clone()),
        };
        write_line(&mut file, &header).map_err(RecordingError::Io)?;
        Ok(Self { file, lost: None })
    }

    /// Writes the last line, unless one before it is lost: then the recording has no end, by which it is known as
    /// incomplete.
    pub fn finish(mut self, end: End) -> Result<(), RecordingError> {
        if let Some(error) = self.lost {
            return Err(RecordingError::Io(error));
        }
        write_line(&mut self.file, &Line::End(end)).map_err(RecordingError::Io)
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
        if self.lost.is_some() {
            return;
        }
        let line = Line::Effect { effect: Box::new(effect.clone()), answer: answer.clone() };
        self.lost = write_line(&mut self.file, &line).err();
    }
}

/// A recording read back.
#[derive(Debug)]
pub struct Recording {
    /// The first line.
    pub header: Header,
    /// Effects and answers in order.
    pub effects: VecDeque<(Effect, Answer)>,
    /// How the action ended; none where the recording breaks off before that.
    pub end: Option<End>,
}

/// How a recorded action ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "EndFields", into = "EndFields")]
pub enum End {
    /// With the driver's reply.
    Replied(Reply),
    /// Without one, for this reason.
    Stopped(String),
}

impl End {
    /// The end of an action that came to this.
    pub fn of<E: ToString>(result: &Result<Reply, E>) -> Self {
        match result {
            Ok(reply) => Self::Replied(reply.clone()),
            Err(error) => Self::Stopped(error.to_string()),
        }
    }
}

/// As the file spells it: both are there, one of them null.
#[derive(Serialize, Deserialize)]
struct EndFields {
    reply: Option<Reply>,
    stopped: Option<String>,
}

impl TryFrom<EndFields> for End {
    type Error = &'static str;

    fn try_from(fields: EndFields) -> Result<Self, Self::Error> {
        match (fields.reply, fields.stopped) {
            (Some(reply), None) => Ok(Self::Replied(reply)),
            (None, Some(reason)) => Ok(Self::Stopped(reason)),
            (None, None) => Err("an end has neither `reply` nor `stopped`, expected one of them"),
            (Some(_), Some(_)) => Err("an end has both `reply` and `stopped`, expected one of them"),
        }
    }
}

impl From<End> for EndFields {
    fn from(end: End) -> Self {
        match end {
            End::Replied(reply) => Self { reply: Some(reply), stopped: None },
            End::Stopped(reason) => Self { reply: None, stopped: Some(reason) },
        }
    }
}

impl Recording {
    /// Reads a whole recording.
    pub fn read(input: impl BufRead) -> Result<Self, RecordingError> {
        let mut input = input.take(LONGEST);
        let recording = Self::read_lines(input.by_ref());
        // What was cut off there is no matter of its last line.
        if input.limit() == 0 { Err(RecordingError::TooLong) } else { recording }
    }

    fn read_lines(input: impl BufRead) -> Result<Self, RecordingError> {
        let mut lines = (1..).zip(input.lines()).peekable();
        let Some((_, first)) = lines.next() else { return Err(RecordingError::Empty) };
        let header: Header =
            parse(&first.map_err(RecordingError::Io)?).map_err(|error| RecordingError::None(said(&error)))?;
        if header.contract.split('.').next() != CONTRACT.split('.').next() {
            return Err(RecordingError::Contract(header.contract));
        }
        // A recording may come from anybody.
        header.limits.as_ref().map_or(Ok(()), Limits::validate).map_err(RecordingError::Limits)?;
        let mut recording = Self { header, effects: VecDeque::new(), end: None };
        while let Some((number, line)) = lines.next() {
            if recording.end.is_some() {
                return Err(RecordingError::AfterEnd(number));
            }
            match parse(&line.map_err(RecordingError::Io)?) {
                Ok(Line::Effect { effect, answer }) => recording.effects.push_back((*effect, answer)),
                Ok(Line::End(end)) => recording.end = Some(end),
                // Whoever wrote it was ended, or the disk was full.
                Err(error) if error.is_eof() && lines.peek().is_none() => break,
                Err(error) => return Err(wrong(number, &error)),
            }
        }
        Ok(recording)
    }
}

fn parse<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, serde_json::Error> {
    serde_json::from_str(text)
}

fn wrong(line: usize, error: &serde_json::Error) -> RecordingError {
    RecordingError::Line { line, message: said(error) }
}

/// What the parser says, which knows of the one line only.
fn said(error: &serde_json::Error) -> String {
    let place = format!(" at line {} column {}", error.line(), error.column());
    let message = error.to_string();
    let message = message.strip_suffix(&place).unwrap_or(&message);
    format!("column {}: {message}", error.column())
}

/// Answers from a recording. The first effect that differs from the recorded one ends the match: it and
/// all that follow fail, and [`Replay::divergence`] says what was expected.
pub struct Replay {
    effects: VecDeque<(Effect, Answer)>,
    number: u64,
    divergence: Option<Divergence>,
}

/// Where a driver left its recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Divergence {
    /// It asked something else than was recorded, or ended earlier.
    Differs(String),
    /// It went on behind the last effect that was recorded.
    Beyond(String),
}

impl std::fmt::Display for Divergence {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Differs(text) | Self::Beyond(text)) = self;
        formatter.write_str(text)
    }
}

impl Replay {
    /// Answers the effects of this recording, in order.
    pub fn new(effects: VecDeque<(Effect, Answer)>) -> Self {
        Self { effects, number: 0, divergence: None }
    }

    /// Where the driver left the recording, if it did; unused effects count too.
    pub fn divergence(&self) -> Option<Divergence> {
        self.divergence.clone().or_else(|| {
            let (effect, _) = self.effects.front()?;
            let text = format!("the driver ended before effect {}, {}", self.number + 1, effect.name());
            Some(Divergence::Differs(text))
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
                Divergence::Differs(format!(
                    "effect {}: the recording has {} {}, the driver asks {} {}",
                    self.number,
                    recorded.name(),
                    crate::journal::summary(&recorded),
                    effect.name(),
                    crate::journal::summary(effect)
                ))
            }
            _ => Divergence::Beyond(format!(
                "effect {}: the recording has ended, the driver asks {}",
                self.number,
                effect.name()
            )),
        };
        let why = self.divergence.get_or_insert(why).clone();
        effect.decline(Failure::failed(format!("replay: {why}")))
    }
}
