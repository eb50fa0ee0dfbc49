//! Images that name files of other people, or are not what they are said to be.

use std::fs;
use std::process::Command;

use remotes_containment::guest::IMAGES;
use remotes_containment::{Grounds, Trial};
use remotes_effect::types::FailureKind;
use remotes_effect::vmm::Call;

/// Runs `qemu-img create` in the grounds.
fn create(grounds: &Grounds, arguments: &[&str]) {
    let output =
        Command::new("qemu-img").arg("create").arg("-q").args(arguments).current_dir(grounds.root()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Tries to look at and convert an image; both must fail in one of these ways and change nothing.
fn refused(grounds: &Grounds, format: &str, image: &str, effects: &[&str]) {
    let before = grounds.snapshot();
    let call = Call::Reboot { deploy_id: format.into(), host: grounds.at("granted/10/out"), action: grounds.at(image) };
    let trial = Trial::of(IMAGES).granting(&grounds.paths()).calling(call);
    let ended = trial.made(|policy, deadline| grounds.machine(policy, deadline));
    ended.assert_done();
    for effect in effects {
        let failures = ended.journal.failures(effect);
        assert_eq!(failures.len(), 1, "{effect} of {image}");
        let kinds = [FailureKind::Denied, FailureKind::Invalid, FailureKind::Unsupported];
        assert!(kinds.contains(&failures[0].kind), "{effect} of {image}: {failures:?}");
    }
    assert_eq!(grounds.snapshot(), before, "{image}");
}

const BOTH: &[&str] = &["image.inspect", "image.convert"];

#[test]
pub fn images() {
    let grounds = Grounds::new();
    fs::write(grounds.path("secret/disk"), vec![1; 1 << 16]).unwrap();
    let secret = grounds.at("secret/disk");
    for (name, backing) in [("absolute", secret.as_str()), ("relative", "../secret/disk"), ("passwd", "/etc/passwd")] {
        create(&grounds, &["-f", "qcow2", "-u", "-F", "raw", "-b", backing, &format!("granted/{name}"), "1M"]);
        refused(&grounds, "qcow2", &format!("granted/{name}"), BOTH);
    }
    // Two layers: the first is fine, what it stands on is not.
    create(&grounds, &["-f", "qcow2", "-u", "-F", "qcow2", "-b", "absolute", "granted/second", "1M"]);
    refused(&grounds, "qcow2", "granted/second", &["image.convert"]);
    grounds.link("granted/link", &secret);
    create(&grounds, &["-f", "qcow2", "-u", "-F", "raw", "-b", "link", "granted/through", "1M"]);
    refused(&grounds, "qcow2", "granted/through", BOTH);
}

#[test]
fn backing_files_that_are_no_files() {
    let grounds = Grounds::new();
    for (number, backing) in [
        "nbd://127.0.0.1:10809/x",
        "nbd:unix:/run/x",
        "json:{\"driver\":\"file\",\"filename\":\"/etc/passwd\"}",
        "file:/etc/passwd",
        "ssh://localhost/etc/passwd",
        "http://169.254.169.254/latest",
        "fat:/etc",
        "host_device:/dev/sda",
        "fd:0",
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("granted/image{number}");
        create(&grounds, &["-f", "qcow2", "-u", "-F", "raw", "-b", backing, &name, "1M"]);
        refused(&grounds, "qcow2", &name, BOTH);
    }
}

#[test]
fn a_data_file_outside() {
    let grounds = Grounds::new();
    let options = format!("data_file={},data_file_raw=on", grounds.at("secret/data"));
    create(&grounds, &["-f", "qcow2", "-o", &options, "granted/image", "1M"]);
    fs::write(grounds.path("secret/data"), vec![7; 1 << 20]).unwrap();
    refused(&grounds, "qcow2", "granted/image", BOTH);
}

#[test]
fn a_chain_that_bites_its_tail() {
    let grounds = Grounds::new();
    create(&grounds, &["-f", "qcow2", "-u", "-F", "qcow2", "-b", "b", "granted/a", "1M"]);
    create(&grounds, &["-f", "qcow2", "-u", "-F", "qcow2", "-b", "a", "granted/b", "1M"]);
    create(&grounds, &["-f", "qcow2", "-u", "-F", "qcow2", "-b", "self", "granted/self", "1M"]);
    refused(&grounds, "qcow2", "granted/a", &["image.convert"]);
    refused(&grounds, "qcow2", "granted/self", &["image.convert"]);
}

#[test]
fn images_that_are_something_else() {
    let grounds = Grounds::new();
    let monolith = "# Disk DescriptorFile\nversion=1\ncreateType=\"monolithicFlat\"\nRW 2048 FLAT \"/etc/passwd\" 0\n";
    fs::write(grounds.path("granted/vmdk"), monolith).unwrap();
    refused(&grounds, "vmdk", "granted/vmdk", BOTH);
    refused(&grounds, "qcow2", "granted/vmdk", BOTH);
    fs::write(grounds.path("granted/raw"), vec![0; 4096]).unwrap();
    for format in ["qcow2", "vmdk", "luks", "", "json:{}", "raw,file.filename=/etc/passwd", "--help", "nbd"] {
        refused(&grounds, format, "granted/raw", &["image.convert"]);
    }
    create(&grounds, &["-f", "qcow2", "granted/whole", "1M"]);
    let whole = fs::read(grounds.path("granted/whole")).unwrap();
    for length in [4, 8, 71] {
        fs::write(grounds.path("granted/part"), &whole[..length]).unwrap();
        refused(&grounds, "qcow2", "granted/part", &["image.convert"]);
    }
}

/// A guest that writes another format's first bytes onto its raw disk gets nothing for it.
#[test]
fn a_raw_disk_with_the_header_of_another_format() {
    let grounds = Grounds::new();
    create(&grounds, &["-f", "qcow2", "-u", "-F", "raw", "-b", "/etc/passwd", "granted/disk", "1M"]);
    let disk = fs::read(grounds.path("granted/disk")).unwrap();
    let call = Call::Reboot {
        deploy_id: "raw".into(),
        host: grounds.at("granted/10/out"),
        action: grounds.at("granted/disk"),
    };
    let trial = Trial::of(IMAGES).granting(&grounds.paths()).calling(call);
    let ended = trial.made(|policy, deadline| grounds.machine(policy, deadline));
    assert!(ended.journal.failures("image.convert").is_empty(), "{:?}", ended.journal.logged());
    // Converted as what it was said to be: the same bytes, not those of the file that the header names.
    let out = fs::read(grounds.path("granted/10/out")).unwrap();
    assert_eq!(out[..disk.len()], disk);
}
