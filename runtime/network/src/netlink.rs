//! A socket to the kernel's rtnetlink, which `ip` and `bridge` speak: a question costs a system call where
//! those cost a process.

use netlink_packet_core::{
    DecodeError, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_EXCL, NLM_F_REQUEST,
    NetlinkDeserializable, NetlinkHeader, NetlinkMessage, NetlinkPayload, NetlinkSerializable, NlasIterator,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use remotes_effect::text::one_line;
use remotes_effect::types::Failure;
use rustix::io::Errno;
use thiserror::Error;

/// How often a listing is made anew that changed while it was read.
const ATTEMPTS: usize = 10;

/// Room for one answer. The kernel fills as much of it as is of use to it, 32 KiB of a listing.
const BUFFER: usize = 256 * 1024;
/// `MSG_TRUNC` of `recv(2)`
const MSG_TRUNC: i32 = 0x20;

/// The size of `struct nlmsghdr`, which the kernel puts before what it says about an error.
const HEADER: usize = 16;
/// `NLMSGERR_ATTR_MSG`
const SAID: u16 = 1;

/// Why the kernel did not do it.
#[derive(Debug, Error)]
pub(super) enum NetlinkError {
    /// There is no talking to it.
    #[error("rtnetlink: {0}")]
    Socket(#[from] std::io::Error),
    /// What it answered is not understood.
    #[error("rtnetlink: an answer is not understood: {0}")]
    Answer(#[from] DecodeError),
    /// It refused.
    #[error("{}{}{said}", std::io::Error::from(*.errno), if said.is_empty() { "" } else { ": " })]
    Refused {
        /// its reason
        errno: Errno,
        /// and in its words, where it has some
        said: String,
    },
    /// An answer has no room.
    #[error("rtnetlink: an answer is longer than {BUFFER} bytes")]
    Long,
    /// A listing was never the same from beginning to end.
    #[error("rtnetlink: what is listed kept changing; try again")]
    Changing,
}

impl NetlinkError {
    /// The failure to do `what`.
    pub fn failure(self, what: &str) -> Failure {
        let message = format!("cannot {what}: {self}");
        match self {
            Self::Changing => Failure::busy(message),
            Self::Refused { errno, .. } => match errno {
                Errno::NODEV | Errno::NOENT | Errno::SRCH | Errno::ADDRNOTAVAIL => Failure::not_found(message),
                Errno::EXIST => Failure::exists(message),
                Errno::BUSY => Failure::busy(message),
                Errno::OPNOTSUPP => Failure::unsupported(message),
                Errno::PERM | Errno::ACCESS => Failure::failed(format!("{message}; changing the network needs root")),
                _ => Failure::failed(message),
            },
            Self::Socket(_) | Self::Answer(_) | Self::Long => Failure::failed(message),
        }
    }
}

/// An answer as it came. Only what is needed of it is read: a kernel newer than this program must not make a
/// whole listing unreadable by one attribute.
#[derive(Debug)]
pub(super) struct Reply(pub Vec<u8>);

impl NetlinkDeserializable for Reply {
    type Error = std::convert::Infallible;

    fn deserialize(_: &NetlinkHeader, payload: &[u8]) -> Result<Self, Self::Error> {
        Ok(Self(payload.to_vec()))
    }
}

/// The attributes in these bytes, by kind, up to the first that is none.
pub(super) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    NlasIterator::new(bytes).map_while(Result::ok).map(|attribute| {
        let (kind, length) = (attribute.kind(), usize::from(attribute.length()));
        (kind, &attribute.into_inner()[4..length])
    })
}

/// The value of the first attribute of this kind in these bytes.
pub(super) fn value(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(kind, _)| *kind == wanted).map(|(_, value)| value)
}

/// A value that is a text.
pub(super) fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).trim_end_matches('\0').to_owned()
}

/// A connection to the kernel of the namespace in which it was made.
pub(super) struct Netlink {
    socket: Socket,
    sequence: u32,
}

