//! A test that cannot see anything says so; where everything has to be seen, that is a failure.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::{Command, Output};

use remotes_network_tests::{isolated, sh};

#[test]
fn a_namespace_has_links_of_its_own() {
    isolated(|| assert_eq!(sh("ip -brief link show").lines().count(), 1));
}

/// Runs that test where no namespaces can be made.
fn without_namespaces(ci: Option<&str>) -> Output {
    let own = std::env::current_exe().unwrap();
    let arguments = ["--exact", "a_namespace_has_links_of_its_own", "--nocapture"];
    // What root must not do, its processes cannot do either; others may not do it anyway.
    let mut command = Command::new("setpriv");
    if nix::unistd::geteuid().is_root() {
        command.arg("--bounding-set=-sys_admin");
    }
    command
        .arg("--no-new-privs")
        .arg(own)
        .args(arguments)
        .env_remove("CI")
        .envs(ci.map(|value| ("CI", value)))
        .output()
        .unwrap()
}

#[test]
fn without_namespaces_a_test_is_skipped_and_fails_on_ci() {
    for (ci, passes) in [(None, true), (Some("false"), true), (Some("true"), false)] {
        let output = without_namespaces(ci);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), passes, "CI={ci:?}: {said}");
        assert!(said.contains("network namespaces need root"), "CI={ci:?}: {said}");
        assert_eq!(said.contains("skipped: "), passes, "CI={ci:?}: {said}");
    }
}
