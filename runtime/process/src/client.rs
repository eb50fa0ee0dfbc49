//! The process at the other end of a server's standard input.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::process::Signal;

/// What a server is given to end by itself when its client has gone.
const PATIENCE: Duration = Duration::from_secs(1);

/// Ends this process, from a thread of its own, soon after nobody holds the other end of this pipe any more. For a
/// server that is inside of a library which may never return: it does not come to see the end of its input.
pub fn end_without(input: impl AsFd) -> io::Result<()> {
    let input = input.as_fd().try_clone_to_owned()?;
    let watch = move || {
        while !has_gone(&input) {}
        std::thread::sleep(PATIENCE);
        // Nothing of the library's is run any more, as `exit` would: its other thread is in the midst of something.
        let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
    };
    std::thread::Builder::new().name("client".to_owned()).stack_size(64 * 1024).spawn(watch)?;
    Ok(())
}

/// Waits for a change of the pipe, and says whether it was this one.
fn has_gone(input: impl AsFd) -> bool {
    // What can be read is not asked for: that is for whoever reads.
    let mut pipe = [PollFd::new(&input, PollFlags::empty())];
    match rustix::event::poll(&mut pipe, None) {
        Ok(_) => pipe[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL),
        Err(_) => false,
    }
}
