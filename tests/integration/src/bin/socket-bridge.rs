//! `socket-bridge SOCKET`: standard input and output as the two ways of a Unix socket, until either end is
//! closed. It stands for libvirt's own helper at the other end of ssh, which knows no private daemon.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)]

use std::io::{self, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

fn main() {
    let socket = UnixStream::connect(std::env::args_os().nth(1).unwrap()).unwrap();
    let mut towards = socket.try_clone().unwrap();
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut towards);
        let _ = towards.shutdown(Shutdown::Write);
    });
    let mut from = socket;
    // What has come is passed on at once: the other side waits for it.
    let mut out = io::stdout().lock();
    let mut buffer = [0; 64 * 1024];
    while let Ok(length @ 1..) = io::Read::read(&mut from, &mut buffer) {
        if out.write_all(&buffer[..length]).and_then(|()| out.flush()).is_err() {
            break;
        }
    }
}
