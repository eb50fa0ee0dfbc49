//! The folder in which QEMU makes the sockets that the switch connects to (DPDK).

use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

/// Makes the folder where it is missing. It belongs to whom the folder above belongs to: QEMU runs as the
/// runtime's user, also where root makes the folder.
pub(super) fn prepare(folder: &Path) -> std::io::Result<()> {
    let Some(above) = folder.parent() else { return Ok(()) };
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(above)?;
    match rustix::fs::mkdir(folder, Mode::from(0o755)) {
        Ok(()) => {}
        Err(Errno::EXIST) => return Ok(()),
        Err(errno) => return Err(errno.into()),
    }
    // Whoever owns the folder above may have put something else there by now.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = rustix::fs::openat(CWD, folder, flags, Mode::empty())?;
    let (own, owner) = (rustix::fs::fstat(&made)?, rustix::fs::stat(above)?);
    if own.st_uid == owner.st_uid || !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let uid = rustix::fs::Uid::from_raw(owner.st_uid);
    let gid = rustix::fs::Gid::from_raw(owner.st_gid);
    Ok(rustix::fs::fchown(&made, Some(uid), Some(gid))?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    #[test]
    fn the_folder_belongs_to_whom_the_one_above_does() {
        let root = tempfile::tempdir().unwrap();
        let above = root.path().join("one");
        std::fs::create_dir(&above).unwrap();
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&above, Some(12), Some(34)).unwrap();
        }
        let folder = above.join("vhost-socks");
        for _ in 0..2 {
            prepare(&folder).unwrap();
            let (own, owner) = (std::fs::metadata(&folder).unwrap(), std::fs::metadata(&above).unwrap());
            assert_eq!((own.uid(), own.gid(), own.mode() & 0o777), (owner.uid(), owner.gid(), 0o755));
        }
    }

    #[test]
    fn what_lies_in_its_place_is_not_given_away() {
        let root = tempfile::tempdir().unwrap();
        let (above, secret) = (root.path().join("one"), root.path().join("secret"));
        std::fs::create_dir(&above).unwrap();
        std::fs::create_dir(&secret).unwrap();
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&above, Some(12), Some(34)).unwrap();
        }
        symlink(&secret, above.join("vhost-socks")).unwrap();
        prepare(&above.join("vhost-socks")).unwrap();
        assert_ne!(std::fs::metadata(&secret).unwrap().uid(), 12);
    }
}
