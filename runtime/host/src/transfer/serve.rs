//! This machine as one end of a transfer, for a runtime at the other end of ssh.

use std::io::{BufReader, BufWriter};
use std::os::fd::AsFd as _;

use remotes_effect::deadline::Deadline;
use remotes_effect::frame::{self, FrameError, Hello, Ready};
use remotes_effect::policy::Access;
use remotes_effect::types::Failure;
use remotes_process::Timed;

use super::peer::{Errand, MAX_FRAME, Report};
use super::receive::{ReceiveError, Receiver};
use super::record::StreamError;
use super::send::{SendError, Sender};
use super::source::Source;
use crate::jail::Jail;
use crate::serving::{LONGEST, deadline};

/// Bytes that are read or written at once.
const BUFFER: usize = 256 * 1024;

/// Both ends of the connection, and what the client wants.
struct Served {
    input: BufReader<Timed>,
    output: Timed,
    hello: Hello,
    errand: Errand,
    deadline: Deadline,
}

impl Served {
    fn greet() -> Result<Self, FrameError> {
        let endless = Deadline::after(LONGEST);
        let mut input = BufReader::with_capacity(BUFFER, Timed::new(std::io::stdin().as_fd(), endless)?);
        let mut output = Timed::new(std::io::stdout().as_fd(), endless)?;
        let hello = frame::greeting(&mut input)?;
        let errand = frame::read_within(&mut input, MAX_FRAME)?;
        let deadline = deadline(&hello);
        input.get_mut().until(deadline);
        output.until(deadline);
        frame::write(&mut output, &Ready::default())?;
        Ok(Self { input, output, hello, errand, deadline })
    }

    fn check(&self, wanted: Access) -> Result<(), Failure> {
        self.hello.policy.paths.check(&self.errand.path, wanted)
    }
}

/// Reads a greeting, an errand and a stream from standard input; lays the stream down, under the policy and
/// until the deadline of the greeting, and reports on standard output.
pub fn receive() -> Result<(), FrameError> {
    let mut served = Served::greet()?;
    let jail = Jail::new(&served.hello.policy.paths);
    let report = match served.check(Access::ReadWrite) {
        Ok(()) => received(&jail, &mut served),
        Err(failure) => Err(failure),
    };
    frame::write(&mut served.output, &report)
}

fn received(jail: &Jail, served: &mut Served) -> Report {
    let mut receiver = Receiver::new(jail, &served.errand.path, served.deadline);
    receiver.receive(&mut served.input).map_err(|error| match error {
        ReceiveError::Target(failure) | ReceiveError::Sender(failure) => failure,
        ReceiveError::Stream(error) => broken(&error, receiver.is_touched()),
    })
}

fn broken(error: &StreamError, touched: bool) -> Failure {
    let target =
        if touched { "every file of the target is whole, as before or new" } else { "the target is as before" };
    let message = format!("the transfer broke off: {error}; {target}");
    match error {
        _ if error.is_timeout() => Failure::timeout(message),
        StreamError::Io(_) | StreamError::Ended if touched => Failure::unknown(message),
        StreamError::Io(_) | StreamError::Ended => Failure::unavailable(message),
        StreamError::Malformed(_) => Failure::invalid(message),
        StreamError::Digest => Failure::failed(message),
    }
}

/// Reads a greeting and an errand from standard input, and writes a stream of what is there to standard
/// output, under the policy and until the deadline of the greeting.
pub fn send() -> Result<(), FrameError> {
    let served = Served::greet()?;
    let jail = Jail::new(&served.hello.policy.paths);
    let path = &served.errand.path;
    let source = served.check(Access::ReadOnly).and_then(|()| Source::survey(&jail, path, served.deadline));
    let output = BufWriter::with_capacity(BUFFER, served.output);
    let mut sender = Sender::new(output, path, served.deadline).map_err(gone)?;
    match source {
        Ok(source) => match sender.send(&source) {
            Err(SendError::Stream(error)) => Err(gone(error)),
            // The stream itself says so.
            Err(SendError::Source(_)) | Ok(_) => Ok(()),
        },
        Err(failure) => {
            sender.refuse(&failure);
            Ok(())
        }
    }
}

fn gone(error: StreamError) -> FrameError {
    match error {
        StreamError::Io(error) => FrameError::Io(error),
        error => FrameError::Io(std::io::Error::other(error)),
    }
}
