//! Frames on a link, written and read as they are.

use std::net::IpAddr;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::Duration;

use nix::sys::socket::{MsgFlags, recv, send, setsockopt, sockopt};
use nix::sys::time::{TimeVal, TimeValLike as _};
use remotes_network_tests::{Elsewhere, packet_socket};

use crate::model::{Content, Packet};

/// What every frame of the test ends with, before its number.
const MARK: [u8; 4] = *b"\xa5rmt";

/// A machine's side of a link.
pub struct Wire {
    socket: OwnedFd,
    pub mac: [u8; 6],
    _machine: Elsewhere,
}

impl Wire {
    /// A machine that is plugged into br0 by this port.
    pub fn plug(port: &str, mac: [u8; 6]) -> Self {
        let machine = Elsewhere::default();
        machine.plug(port, &shown(mac));
        let socket = machine.run(packet_socket).join().unwrap();
        Self { socket, mac, _machine: machine }
    }

    pub fn send(&self, frame: &[u8]) {
        let sent = send(self.socket.as_raw_fd(), frame, MsgFlags::empty()).unwrap();
        assert_eq!(sent, frame.len());
    }

    /// The number of the next frame of the test's that arrives; none after `wait` without any.
    pub fn receive(&self, wait: Duration) -> Option<u32> {
        let wait = TimeVal::milliseconds(i64::try_from(wait.as_millis()).unwrap());
        setsockopt(&self.socket, sockopt::ReceiveTimeout, &wait).unwrap();
        let mut buffer = [0; 2048];
        while let Ok(length) = recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            let Some((_, end)) = buffer[..length].split_last_chunk::<8>() else { continue };
            if end[..4] == MARK {
                return Some(u32::from_be_bytes(end[4..].try_into().unwrap()));
            }
        }
        None
    }
}

/// As `ip` writes it.
pub fn shown(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// A frame that no rule is about, so that it passes always: what was sent before it has been decided.
pub fn end(from: [u8; 6], to: [u8; 6], number: u32) -> Vec<u8> {
    // Of a type that is for experiments.
    [&to[..], &from, &[0x88, 0xb5], &MARK, &number.to_be_bytes()].concat()
}

/// A packet as a frame. `own_port` makes it one of a connection that nothing else belongs to.
pub fn frame(packet: &Packet, to: [u8; 6], own_port: u16, number: u32) -> Vec<u8> {
    let tail = [MARK, number.to_be_bytes()].concat();
    let ports = |from: u16, to: u16| [from.to_be_bytes(), to.to_be_bytes()].concat();
    let (protocol, mut body, checksum_at) = match packet.content {
        Content::Tcp(port) => (6, [&ports(own_port, port)[..], &[0; 8], &[0x50, 2, 255, 255, 0, 0, 0, 0]].concat(), 16),
        Content::Udp(port) => (17, [&ports(own_port, port)[..], &16_u16.to_be_bytes(), &[0, 0]].concat(), 6),
        Content::Dhcp => (17, [&ports(68, 67)[..], &16_u16.to_be_bytes(), &[0, 0]].concat(), 6),
        Content::Icmp(kind) => {
            let protocol = if packet.source.is_ipv4() { 1 } else { 58 };
            (protocol, [&[kind, 0, 0, 0][..], &own_port.to_be_bytes(), &[0, 1]].concat(), 2)
        }
        Content::Esp => (50, [&u32::from(own_port).to_be_bytes()[..], &[0, 0, 0, 1]].concat(), 0),
    };
    body.extend(&tail);
    finish(packet, to, protocol, body, checksum_at)
}

/// What answers a packet that was sent with `own_port`: as TCP or UDP do.
pub fn answer(packet: &Packet, to: [u8; 6], own_port: u16, number: u32) -> Vec<u8> {
    let mut frame = frame(&Packet { content: answered(packet.content, own_port), ..*packet }, to, 0, number);
    let header = if packet.source.is_ipv4() { 34 } else { 54 };
    let (protocol, checksum_at) = match packet.content {
        Content::Tcp(_) => (6, 16),
        _ => (17, 6),
    };
    let mut body = frame.split_off(header);
    let port = match packet.content {
        Content::Tcp(port) | Content::Udp(port) => port,
        _ => unreachable!("only TCP and UDP are answered"),
    };
    body[..2].copy_from_slice(&port.to_be_bytes());
    if protocol == 6 {
        // SYN and ACK
        body[13] = 0x12;
        body[11] = 1;
    }
    body[checksum_at..checksum_at + 2].fill(0);
    finish(packet, to, protocol, body, checksum_at)
}

fn answered(content: Content, own_port: u16) -> Content {
    match content {
        Content::Tcp(_) => Content::Tcp(own_port),
        _ => Content::Udp(own_port),
    }
}

/// Puts the headers of IP and Ethernet in front, and the checksum in its place.
fn finish(packet: &Packet, to: [u8; 6], protocol: u8, mut body: Vec<u8>, checksum_at: usize) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap();
    let (source, destination) = (octets(packet.source), octets(packet.destination));
    if checksum_at > 0 {
        let pseudo = [&source[..], &destination, &[0, protocol], &length.to_be_bytes()].concat();
        let covered = if protocol == 1 { body.clone() } else { [pseudo, body.clone()].concat() };
        body[checksum_at..checksum_at + 2].copy_from_slice(&checksum(&covered).to_be_bytes());
    }
    let ethernet = |kind: u16| [&to[..], &packet.mac, &kind.to_be_bytes()].concat();
    match packet.source {
        IpAddr::V4(_) => {
            let mut header = [&[0x45, 0][..], &(length + 20).to_be_bytes(), &[0, 0, 0, 0, 64, protocol, 0, 0]].concat();
            header.extend([source, destination].concat());
            let sum = checksum(&header);
            header[10..12].copy_from_slice(&sum.to_be_bytes());
            [ethernet(0x0800), header, body].concat()
        }
        IpAddr::V6(_) => {
            // Neighbours take nothing that a router has passed on.
            let header =
                [&[0x60, 0, 0, 0][..], &length.to_be_bytes(), &[protocol, 255], &source, &destination].concat();
            [ethernet(0x86dd), header, body].concat()
        }
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}