impl Netlink {
    /// Connects to rtnetlink.
    pub fn open() -> Result<Self, NetlinkError> {
        Self::connect(NETLINK_ROUTE)
    }

    /// Connects to the family of this number.
    pub fn connect(family: isize) -> Result<Self, NetlinkError> {
        let socket = Socket::new(family)?;
        // Errors come with the kernel's words, and without the whole question.
        socket.set_cap_ack(true)?;
        socket.set_ext_ack(true)?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Makes a thing; where it is there, that is an error.
    pub fn create(&mut self, message: RouteNetlinkMessage) -> Result<(), NetlinkError> {
        self.ask(message, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL).map(drop)
    }

    /// Changes or removes a thing that is there.
    pub fn change(&mut self, message: RouteNetlinkMessage) -> Result<(), NetlinkError> {
        self.ask(message, NLM_F_ACK).map(drop)
    }

    /// Asks for one thing.
    pub fn get(&mut self, message: impl NetlinkSerializable) -> Result<Option<Reply>, NetlinkError> {
        Ok(self.ask(message, NLM_F_ACK)?.into_iter().next())
    }

    /// Lists things.
    pub fn list(&mut self, message: &(impl NetlinkSerializable + Clone)) -> Result<Vec<Reply>, NetlinkError> {
        for _ in 0..ATTEMPTS {
            match self.ask(message.clone(), NLM_F_DUMP) {
                Err(NetlinkError::Changing) => {}
                other => return other,
            }
        }
        Err(NetlinkError::Changing)
    }

    fn ask(&mut self, message: impl NetlinkSerializable, flags: u16) -> Result<Vec<Reply>, NetlinkError> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut request = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        let (mut replies, mut changed) = (Vec::new(), false);
        loop {
            for NetlinkMessage { header, payload, .. } in self.receive()? {
                if header.sequence_number != self.sequence {
                    continue;
                }
                changed |= header.flags & NLM_F_DUMP_INTR != 0;
                match payload {
                    NetlinkPayload::InnerMessage(reply) => replies.push(reply),
                    NetlinkPayload::Error(error) if error.code.is_some() => {
                        let errno = Errno::from_raw_os_error(error.raw_code().abs());
                        return Err(NetlinkError::Refused { errno, said: said(&error.header) });
                    }
                    NetlinkPayload::Done(_) if changed => return Err(NetlinkError::Changing),
                    NetlinkPayload::Error(_) | NetlinkPayload::Done(_) => return Ok(replies),
                    _ => {}
                }
            }
        }
    }

    fn receive(&self) -> Result<Vec<NetlinkMessage<Reply>>, NetlinkError> {
        let mut bytes = Vec::with_capacity(BUFFER);
        // The whole length comes back, whether or not it fitted.
        if self.socket.recv(&mut bytes, MSG_TRUNC)? > BUFFER {
            return Err(NetlinkError::Long);
        }
        let (mut messages, mut rest) = (Vec::new(), bytes.as_slice());
        while !rest.is_empty() {
            let message = NetlinkMessage::<Reply>::deserialize(rest)?;
            let length = (message.header.length as usize).next_multiple_of(4);
            rest = rest.get(length..).unwrap_or_default();
            messages.push(message);
        }
        Ok(messages)
    }
}

/// The kernel's words about an error.
fn said(about: &[u8]) -> String {
    let Some(rest) = about.get(HEADER..) else { return String::new() };
    value(rest, SAID).map(|words| one_line(&text(words))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_kernels_words_are_found() {
        let mut about = vec![0; HEADER];
        about.extend([12, 0, 1, 0]);
        about.extend(b"no way\0\0");
        assert_eq!(said(&about), "no way");
        assert_eq!(said(&[]), "");
        let refused = NetlinkError::Refused { errno: Errno::EXIST, said: "no way".into() };
        assert_eq!(refused.failure("make it").message, "cannot make it: File exists (os error 17): no way");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_their_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(attributes(&bytes).map(|(_, value)| value.len() + 4).sum::<usize>() <= bytes.len());
            said(&bytes);
        }
    }
}
