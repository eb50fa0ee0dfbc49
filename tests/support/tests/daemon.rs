//! A private daemon leaves nothing behind.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use remotes_test_support::PrivateLibvirt;

#[test]
fn everything_is_gone_after_it() {
    let mut libvirt = PrivateLibvirt::start().unwrap();
    let first = libvirt.daemon().unwrap().unwrap();
    libvirt.kill_daemon().unwrap();
    assert_eq!(libvirt.daemon().unwrap(), None);
    libvirt.start_daemon().unwrap();
    let second = libvirt.daemon().unwrap().unwrap();
    assert_ne!(first, second);
    let folder = libvirt.folder().to_owned();
    drop(libvirt);
    assert!(!folder.exists());
    assert!(!std::path::Path::new(&format!("/proc/{}", second.as_raw_nonzero())).exists());
}
