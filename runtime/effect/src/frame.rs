//! Frames between a pipeline and an effect server: one JSON value a line, on the server's standard
//! input and output. The first frame carries the policy under which the server acts; the server answers
//! it with [`Ready`].

use std::io::{BufRead, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::policy::Policy;
use crate::{CONTRACT, Effect, Executor};

/// No frame is longer than this many bytes.
pub const MAX_FRAME: usize = 64 * 1024 * 1024;

/// The first frame to a server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Hello {
    /// Version of the contract that the effects are of.
    pub contract: String,
    /// What the server may do.
    pub policy: Policy,
    /// Milliseconds until the action's deadline.
    pub deadline_ms: u64,
}

impl Hello {
    /// A greeting under this policy.
    pub fn new(policy: Policy, left: std::time::Duration) -> Self {
        Self { contract: CONTRACT.to_owned(), policy, deadline_ms: left.as_millis() as u64 }
    }
}

/// The first frame from a server: it understood the greeting. Without it, no effect was carried out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ready {
    /// Version of the contract that the server speaks.
    pub contract: String,
}

impl Default for Ready {
    fn default() -> Self {
        Self { contract: CONTRACT.to_owned() }
    }
}

/// A frame that is none.
#[derive(Debug, Error)]
pub enum FrameError {
    /// The other side has gone.
    #[error("the other side closed the connection")]
    Closed,
    /// Reading or writing failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The line is too long.
    #[error("a frame is too long")]
    TooLong,
    /// The line is not what was expected.
    #[error("a frame is not understood: {0}")]
    Malformed(#[from] serde_json::Error),
    /// The two sides speak different versions.
    #[error("the client speaks contract {0}, this server {CONTRACT}")]
    Contract(String),
}

/// Writes one frame and flushes.
pub fn write(output: &mut impl Write, value: &impl Serialize) -> Result<(), FrameError> {
    let mut text = serde_json::to_vec(value)?;
    text.push(b'\n');
    if text.len() > MAX_FRAME {
        return Err(FrameError::TooLong);
    }
    output.write_all(&text)?;
    Ok(output.flush()?)
}

/// Reads one frame.
pub fn read<T: DeserializeOwned>(input: &mut impl BufRead) -> Result<T, FrameError> {
    read_within(input, MAX_FRAME)
}

/// Reads one frame of at most so many bytes.
pub fn read_within<T: DeserializeOwned>(input: &mut impl BufRead, bytes: usize) -> Result<T, FrameError> {
    let mut line = Vec::new();
    let mut limited = std::io::Read::take(&mut *input, bytes as u64 + 1);
    std::io::BufRead::read_until(&mut limited, b'\n', &mut line)?;
    match line.last() {
        None => Err(FrameError::Closed),
        Some(_) if line.len() > bytes => Err(FrameError::TooLong),
        Some(b'\n') => Ok(serde_json::from_slice(&line)?),
        Some(_) => Err(FrameError::Closed),
    }
}

/// Reads the first frame to a server.
pub fn greeting(input: &mut impl BufRead) -> Result<Hello, FrameError> {
    let hello: Hello = read(input)?;
    match hello.contract.split('.').next() == CONTRACT.split('.').next() {
        true => Ok(hello),
        false => Err(FrameError::Contract(hello.contract)),
    }
}

/// Serves effects until the client goes. The policy is checked again here: a client that forgot to is
/// no way around it.
pub fn serve<E: Executor>(
    input: &mut impl BufRead,
    output: &mut impl Write,
    executor: impl FnOnce(&Hello) -> E,
) -> Result<(), FrameError> {
    let hello = greeting(input)?;
    let mut executor = executor(&hello);
    write(output, &Ready::default())?;
    loop {
        let effect: Effect = match read(input) {
            Ok(effect) => effect,
            Err(FrameError::Closed) => return Ok(()),
            Err(error) => return Err(error),
        };
        let answer = match hello.policy.check(&effect) {
            Ok(()) => executor.execute(&effect),
            Err(failure) => match effect.refuse(failure) {
                Some(answer) => answer,
                None => return Ok(()),
            },
        };
        write(output, &answer)?;
    }
}
