//! The client of an effect server: a child that carries out effects under a policy, asked by frames on
//! its standard input and answering on its standard output.

use std::process::{Child, Command};
use std::time::Duration;

use remotes_effect::deadline::Deadline;
use remotes_effect::frame::{self, FrameError, Hello, MAX_FRAME, Ready};
use remotes_effect::{Answer, Effect};
use remotes_process::{Capture, Feed, end, kill, last_line, poll, with_pipes};
use serde::de::DeserializeOwned;
use thiserror::Error;

/// Bytes of its standard error that are kept.
const ERRORS: usize = 8 * 1024;

/// Why a server gave no answer. It is of no use any more.
#[derive(Debug, Error)]
pub enum ServerError {
    /// It cannot be started.
    #[error("cannot be started: {0}")]
    Start(std::io::Error),
    /// The deadline came before the answer.
    #[error("gave no answer in time")]
    Timeout {
        /// whether the effect had left for the server
        sent: bool,
    },
    /// It ended, or closed its output.
    #[error("ended without an answer{}{said}", if said.is_empty() { "" } else { ": " })]
    Gone {
        /// whether the effect had left for the server
        sent: bool,
        /// the last line of its standard error
        said: String,
    },
    /// What it sent is no answer.
    #[error("answered what is not understood: {0}")]
    Frame(#[from] FrameError),
    /// The answer belongs to another effect.
    #[error("answered another question")]
    Mismatch,
    /// The pipes fail.
    #[error("cannot be talked to: {0}")]
    Pipe(std::io::Error),
}

impl ServerError {
    /// Whether the server may have carried out the effect.
    pub fn may_have_happened(&self) -> bool {
        match self {
            Self::Start(_) => false,
            Self::Timeout { sent } | Self::Gone { sent, .. } => *sent,
            Self::Frame(_) | Self::Mismatch | Self::Pipe(_) => true,
        }
    }
}

/// A running server. Dropped, it is killed.
#[derive(Debug)]
pub struct Server {
    child: Child,
    input: Feed,
    output: Capture,
    errors: Capture,
    ready: bool,
}

impl Server {
    /// Starts the command and greets. The greeting travels with the first effect.
    pub fn start(command: &mut Command, hello: &Hello) -> Result<Self, ServerError> {
        let mut greeting = Vec::new();
        frame::write(&mut greeting, hello)?;
        let (mut child, [stdin, stdout, stderr]) = with_pipes(command).map_err(ServerError::Start)?;
        let ends = Feed::lasting(stdin, greeting)
            .and_then(|input| Ok((input, Capture::new(stdout, MAX_FRAME)?, Capture::new(stderr, ERRORS)?)));
        match ends {
            Ok((input, output, errors)) => Ok(Self { child, input, output, errors, ready: false }),
            Err(error) => {
                end(&mut child);
                Err(ServerError::Pipe(error))
            }
        }
    }

    /// The server's process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the server has understood the greeting.
    pub fn ready(&mut self, deadline: Deadline) -> Result<(), ServerError> {
        if !self.ready {
            // A server that went before it was ready has carried out nothing.
            let Ready { .. } = self.receive(deadline).map_err(|error| match error {
                ServerError::Gone { said, .. } => ServerError::Gone { sent: false, said },
                error => error,
            })?;
            self.ready = true;
        }
        Ok(())
    }

    /// Has one effect carried out. After an error the server must not be asked again.
    pub fn ask(&mut self, effect: &Effect, deadline: Deadline) -> Result<Answer, ServerError> {
        if self.ready {
            self.output.advance().map_err(ServerError::Pipe)?;
            // An answer to nothing would be taken for the answer to this.
            if !self.output.bytes().is_empty() {
                return Err(ServerError::Mismatch);
            }
            if self.output.is_closed() {
                return Err(ServerError::Gone { sent: false, said: last_line(self.errors.bytes()) });
            }
        }
        let mut request = Vec::new();
        frame::write(&mut request, effect)?;
        self.input.add(&request);
        self.ready(deadline)?;
        let answer: Answer = self.receive(deadline)?;
        match belongs(effect, &answer) && self.output.bytes().is_empty() {
            true => Ok(answer),
            false => Err(ServerError::Mismatch),
        }
    }

    /// Sends what waits and takes one frame.
    fn receive<T: DeserializeOwned>(&mut self, deadline: Deadline) -> Result<T, ServerError> {
        let mut searched = 0;
        loop {
            self.input.advance().map_err(ServerError::Pipe)?;
            self.output.advance().map_err(ServerError::Pipe)?;
            self.listen()?;
            let bytes = self.output.bytes();
            if let Some(length) = bytes[searched..].iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = bytes.drain(..=searched + length).collect();
                return Ok(frame::read(&mut line.as_slice())?);
            }
            searched = bytes.len();
            if self.output.is_full() {
                return Err(ServerError::Frame(FrameError::TooLong));
            }
            if self.output.is_closed() {
                return Err(self.gone());
            }
            if deadline.passed() {
                return Err(ServerError::Timeout { sent: self.input.is_sent() });
            }
            poll(&[&self.input.waiting(), &self.output.waiting(), &self.errors.waiting()], deadline.left())
                .map_err(ServerError::Pipe)?;
        }
    }

    /// Empties the standard error, so that the server never waits for that; keeps its end.
    fn listen(&mut self) -> Result<(), ServerError> {
        self.errors.advance_to_end(ERRORS).map_err(ServerError::Pipe)
    }

    fn gone(&mut self) -> ServerError {
        // Its last words may still be on their way.
        let _ = poll(&[&self.errors.waiting()], Duration::from_millis(100));
        let _ = self.listen();
        let sent = self.input.is_sent() && !self.input.is_closed();
        ServerError::Gone { sent, said: last_line(self.errors.bytes()) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that runs as somebody else cannot be killed: it ends by itself when its client has gone.
        self.input.close();
        kill(&self.child);
        // The action that ends now leaves the rest to the system; one that goes on reaps it later, or never.
        let _ = self.child.try_wait();
    }
}

/// Whether the answer is one to this effect.
fn belongs(effect: &Effect, answer: &Answer) -> bool {
    use std::mem::discriminant;

    let expected = effect.decline(remotes_effect::types::Failure::failed(String::new()));
    // No arm for the rest: a new capability does not compile before it is here.
    macro_rules! same_function {
        ($($capability:ident),*) => {
            match answer {
                $(Answer::$capability(answer) => match &expected {
                    Answer::$capability(expected) => discriminant(expected) == discriminant(answer),
                    _ => false,
                },)*
            }
        };
    }
    same_function!(
        Clock,
        Log,
        Configuration,
        Filesystem,
        Image,
        Transfer,
        Libvirt,
        Tools,
        Hooks,
        Iptables,
        Links,
        Openvswitch,
        Sriov,
        Locks,
        Tproxy
    )
}
