//! The network drivers, called through their stubs on a Debian kernel.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use remotes_kernel_tests::{BEGUN, END, FAILED, FRAMES, HANG, Kernel, PASSED, bare, boot, image};
use remotes_network_tests::skipped;
use remotes_test_support::{build_folder, dist};

/// The first process of the machine.
const INIT: &str = env!("CARGO_BIN_EXE_in-guest");

/// A case says something when it begins and when it ends, and takes seconds; what it waits for in vain, half
/// a minute. Longer than this is a hang, which must not hold up everything.
const PATIENCE: Duration = Duration::from_secs(180);

fn kernel() -> Option<Kernel> {
    let place = build_folder("REMOTES_KERNEL", "kernel");
    let kernel = Kernel::below(&place);
    if kernel.is_none() {
        skipped(&format!("{}: has no kernel; run `make setup`", place.display()));
    }
    kernel
}

#[test]
fn drivers_on_a_debian_kernel() {
    let Some(kernel) = kernel() else { return };
    let program = dist().join("bin/remotes");
    let tree = tempfile::tempdir().unwrap();
    let names = ["bridge", "fw", "vxlan", "802.1Q", "nodeport", "elastic", "ovswitch", "ovswitch_vxlan"];
    let drivers = names.iter().flat_map(|name| ["--driver".to_owned(), format!("vnm/{name}")]);
    let installed = Command::new(&program).args(["tree", "install"]).args(drivers).arg(tree.path()).output().unwrap();
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    // Only what actions need: the command line is large.
    std::fs::remove_file(tree.path().join("bin/remotes")).unwrap();

    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../golden/vnm");
    let image = image(&kernel, Path::new(INIT), tree.path(), &golden);
    let console = boot(&kernel, &image, "", PATIENCE).unwrap_or_else(|why| panic!("{why}"));
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
        "63-tproxy-bridge-pre",
        FRAMES,
    ] {
        assert!(passed.contains(&case), "{case}\n{}", console.0);
    }
    assert!(passed.len() >= 50, "only {} cases\n{}", passed.len(), console.0);
}

#[test]
fn a_machine_that_hangs_is_ended_and_its_console_shown() {
    let Some(kernel) = kernel() else { return };
    // Long enough to boot in.
    let patience = Duration::from_secs(40);
    let Err(why) = boot(&kernel, &bare(Path::new(INIT)), HANG, patience) else { panic!("it does not hang") };
    assert!(why.starts_with("the machine said nothing for 40 s; its last lines:\n"), "{why}");
    assert!(why.trim_end().ends_with(&format!("{BEGUN}nothing that ends")), "{why}");
}
