//! The network drivers, called through their stubs on a Debian kernel.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

use remotes_kernel_tests::{END, FAILED, Kernel, PASSED, boot, image};

/// A folder that the Makefile names, or that lies where it puts it.
fn folder(variable: &str, name: &str) -> PathBuf {
    let target = || {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        std::env::var_os("CARGO_TARGET_DIR").map_or(workspace.join("target"), PathBuf::from)
    };
    std::env::var_os(variable).map_or_else(|| target().join(name), PathBuf::from)
}

/// Says why there is nothing to see; where everything has to be seen, that is a failure.
fn skipped(why: &str) {
    assert!(std::env::var_os("CI").is_none_or(|value| value != "true"), "{why}");
    eprintln!("skipped: {why}");
}

#[test]
fn drivers_on_a_debian_kernel() {
    let place = folder("REMOTES_KERNEL", "kernel");
    let Some(kernel) = Kernel::below(&place) else {
        return skipped(&format!("{}: has no kernel; run `make setup`", place.display()));
    };
    let program = folder("REMOTES_DIST", "dist").join("bin/remotes");
    assert!(program.is_file(), "{}: run `make build`, which stages it", program.display());
    let tree = tempfile::tempdir().unwrap();
    let names = ["bridge", "fw", "vxlan", "802.1Q", "nodeport", "elastic", "ovswitch", "ovswitch_vxlan"];
    let drivers = names.iter().flat_map(|name| ["--driver".to_owned(), format!("vnm/{name}")]);
    let installed = Command::new(&program).args(["tree", "install"]).args(drivers).arg(tree.path()).output().unwrap();
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    // Only what actions need: the command line is large.
    std::fs::remove_file(tree.path().join("bin/remotes")).unwrap();

    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../golden/vnm");
    let console = boot(&kernel, &image(&kernel, Path::new(env!("CARGO_BIN_EXE_in-guest")), tree.path(), &golden));
    let passed: Vec<&str> = console.lines().filter_map(|line| line.strip_prefix(PASSED)).collect();
    assert!(!console.lines().any(|line| line.starts_with(FAILED)), "{}", console.0);
    assert!(console.lines().any(|line| line == END), "the machine did not come to its end\n{}", console.0);
    // A few of those that only this kernel can do, and of those that every kernel can.
    for case in [
        "07-bridge-post-vlan-trunk",
        "43-8021q-pre",
        "47-8021q-post-cvlans",
        "15-fw-post-net",
        "50-ovswitch-post-vlan",
        "56-ovswitch-vxlan-pre",
    ] {
        assert!(passed.contains(&case), "{case}\n{}", console.0);
    }
    assert!(passed.len() >= 46, "only {} cases\n{}", passed.len(), console.0);
}
