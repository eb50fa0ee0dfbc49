//! What libvirt has found out about QEMU, handed from one private daemon to the next: asking takes seconds on a loaded
//! machine, and libvirt 9.0 was seen to wait for the answer for ever. libvirt itself looks whether it still holds.

use std::io;
use std::path::{Path, PathBuf};

use crate::build_folder;

/// Where a daemon keeps it, below its folder.
const KEPT: &str = "cache/libvirt/qemu/capabilities";

fn known() -> PathBuf {
    build_folder("REMOTES_CAPABILITIES", "tmp/qemu-capabilities")
}

/// Gives a new daemon what others have found out.
pub(crate) fn give(daemon: &Path) -> io::Result<()> {
    let kept = daemon.join(KEPT);
    std::fs::create_dir_all(&kept)?;
    copy(&known(), &kept)
}

/// Takes what a daemon has found out, where it is the first.
pub(crate) fn take(daemon: &Path) -> io::Result<()> {
    std::fs::create_dir_all(known())?;
    copy(&daemon.join(KEPT), &known())
}

/// Copies files that are not there, each in one step: other tests run at the same time.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let Ok(entries) = std::fs::read_dir(from) else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_file() && !target.exists() {
            let mut new = tempfile::NamedTempFile::new_in(to)?;
            io::copy(&mut std::fs::File::open(entry.path())?, &mut new)?;
            new.persist(target)?;
        }
    }
    Ok(())
}
