//! Transfers from this machine to another host, from there to here, and from one host to another.

use std::io::{BufWriter, Read as _, Write as _};

use remotes_effect::deadline::Deadline;
use remotes_effect::frame::FrameError;
use remotes_effect::types::{Failure, Node, Place};

use super::peer::{Peer, Task};
use super::receive::{ReceiveError, Receiver};
use super::record::{StreamError, told};
use super::send::{SendError, Sender};
use super::source::Source;
use crate::jail::Jail;
use crate::progress::Progress;
use crate::remote::Hosts;

/// Bytes that are read or written at once.
const BUFFER: usize = 256 * 1024;

/// The executor of `transfer` where the places are on two nodes.
pub(crate) struct Between<'a> {
    jail: &'a Jail,
    hosts: &'a Hosts,
    deadline: Deadline,
}

/// What is known of the target after a transfer that came to no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It is as before.
    Untouched,
    /// A part of it may be new.
    Partly,
}

impl<'a> Between<'a> {
    /// Acts below the jail's folders and on these hosts, no longer than until the deadline.
    pub fn new(jail: &'a Jail, hosts: &'a Hosts, deadline: Deadline) -> Self {
        Self { jail, hosts, deadline }
    }

    /// Copies from one node to another.
    pub fn copy(&self, source: &Place, target: &Place) -> Result<u64, Failure> {
        match (&source.on, &target.on) {
            (_, Node::Host(to)) if source.on == Node::Here => self.push(&source.path, to, &target.path),
            (Node::Host(from), Node::Here) => self.pull(from, &source.path, &target.path),
            (Node::Host(from), Node::Host(to)) => self.relay(from, &source.path, to, &target.path),
            _ => Err(Failure::invalid("both places are on one node")),
        }
        .map_err(|failure| Failure { message: format!("transfer.copy: {}", failure.message), ..failure })
    }

    /// From here to a host. Only the receiver's report says that all of it is there.
    fn push(&self, path: &str, host: &str, target: &str) -> Result<u64, Failure> {
        let source = Source::survey(self.jail, path, self.deadline)?;
        let mut peer = self.hosts.begin(host, Task::Receive, target)?;
        let (sent, outcome) = {
            let output = BufWriter::with_capacity(BUFFER, peer.writer());
            match Sender::new(output, path, self.deadline) {
                Ok(mut sender) => {
                    let sent = sender.send(&source);
                    let outcome = if sender.may_have_changed() { Outcome::Partly } else { Outcome::Untouched };
                    (sent, outcome)
                }
                Err(error) => (Err(SendError::Stream(error)), Outcome::Untouched),
            }
        };
        match sent {
            Err(SendError::Source(failure)) => Err(failure),
            Err(SendError::Stream(error)) if error.is_timeout() => Err(lost(&mut peer, &error, outcome)),
            // A receiver that gave up reads no further, and says why.
            Err(SendError::Stream(error)) => match peer.report() {
                Ok(Err(failure)) => Err(of_host(&peer, failure)),
                _ => Err(lost(&mut peer, &error, outcome)),
            },
            Ok(bytes) => reported(&mut peer, Some(bytes)),
        }
    }

    /// From a host to here.
    fn pull(&self, host: &str, path: &str, target: &str) -> Result<u64, Failure> {
        let mut receiver = Receiver::new(self.jail, target, self.deadline);
        let mut peer = self.hosts.begin(host, Task::Send, path)?;
        let received = receiver.receive(peer.reader());
        match received {
            Ok(bytes) => Ok(bytes),
            Err(ReceiveError::Sender(failure)) => Err(of_host(&peer, told(failure))),
            Err(ReceiveError::Target(failure)) => Err(failure),
            Err(ReceiveError::Stream(error)) => {
                let outcome = if receiver.is_touched() { Outcome::Partly } else { Outcome::Untouched };
                Err(lost(&mut peer, &error, outcome))
            }
        }
    }

    /// From one host to another: neither needs to know the other, since every byte comes through here.
    fn relay(&self, from: &str, path: &str, to: &str, target: &str) -> Result<u64, Failure> {
        let mut sender = self.hosts.begin(from, Task::Send, path)?;
        let mut receiver = self.hosts.begin(to, Task::Receive, target)?;
        let mut progress = Progress::new(path);
        let mut buffer = vec![0; BUFFER];
        let pumped: Result<(), StreamError> = loop {
            let read = sender.reader().read(&mut buffer);
            let count = match read {
                Ok(0) => break Ok(()),
                Ok(count) => count,
                Err(error) => return Err(lost(&mut sender, &error.into(), Outcome::Partly)),
            };
            if let Err(error) = receiver.writer().write_all(&buffer[..count]) {
                break Err(error.into());
            }
            progress.add(count as u64);
        };
        match pumped {
            Err(error) if error.is_timeout() => Err(lost(&mut receiver, &error, Outcome::Partly)),
            _ => reported(&mut receiver, None).map_err(|failure| match sender.last_words() {
                said if said.is_empty() => failure,
                said => Failure { message: format!("{} (host {from}: {said})", failure.message), ..failure },
            }),
        }
    }
}

/// What the receiver says at the end, where it should have laid down so many bytes.
fn reported(peer: &mut Peer, expected: Option<u64>) -> Result<u64, Failure> {
    match peer.report() {
        Ok(Ok(bytes)) if expected.is_none_or(|expected| expected == bytes) => Ok(bytes),
        Ok(Ok(_)) => Err(lost(peer, &StreamError::Malformed("it reports other bytes than were sent"), Outcome::Partly)),
        Ok(Err(failure)) => Err(of_host(peer, failure)),
        Err(error) => {
            let error = match error {
                FrameError::Io(error) => StreamError::Io(error),
                FrameError::Closed => StreamError::Ended,
                _ => StreamError::Malformed("its report"),
            };
            Err(lost(peer, &error, Outcome::Partly))
        }
    }
}

fn of_host(peer: &Peer, failure: Failure) -> Failure {
    Failure { message: format!("{}: {}", peer.name(), failure.message), ..failure }
}

/// The stream to or from a host broke.
fn lost(peer: &mut Peer, error: &StreamError, outcome: Outcome) -> Failure {
    let said = match peer.last_words() {
        said if said.is_empty() => said,
        said => format!(" ({said})"),
    };
    let known = match outcome {
        Outcome::Untouched => "the target is as before",
        Outcome::Partly => {
            "whether the target was replaced is not known: every file of it is whole, as before or new; it can be \
             repeated"
        }
    };
    let message = format!("{}: the transfer broke off: {error}{said}; {known}", peer.name());
    match (error, outcome) {
        _ if error.is_timeout() => Failure::timeout(message),
        (_, Outcome::Partly) => Failure::unknown(message),
        (StreamError::Io(_) | StreamError::Ended, _) => Failure::unavailable(message),
        (StreamError::Malformed(_) | StreamError::Digest, _) => Failure::failed(message),
    }
}
