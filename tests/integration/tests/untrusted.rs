//! A stranger's driver, tried before it is in any tree.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};

use remotes_integration::scene::{folder, journal};
use remotes_integration::{Outcome, Snapshot, dist, remotes};
use serde_json::{Value, json};

fn component(driver: &str) -> PathBuf {
    dist().join(format!("lib/remotes/drivers/{driver}/component.wasm"))
}

/// `remotes exec --component … --policy … OPTIONS ACTION one-7 node1` where there is no tree.
fn tried(driver: &str, policy: &Path, options: &[&str], action: &str) -> Outcome {
    let mut command = remotes();
    command.arg("exec").arg("--component").arg(component(driver)).arg("--policy").arg(policy);
    Outcome::of(command.args(options).args([action, "one-7", "node1"]), "")
}

#[test]
fn what_a_component_would_do_and_is_denied_is_seen_without_a_tree() {
    let folder = folder();
    let (policy, lines) = (folder.path().join("policy.toml"), folder.path().join("journal"));
    let denied = |granted: &str, message: &str| {
        fs::write(&policy, format!("schema = 1\n{granted}")).unwrap();
        let _ = fs::remove_file(&lines);
        let before = Snapshot::of(folder.path());
        let plain = tried("vmm/kvm", &policy, &["--dry-run"], "vmm/theirs/reboot");
        assert_eq!((plain.code, plain.stderr.as_str()), (1, ""), "{plain:?}");
        let told: Vec<&str> = plain.stdout.lines().map(str::trim).collect();
        assert_eq!(
            told[..2],
            ["vmm/theirs/reboot would, after looking at this machine:", "change nothing"],
            "{plain:?}"
        );
        assert!(told[2].starts_with("log ERROR: reboot: ") && told[2].contains(message), "{plain:?}");
        assert!(told[3].starts_with("be denied ") && told[3].contains(message), "{plain:?}");
        assert_eq!(told[4], "and would fail: denied: Could not reboot domain one-7");
        before.assert_same(&Snapshot::of(folder.path()));

        let options = ["--dry-run", "--json", "--journal", lines.to_str().unwrap()];
        let listed = tried("vmm/kvm", &policy, &options, "vmm/theirs/reboot");
        assert_eq!((listed.code, listed.stderr.as_str()), (1, ""), "{listed:?}");
        let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
        assert_eq!((&listed["action"], &listed["steps"]), (&json!("vmm/theirs/reboot"), &json!([])));
        assert_eq!(
            (&listed["denied"][0]["name"], &listed["denied"][0]["times"]),
            (&json!("libvirt.reboot"), &json!(1))
        );
        assert!(listed["denied"][0]["message"].as_str().unwrap().contains(message), "{listed}");
        assert_eq!(listed["log"][0]["level"], "error");
        assert_eq!(listed["failure"], "denied: Could not reboot domain one-7");
        // Who reads the journal later knows that nothing of it was done.
        let lines = journal(&lines);
        assert!(lines.iter().any(|line| line["failure"]["kind"] == "denied"), "{lines:?}");
        for line in lines {
            let action = line["action"].as_str().unwrap();
            assert!(action.starts_with("vmm/theirs/reboot ") && action.ends_with(" dry-run"), "{line}");
        }
    };
    denied("", "grants no hypervisor");
    denied("[libvirt]\nuris = [\"qemu:///system\"]\ndomains = [\"two-*\"]\n", "domain one-7: granted are two-*");
}

#[test]
fn a_component_runs_without_a_tree() {
    let folder = folder();
    let policy = folder.path().join("policy.toml");
    fs::write(&policy, "schema = 1\n").unwrap();
    let outcome = tried("vmm/dummy", &policy, &[], "vmm/theirs/reboot");
    assert_eq!(outcome, Outcome { code: 0, stdout: String::new(), stderr: String::new() });
    let recording = folder.path().join("recording");
    assert_eq!(tried("vmm/dummy", &policy, &["--record", recording.to_str().unwrap()], "vmm/theirs/reboot").code, 0);
    let replayed = Outcome::of(remotes().arg("replay").arg(&recording).arg(component("vmm/dummy")), "");
    assert_eq!(replayed.code, 0, "{replayed:?}");
    // One of another subsystem, and the limits of the policy that is named.
    let outcome = tried("vnm/dummy", &policy, &["--dry-run"], "vmm/theirs/reboot");
    assert!(outcome.code == 1 && outcome.says("expected a driver of vmm; it is"), "{outcome:?}");
    fs::write(&policy, "schema = 1\n[limits]\nmemory-mib = 0\n").unwrap();
    let outcome = tried("vmm/dummy", &policy, &[], "vmm/theirs/reboot");
    assert!(outcome.code == 1 && outcome.says("limits"), "{outcome:?}");
}
