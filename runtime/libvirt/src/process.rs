//! The server as a process.

use std::fs::File;
use std::io::{self, BufReader};
use std::os::fd::AsFd;

use remotes_effect::frame::{self, FrameError};
use remotes_process::client;
use rustix::io::fcntl_dupfd_cloexec;

use crate::{Server, Session, raw};

/// Seconds after the action's deadline at which this process ends by itself, whatever libvirt is at.
const GRACE: u64 = 2;

/// Serves effects on standard input and output until the client goes.
///
/// A client ends a server that misses the deadline. One whose client was killed while libvirt hangs would stay: a
/// thread sees that the client has gone, and `SIGALRM` ends the process soon after the deadline in any case.
pub fn run(uri: &str) -> Result<(), FrameError> {
    let (input, mut output) = own_streams()?;
    // What a panic says goes into the answer; standard error may be somebody's protocol.
    std::panic::set_hook(Box::new(|_| {}));
    client::end_without(&input)?;
    frame::serve(&mut BufReader::new(input), &mut output, |hello| {
        raw::end_after(u32::try_from(hello.deadline_ms / 1000 + GRACE).unwrap_or(u32::MAX));
        Server::new(Session::new(uri, hello))
    })
}

/// Takes the frames' streams out of everybody else's reach: neither a library that prints nor a child of
/// libvirt's (ssh) can then disturb them.
fn own_streams() -> io::Result<(File, File)> {
    let input = fcntl_dupfd_cloexec(io::stdin(), 3)?;
    let output = fcntl_dupfd_cloexec(io::stdout(), 3)?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    rustix::stdio::dup2_stdout(io::stderr().as_fd())?;
    Ok((input.into(), output.into()))
}
