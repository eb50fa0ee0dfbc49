//! This machine as an effect server, for a runtime at the other end of ssh.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use remotes_effect::deadline::Deadline;
use remotes_effect::frame::{self, FrameError, Hello};

use crate::{Machine, Surroundings};

/// No client may keep a server for longer.
pub(crate) const LONGEST: Duration = Duration::from_secs(31 * 24 * 3600);

/// The deadline that a client sends.
pub(crate) fn deadline(hello: &Hello) -> Deadline {
    Deadline::after(Duration::from_millis(hello.deadline_ms).min(LONGEST))
}

/// Serves effects on standard input and output, under the policy and until the deadline that the client
/// sends; `tree` is this machine's remotes tree.
pub fn serve(tree: &Path) -> Result<(), FrameError> {
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    frame::serve(&mut input, &mut output, |hello| {
        Machine::new(Surroundings {
            policy: Arc::new(hello.policy.clone()),
            tree: tree.to_owned(),
            deadline: deadline(hello),
            libvirt_server: tree.join("bin/remotes-libvirt"),
            // The driver's log is where the driver runs.
            log: Box::new(|_, _| {}),
        })
    })
}
