//! `socket-bridge SOCKET`: standard input and output as the two ways of a Unix socket, until either end is
//! closed. It stands for libvirt's own helper at the other end of ssh, which knows no private daemon. Such a
//! daemon is a session's, so that a client that asks for the system's is taken to it.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)]

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

/// Program and procedure in libvirt's remote protocol (`src/remote/remote_protocol.x`).
const OPEN: [u8; 8] = [0x20, 0x00, 0x80, 0x86, 0, 0, 0, 1];
/// The name as it is on the wire: its length, and its bytes filled up to a multiple of four.
const SYSTEM: &[u8] = b"\0\0\0\x0eqemu:///system\0\0";
const SESSION: &[u8] = b"\0\0\0\x0fqemu:///session\0";

fn main() {
    let socket = UnixStream::connect(std::env::args_os().nth(1).unwrap()).unwrap();
    let mut towards = socket.try_clone().unwrap();
    std::thread::spawn(move || {
        let mut from = io::stdin().lock();
        while let Ok(packet) = packet(&mut from) {
            if towards.write_all(&packet).is_err() {
                break;
            }
        }
        let _ = towards.shutdown(Shutdown::Write);
    });
    let mut from = socket;
    // What has come is passed on at once: the other side waits for it.
    let mut out = io::stdout().lock();
    let mut buffer = [0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if out.write_all(&buffer[..length]).and_then(|()| out.flush()).is_err() {
            break;
        }
    }
}

/// One packet of the client's, its length first; opening the system's hypervisor becomes opening the session's.
fn packet(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut packet = vec![0; 4];
    from.read_exact(&mut packet)?;
    let length = u32::from_be_bytes([packet[0], packet[1], packet[2], packet[3]]) as usize;
    packet.resize(length, 0);
    from.read_exact(&mut packet[4..])?;
    let opens = packet.get(4..8) == Some(&OPEN[..4]) && packet.get(12..16) == Some(&OPEN[4..]);
    if opens && let Some(at) = packet.windows(SYSTEM.len()).position(|bytes| bytes == SYSTEM) {
        packet[at..at + SESSION.len()].copy_from_slice(SESSION);
    }
    Ok(packet)
}
